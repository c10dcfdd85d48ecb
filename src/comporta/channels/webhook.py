"""Letters as signed HTTP requests: one POST for each alert, whose body is the alert as JSON.

The receiver computes HMAC-SHA256 with the shared secret over ``TIMESTAMP.BODY`` (the header's text, a dot, the bytes as
they came) and compares it with ``Comporta-Signature``; a timestamp older than some minutes is a replay. The same alert
may come twice (``Comporta-Alert`` names it), as with every webhook.
"""

import hashlib
import hmac
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from comporta import __version__
from comporta.channels.threads import in_thread
from comporta.core.alert import Alert
from comporta.core.alert_letter import Letter
from comporta.errors_alerts import ChannelFailed
from comporta.ports.clock import Clock

TIMEOUT_S = 15.0
SEEN_LETTERS = 200


class _Unfollowed(urllib.request.HTTPRedirectHandler):
    """Refuses to go where a receiver points to: the library would ask there for a page, and post nothing."""

    def redirect_request(self, *_: Any) -> None:  # noqa: ANN401  as the library has it
        """Let the answer be an error."""


OPENER = urllib.request.build_opener(_Unfollowed)


class WebhookChannel:
    """Implements ``ports.alerts.Channel`` by HTTP."""

    name = "webhook"

    def __init__(self, url: str, secret: Callable[[], str], clock: Clock) -> None:
        self._url = url
        self._shown = _host(url)
        self._secret = secret
        self._clock = clock
        self._taken: set[str] = set()

    async def send(self, letter: Letter) -> None:
        """Post every alert that was not taken at an earlier try of the same letter; raise for the first refused."""
        secret = self._secret()
        for alert in letter.alerts:
            event = event_id(alert)
            if event in self._taken:
                continue
            body = json.dumps(alert.as_json(), default=str).encode()
            await in_thread(lambda body=body, event=event: self._post(body, event, secret))  # type: ignore[misc]  # a lambda with a default
            self._taken.add(event)
        self._taken.clear()

    def _post(self, body: bytes, event: str, secret: str) -> None:
        timestamp = str(int(self._clock.now().timestamp()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"comporta/{__version__}",
            "Comporta-Alert": event,
            **signed(body, timestamp, secret),
        }
        request = urllib.request.Request(self._url, body, headers, method="POST")  # noqa: S310  the settings allow http(s) only
        try:
            with OPENER.open(request, timeout=TIMEOUT_S) as answer:
                status = answer.status
        except urllib.error.HTTPError as error:
            with error:
                seen = error.read(SEEN_LETTERS).decode("utf-8", "replace")
            raise ChannelFailed(f"webhook {self._shown}: answered {_answer(error)}: {seen!r}; expected 2xx") from error
        except (OSError, HTTPException) as error:
            raise ChannelFailed(f"webhook {self._shown}: {type(error).__name__}: {error}") from error
        if status >= HTTPStatus.MULTIPLE_CHOICES:
            raise ChannelFailed(f"webhook {self._shown}: answered {status}; expected 2xx")


def _host(url: str) -> str:
    """Return where an address points to; the rest of it may be the key to the receiver."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _answer(error: urllib.error.HTTPError) -> str:
    """Return a status, and of who has moved where to: most often from http to https."""
    where = error.headers.get("Location", "")
    return f"{error.code} (moved to {urlsplit(where).scheme}://{_host(where)})" if _host(where) else str(error.code)


def signed(body: bytes, timestamp: str, secret: str) -> Mapping[str, str]:
    """Return the headers by which a receiver knows who sent a body, and when.

    >>> signed(b"{}", "1772366400", "s")["Comporta-Signature"][:14]
    'v1=a0ea1130890'
    """
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"Comporta-Timestamp": timestamp, "Comporta-Signature": f"v1={digest}"}


def event_id(alert: Alert) -> str:
    """Return what names one opening or one end of an alert."""
    return f"{alert.as_json()['id']}/{'opened' if alert.is_open else 'closed'}"
