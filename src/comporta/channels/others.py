"""Letters over whatever apprise knows: Slack, Telegram, WhatsApp gateways, Teams and a hundred more.

apprise is an extra (``pip install 'comporta[notify]'``) and is imported when the first letter is sent.
"""

from collections.abc import Callable
from types import ModuleType

from comporta.channels.threads import in_thread
from comporta.core.alert_letter import Letter
from comporta.errors_alerts import AppriseMissing, ChannelFailed


class AppriseChannel:
    """Implements ``ports.alerts.Channel`` by apprise; ``urls`` gives its addresses, which hold tokens."""

    name = "apprise"

    def __init__(self, urls: Callable[[], str]) -> None:
        self._urls = urls

    async def send(self, letter: Letter) -> None:
        """Give the letter to every address, and raise unless all took it."""
        urls = self._urls().split()
        await in_thread(lambda: notify(apprise_itself(), urls, letter))


def apprise_itself() -> ModuleType:
    """Return the package, or say how to get it."""
    try:
        import apprise  # noqa: PLC0415  an extra, and slow to import
    except ImportError as error:
        raise AppriseMissing(
            "alerts.apprise: the package apprise is not installed here; expected comporta[notify]"
        ) from error
    module: ModuleType = apprise
    return module


def notify(apprise: ModuleType, urls: list[str], letter: Letter) -> None:
    """Send by apprise; no address is ever named, for it holds the token."""
    sender = apprise.Apprise()
    for place, url in enumerate(urls, start=1):
        if not sender.add(url):
            raise ChannelFailed(f"apprise: address {place} of {len(urls)} in alerts.apprise.urls is none that it knows")
    if not sender.notify(title=letter.subject, body=letter.body):
        raise ChannelFailed(f"apprise: not all of {len(urls)} addresses took the letter; expected that they do")
