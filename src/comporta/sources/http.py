"""The one way out: sends a request, counts it, repeats it where that may help, names what went wrong.

The only module that knows the HTTP library, and it is imported with the first request, so that a
command which never asks a source does not pay for it. Redirects are never followed.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from ipaddress import ip_address
from random import Random
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from comporta import __version__
from comporta.errors import (
    ComportaError,
    SourceChangedShape,
    SourceTimedOut,
    SourceTruncated,
    SourceUnavailable,
)
from comporta.ports.clock import Clock
from comporta.ports.progress import Progress
from comporta.sources.answers import SECRET_LEAST, Answer, Ask, quote
from comporta.sources.pace import Pace
from comporta.sources.retries import Retry, Tried

if TYPE_CHECKING:
    from pyreqwest.client import Client
    from pyreqwest.exceptions import PyreqwestError
    from pyreqwest.request import RequestBuilder
    from pyreqwest.response import Response

T = TypeVar("T")

TIMEOUT = timedelta(seconds=120)
"""Odoo's own limit_time_real: a longer wait for one answer gains nothing."""

CONNECT_TIMEOUT = timedelta(seconds=10)
IDLE_MAX = timedelta(seconds=20)
"""Idle connections are dropped before proxies drop theirs (Odoo's nginx: 65 s), which would look like a reset."""

BODY_MAX = 64 * 1024 * 1024
"""Bytes of one answer, unpacked: fifteen times a page of 1,000 whole orders."""


class Transport:
    """HTTP for one account: a pool of connections, a pace, and retries of single requests."""

    def __init__(
        self,
        clock: Clock,
        *,
        dice: Random,
        timeout: timedelta = TIMEOUT,
        body_max: int = BODY_MAX,
        retry: Retry | None = None,
        pace: Pace | None = None,
        secrets: Sequence[str] = (),
    ) -> None:
        self._clock = clock
        self._dice = dice
        self._timeout = timeout
        self._body_max = body_max
        self._retry = retry or Retry()
        self._pace = pace or Pace(clock)
        self._secrets = tuple(form for secret in secrets for form in _written(secret))
        self._clients: dict[bool, Client] = {}

    async def send(self, ask: Ask, progress: Progress, accept: Callable[[Answer], T]) -> T:
        """Return what ``accept`` makes of the answer, and send again while its error may pass.

        ``accept`` runs inside the loop because a cut or half-written answer shows only when it is decoded.
        """
        began, tried = self._clock.monotonic(), Tried()
        while True:
            answer: Answer | None = None
            try:
                answer = await self._exchange(ask, progress, is_retried=tried != Tried())
                accepted = accept(answer)
            except ComportaError as error:
                tried = tried.after(error)
                pause = self._retry.pause(
                    error,
                    tried=tried,
                    spent=timedelta(seconds=self._clock.monotonic() - began),
                    asked=answer.retry_after(self._clock.now()) if answer and answer.status in (429, 503) else None,
                    dice=self._dice,
                )
                if pause is None:
                    raise
                progress.wait(pause.total_seconds(), error.message)
                await self._clock.sleep(pause)
            else:
                progress.touch()
                return accepted

    async def aclose(self) -> None:
        """Close the connections; the transport may be used again and then opens new ones."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.close()

    async def _exchange(self, ask: Ask, progress: Progress, *, is_retried: bool) -> Answer:
        status = 0
        builder = self._builder(ask)  # before its turn: the first one imports a library, and a turn counts from sending
        async with self._pace.turn(progress, ask.subject) as waited_s:
            try:
                with self._named(ask):
                    async with builder.build_streamed() as response:
                        status = response.status
                        return await self._read(ask, response)
            finally:
                progress.count_request(retried=is_retried, throttled=status == 429, waited_s=waited_s)

    def _builder(self, ask: Ask) -> "RequestBuilder":
        builder = self._client(is_direct=_is_loopback(ask.url)).request(ask.method, ask.url)
        builder = builder.headers(dict(ask.headers)).timeout(self._timeout)
        return builder if ask.body is None else builder.body_bytes(ask.body)

    def _client(self, *, is_direct: bool) -> "Client":
        """Two pools: what goes through the proxies of the environment, and loopback, which never does."""
        if is_direct not in self._clients:
            from pyreqwest.client import ClientBuilder  # noqa: PLC0415 - 20 ms, paid with the first request

            builder = (
                ClientBuilder()
                .user_agent(f"comporta/{__version__}")
                .connect_timeout(CONNECT_TIMEOUT)
                .pool_idle_timeout(IDLE_MAX)
                .follow_redirects(False)  # noqa: FBT003 - the library's own signature
                .referer(False)  # noqa: FBT003
            )
            self._clients[is_direct] = (builder.no_proxy() if is_direct else builder).build()
        return self._clients[is_direct]

    async def _read(self, ask: Ask, response: "Response") -> Answer:
        chunks: list[bytes] = []
        size = 0
        while chunk := await response.body_reader.read(self._body_max + 1):
            chunks.append(chunk.to_bytes())
            size += len(chunk)
            if size > self._body_max:
                message = f"{ask.subject} answered with more than {self._body_max} bytes; expected at most that"
                raise SourceChangedShape(
                    message, next_step="Set a smaller page_size for the account, or name `fields`."
                )
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, headers, chunks[0] if len(chunks) == 1 else b"".join(chunks), self._secrets)

    @contextmanager
    def _named(self, ask: Ask) -> Iterator[None]:
        """Turn the library's exceptions into ours."""
        from pyreqwest.exceptions import PyreqwestError  # noqa: PLC0415 - as above

        try:
            yield
        except PyreqwestError as error:
            raise _failure(ask, error, self._timeout) from error


def _written(secret: str) -> list[bytes]:
    """Return how a secret may stand in an echoed body; what is very short is no secret."""
    if len(secret) < SECRET_LEAST:
        return []
    in_xml = secret.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return [form.encode() for form in dict.fromkeys((secret, json.dumps(secret)[1:-1], in_xml))]


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _failure(ask: Ask, error: "PyreqwestError", timeout: timedelta) -> ComportaError:
    from pyreqwest.exceptions import ConnectError, DecodeError, ReadError, RequestTimeoutError  # noqa: PLC0415

    cause = _cause(error)
    if isinstance(error, RequestTimeoutError):
        return SourceTimedOut(f"{ask.subject}: no answer within {timeout.total_seconds():g} s; expected {ask.expected}")
    if isinstance(error, ConnectError):
        host = urlsplit(ask.url).netloc.rpartition("@")[2]
        return SourceUnavailable(f"{ask.subject}: {host} could not be reached: {cause}", next_step=_advice(cause))
    if isinstance(error, DecodeError | ReadError):
        return SourceTruncated(f"{ask.subject}: the answer broke off: {cause}; expected {ask.expected}")
    return SourceUnavailable(f"{ask.subject}: the request failed: {cause}; expected {ask.expected}")


def _cause(error: "PyreqwestError") -> str:
    """Return the innermost reason; the outer ones repeat the URL, which may hold a password."""
    causes = getattr(error, "details", {}).get("causes") or []
    return quote(causes[-1]["message"] if causes else type(error).__name__)


_ADVICES = (
    (("lookup", "dns", "resolve"), "No such host name: check the spelling of `url` and this machine's DNS."),
    (("refused",), "Nothing listens there: check the port in `url`, and that the server is running."),
    (
        ("certificate", "tls", "ssl", "handshake", "corrupt message"),
        "Check that `url` is right about http or https, and the server's certificate.",
    ),
    (
        ("reset", "closed", "broken pipe"),
        "The server or a proxy hung up: its worker may have hit its time or memory limit; see its log.",
    ),
)


def _advice(cause: str) -> str | None:
    text = cause.lower()
    return next((advice for words, advice in _ADVICES if any(word in text for word in words)), None)
