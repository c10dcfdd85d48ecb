"""Is somebody there, step by step: name, connection, encryption, an answer and its clock. No credentials are sent.

One question of HTTP for the address alone; what it answers does not matter, only that it answers and what its clock
says. Each step that fails is named with what to do about it, because "unreachable" helps nobody.
"""

import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

PATIENCE_S = 5.0
"""For each step: who takes longer is as good as away for a person who waits for the answer."""
ANSWER_BYTES = 8_192
AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Reached:
    """How far we came; ``problem`` is empty when all is well. ``clock`` is the other side's, to the second."""

    steps: str
    problem: str = ""
    clock: datetime | None = None
    asked_at: datetime | None = None

    @property
    def offset_s(self) -> int | None:
        """Return by how many seconds the other clock is ahead of ours."""
        if self.clock is None or self.asked_at is None:
            return None
        return round((self.clock - self.asked_at).total_seconds())


def reach_all(urls: Mapping[str, str], now: Callable[[], datetime]) -> dict[str, Reached]:
    """Look whether each address answers, several at once."""
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="comporta-reach") as threads:
        found = threads.map(lambda url: reach(url, now), urls.values())
        return dict(zip(urls, found, strict=True))


def reach(url: str, now: Callable[[], datetime]) -> Reached:
    """Look whether an address answers."""
    parts = urlsplit(url)
    host, is_tls = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if is_tls else 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return Reached("no name", f"{host}: the name is not known ({error}); check the url, and this machine's DNS")
    return _connected(found, host, port, now, is_tls=is_tls)


def answers_as_ours(host: str, port: int) -> bool | None:
    """Say whether a server of ours listens there; ``None`` where nobody does."""
    shown = f"[{host}]" if ":" in host else host
    try:
        with socket.create_connection((host, port), PATIENCE_S) as connection:
            return b'"ok"' in _asked(connection, shown, "GET /health/live")
    except ConnectionRefusedError:
        return None
    except OSError:
        return False


def _connected(
    found: Sequence[tuple[object, ...]],
    host: str,
    port: int,
    now: Callable[[], datetime],
    *,
    is_tls: bool,
) -> Reached:
    try:
        connection = socket.create_connection((host, port), PATIENCE_S)
    except OSError as error:
        where = ", ".join(sorted({str(each[4][0]) for each in found if isinstance(each[4], tuple)}))
        step = "is the server up, and does a firewall or proxy let this machine out?"
        return Reached("name", f"{host} port {port} ({where}): no connection ({error}); {step}")
    with connection:
        if not is_tls:
            return _answer(connection, host, "name, connection", now)
        try:
            with ssl.create_default_context().wrap_socket(connection, server_hostname=host) as encrypted:
                return _answer(encrypted, host, f"name, connection, {encrypted.version()}", now)
        except ssl.SSLCertVerificationError as error:
            step = "renew it there, or give this machine the certificate of who signed it; check this machine's clock"
            return Reached("name, connection", f"{host}: its certificate is refused ({error.verify_message}); {step}")
        except OSError as error:
            return Reached("name, connection", f"{host}: no encryption ({error}); is it https, and is that its port?")


def _answer(connection: socket.socket, host: str, steps: str, now: Callable[[], datetime]) -> Reached:
    try:
        answer = _asked(connection, host, "HEAD /")
    except OSError as error:
        return Reached(steps, f"{host}: connected, but no answer ({error}); look at the server")
    if not answer.startswith(b"HTTP/"):
        return Reached(steps, f"{host}: connected, but what answers is no web server; check the url's port")
    return Reached(f"{steps}, answer", clock=_date(answer), asked_at=now())


def _asked(connection: socket.socket, host: str, question: str) -> bytes:
    text = f"{question} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: comporta-doctor\r\nConnection: close\r\n\r\n"
    connection.sendall(text.encode("ascii", "ignore"))
    answer = b""
    while len(answer) < ANSWER_BYTES and (more := connection.recv(ANSWER_BYTES)):
        answer += more
    return answer


def _date(answer: bytes) -> datetime | None:
    for line in answer.decode("latin-1").splitlines():
        name, _, value = line.partition(":")
        if name.lower() == "date":
            with suppress(ValueError):
                return parsedate_to_datetime(value.strip()).astimezone(UTC)
    return None
