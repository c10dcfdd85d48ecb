"""Which channels the settings stand for: the part of the composition root that knows how people are told.

A channel's secret is looked up when a letter is sent, so that one that is missing stops no other, and is told of.
"""

import asyncio
import hashlib
import platform
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

from comporta.channels.email import EmailChannel, Mailbox
from comporta.channels.others import AppriseChannel
from comporta.channels.webhook import WebhookChannel
from comporta.ledger.alert_file import AlertFile
from comporta.ledger.alerts import LedgerAlerts
from comporta.ledger.session import Database
from comporta.ports.alerts import Channel, Reach
from comporta.ports.clock import Clock
from comporta.ports.system_clock import SystemClock
from comporta.settings.reading import reveal
from comporta.settings.tree import EmailSettings, Settings
from comporta.settings.values import SecretReference


def make_reach(settings: Settings, database: Database, clock: Clock) -> Reach:
    """Return where alerts are kept and how people are told of them."""
    folder = settings.state_dir if settings.is_postgres else settings.sqlite_path.parent
    return Reach(
        book=LedgerAlerts(database),
        notebook=AlertFile(settings.state_dir / f"told-{_mark_of(database)}.json"),
        channels=make_channels(settings, clock),
        disk=_disk(folder),
        machine=platform.node(),
        machine_clock=SystemClock(),
    )


def _mark_of(database: Database) -> str:
    """Return what tells a database from others of this user, as a part of a file's name."""
    return hashlib.sha256(database.where.encode()).hexdigest()[:12]


def make_channels(settings: Settings, clock: Clock) -> list[Channel]:
    """Return every channel that is set."""
    told = settings.alerts
    found: list[Channel] = []
    if told.email.host is not None:
        found.append(EmailChannel(_mailbox(told.email)))
    if told.webhook.url is not None and told.webhook.secret is not None:
        found.append(WebhookChannel(told.webhook.url, _secret(told.webhook.secret, "alerts.webhook.secret"), clock))
    if told.apprise.urls is not None:
        found.append(AppriseChannel(_secret(told.apprise.urls, "alerts.apprise.urls")))
    return found


def _mailbox(told: EmailSettings) -> Mailbox:
    return Mailbox(
        host=str(told.host),
        port=told.port,
        tls=told.tls,
        sender=str(told.sender),
        receivers=told.to,
        user=told.user,
        password=_secret(told.password, "alerts.email.password") if told.password else None,
    )


def _secret(reference: SecretReference, what: str) -> Callable[[], str]:
    return lambda: reveal(reference, what=what)


def _disk(folder: Path) -> Callable[[], Awaitable[tuple[str, int]]]:
    async def look() -> tuple[str, int]:
        """Return the folder and how many megabytes are free on its disk; a share that hangs holds only a thread."""
        place = next(each for each in (folder, *folder.parents) if each.exists())
        return str(folder), (await asyncio.to_thread(shutil.disk_usage, place)).free // 2**20

    return look
