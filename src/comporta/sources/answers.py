"""What goes to a source and what came back, as values, and the errors that need no protocol to see.

Everything here is decided from its arguments. A message quotes at most the title of a page or the
beginning of a body, never a header or a body of ours: those carry keys.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from comporta.errors import (
    ComportaError,
    RateLimited,
    SourceAnsweredPage,
    SourceBadGateway,
    SourceRefused,
    SourceTruncated,
)

QUOTED_MAX = 120
"""Characters of a foreign text that go into a message: enough to recognise it, short enough to read."""

SECRET_LEAST = 5
"""Letters: shorter keys, as the simulator's, would be masked out of half of every message."""

SECRET_MAX = 1024
"""Bytes read beyond what is quoted, so that no secret is cut in two and half of it shown."""

WAIT_MAX = timedelta(days=1)
"""The longest wait a server may ask for: a wrong date would stop an account for years."""

UNIX_TIME = {10: 1, 13: 1_000}
"""Digits of an instant in seconds and in milliseconds since 1970, which some servers write where a wait is due."""

_TITLE = re.compile(rb"<title[^>]*>\s*(.{0,200}?)\s*</title", re.IGNORECASE | re.DOTALL)
_HTTP_DATE = re.compile(r"[A-Z][a-z]{2}, (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT", re.ASCII)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_PAGE_OPENINGS = (b"<!doctype html", b"<html", b"<head", b"<body")


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. ``subject`` says in words what is attempted on what; ``expected`` what should come.

    ``operation`` is what failures are counted by: the same for all requests of a kind, such as ``deals: page``.
    """

    method: str
    url: str
    subject: str
    expected: str = "JSON"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    operation: str = ""

    @property
    def what(self) -> str:
        """Return the operation; unless it was named, the subject without the account, which comes first."""
        return self.operation or self.subject.partition(" ")[2] or self.subject


@dataclass(frozen=True, slots=True)
class Answer:
    """One response, read to its end; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    secrets: tuple[bytes, ...] = field(default=(), repr=False)
    """What must not be quoted: a server or proxy may echo the request, key and all."""

    def beginning(self, size: int) -> bytes:
        """Return the beginning of the body as it may be quoted."""
        text = bytes(self.body[: size + SECRET_MAX])
        for secret in self.secrets:
            text = text.replace(secret, b"***")
        return text[:size]

    @property
    def date(self) -> datetime | None:
        """Return the server's clock as the answer's ``Date`` header shows it, in UTC."""
        return _http_date(self.headers.get("date", ""))

    @property
    def is_page(self) -> bool:
        """Say whether this is a web page for people."""
        start = bytes(self.body[:256]).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
        is_html = self.headers.get("content-type", "").lower().startswith(("text/html", "application/xhtml"))
        return start.startswith(_PAGE_OPENINGS) or (is_html and not start.startswith((b"{", b"[", b"<?xml")))

    def retry_after(self, now: datetime) -> timedelta | None:
        """Return how long the server asks us to wait, a day at most, written as seconds or as a date of its clock.

        No wait, or a date that is past, is no wish: who has just refused would refuse again.
        """
        text = self.headers.get("retry-after", "").strip()
        is_number = text.isascii() and text.isdigit()
        if is_number and len(text) not in UNIX_TIME:
            wait = timedelta(seconds=int(text)) if len(text) <= 6 else WAIT_MAX
        else:
            when = datetime.fromtimestamp(int(text) / UNIX_TIME[len(text)], UTC) if is_number else _http_date(text)
            wait = timedelta(0) if when is None else when - (self.date or now)
        return min(wait, WAIT_MAX) if wait > timedelta(0) else None


def _http_date(text: str) -> datetime | None:
    usual = _HTTP_DATE.fullmatch(text)
    if usual and usual[2] in _MONTHS:
        day, name, year, hour, minute, second = usual.groups()
        date = (int(year), _MONTHS.index(name) + 1, int(day))
        try:
            return datetime(*date, int(hour), int(minute), int(second), tzinfo=UTC)
        except ValueError:
            return None
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - 5 ms, for what HTTP calls obsolete

    try:
        parsed = parsedate_to_datetime(text)
    except ValueError:
        return None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def quote(text: str) -> str:
    """Return a foreign text as it may stand in a message: one line, printable, short.

    >>> quote("a   b")
    'a b'
    """
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return line if len(line) <= QUOTED_MAX else line[: QUOTED_MAX - 1] + "…"


def describe(answer: Answer) -> str:
    """Say in a few words what an unexpected answer holds."""
    if not answer.body:
        return "an empty body"
    if answer.is_page:
        title = _TITLE.search(answer.beginning(65_536))
        seen = f'"<title>{quote(title[1].decode(errors="replace"))}"' if title else "no title"
        return f"an HTML page ({seen})"
    return f'"{quote(answer.beginning(400).decode(errors="replace"))}"'


def parse_json(answer: Answer, *, subject: str) -> object:
    """Return the body as plain values, lone surrogates, NaN and huge numbers included; refuse what is cut."""
    try:
        parsed: object = json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        seen = f"{subject} answered {answer.status} with {len(answer.body)} bytes that are not valid JSON ({error}): "
        raise SourceTruncated(f"{seen}{describe(answer)}; expected JSON") from error
    return parsed


def refusal(answer: Answer, *, subject: str, expected: str, now: datetime) -> ComportaError | None:
    """Return the error that the answer's status or a web page in it stands for, or ``None``."""
    if answer.status < 300 and not answer.is_page:
        return None
    seen = f"{subject} answered {answer.status} with {describe(answer)}; expected {expected}"
    if answer.status == 429:
        return RateLimited(seen, retry_after=answer.retry_after(now))
    if answer.status >= 500:
        return SourceBadGateway(seen)
    if 300 <= answer.status < 400:
        return _redirected(answer, subject=subject, expected=expected)
    if answer.status >= 400:
        return SourceRefused(seen, next_step=_ADVICE.get(answer.status, _ADVICE_ELSE))
    return SourceAnsweredPage(seen)


_ADVICE_ELSE = "Check the account's url; a proxy or firewall before the server may refuse the request."
_ADVICE = {
    401: "A proxy before the server asks for a login of its own: let the API paths through without it.",
    403: "A proxy or firewall before the server forbids this path: allow this machine's address there.",
    413: "A proxy refuses requests of this size: raise its limit (nginx: client_max_body_size).",
}


def _redirected(answer: Answer, *, subject: str, expected: str) -> ComportaError:
    """Redirects are not followed: a POST would turn into a GET and the key might go elsewhere."""
    target = urlsplit(answer.headers.get("location", ""))
    where = f"{target.scheme}://{target.hostname}" if target.hostname else quote(target.path) or "nowhere"
    return SourceAnsweredPage(
        f"{subject} answered {answer.status}, a redirect to {where}; expected {expected}",
        next_step=f"If {where} is the server's own address, set it as `url` of the account; a login page is not.",
    )
