"""The one way out: sends a request, counts it, repeats it where that may help, names what went wrong.

The only module that knows the HTTP library, and it is imported with the first request, so that a
command which never asks a source does not pay for it. Redirects are never followed.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from ipaddress import ip_address
from random import Random
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from comporta.errors import (
    BadValue,
    ComportaError,
    RateLimited,
    SourceChangedShape,
    SourceTimedOut,
    SourceTruncated,
    SourceUnavailable,
)
from comporta.ports.budget import Budget
from comporta.ports.clock import Clock
from comporta.ports.progress import LogLine, Progress
from comporta.sources.answers import SECRET_LEAST, Answer, Ask, quote
from comporta.sources.connections import Connections
from comporta.sources.retries import Retry, Tried

if TYPE_CHECKING:
    from pyreqwest.exceptions import PyreqwestError
    from pyreqwest.request import RequestBuilder
    from pyreqwest.response import Response

T = TypeVar("T")
Before = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class _Exchange:
    """How far one sending came: ``status`` is 0 before there is an answer."""

    sent_s: float | None = None
    status: int = 0
    answer: Answer | None = None


TIMEOUT = timedelta(seconds=120)
"""Odoo's own limit_time_real: a longer wait for one answer gains nothing."""

BODY_MAX = 64 * 1024 * 1024
"""Bytes of one answer, unpacked: fifteen times a page of 1,000 whole orders."""


class Transport:
    """HTTP for one account: the turns of its budget, and retries of single requests.

    ``connections`` are shared by all accounts of a process; a transport without has its own.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        dice: Random,
        budget: Budget,
        timeout: timedelta = TIMEOUT,
        body_max: int = BODY_MAX,
        retry: Retry | None = None,
        secrets: Sequence[str] = (),
        connections: Connections | None = None,
    ) -> None:
        self._clock = clock
        self._dice = dice
        self._budget = budget
        self._timeout = timeout
        self._body_max = body_max
        self._retry = retry or Retry()
        self._secrets = tuple(form for secret in secrets for form in _written(secret))
        self._are_ours = connections is None
        self._connections = connections or Connections()

    async def send(
        self, ask: Ask, progress: Progress, accept: Callable[[Answer], T], *, before: Before | None = None
    ) -> T:
        """Return what ``accept`` makes of the answer, and send again while its error may pass.

        ``before`` is awaited when the request's turn has come; what it raises keeps it from being sent.
        ``accept`` runs inside the loop because a cut or half-written answer shows only when it is decoded.
        """
        tried, cancelled = Tried(), _cancellations()
        while True:
            exchange = _Exchange()
            try:
                accepted = accept(
                    await self._exchange(ask, progress, exchange, is_retried=tried != Tried(), before=before)
                )
            except ComportaError as error:
                _obey(cancelled)
                self._mask(error)
                if exchange.sent_s is None:  # its turn did not come: that is not the source's doing
                    raise
                progress.count_failure(ask.what)
                tried = await self._tried(ask, progress, exchange, error, tried)
            else:
                _obey(cancelled)
                progress.touch()
                return accepted

    async def aclose(self) -> None:
        """Close the connections that are ours alone; the transport may be used again and then opens new ones."""
        if self._are_ours:
            await self._connections.aclose()

    def _mask(self, error: ComportaError) -> None:
        """Take the secrets out of a message: it may quote an answer that echoes the request, key and all."""
        for secret in self._secrets:
            error.message = error.message.replace(secret.decode(), "***")
        error.args = (error.message,)

    async def _tried(
        self, ask: Ask, progress: Progress, exchange: "_Exchange", error: ComportaError, tried: Tried
    ) -> Tried:
        """Wait until the request may be sent again; raise its error if it should not."""
        age = timedelta(seconds=self._clock.monotonic() - (exchange.sent_s or 0.0))
        asked = exchange.answer.retry_after(self._clock.now()) if exchange.answer else None
        is_refused = exchange.status == 503 and asked is not None
        if isinstance(error, RateLimited) or is_refused:
            tried = replace(tried, throttles=tried.throttles + 1)
            pause = await self._budget.throttled(asked, error.message, age=age)
            if not self._retry.is_worth_its_turn(tried, asked=asked):
                raise error if isinstance(error, RateLimited) else RateLimited(error.message, retry_after=asked)
            progress.tell(_again(ask, error, pause, of=(tried.throttles + 1, self._retry.throttles_max)))
            return tried
        tried = replace(tried, failures=tried.failures + 1, spent=tried.spent + age)
        rest = self._retry.pause(error, tried, dice=self._dice)
        if rest is None:
            raise error
        attempt, attempts = tried.failures + 1, self._retry.tries(error)
        progress.tell(_again(ask, error, rest, of=(attempt, attempts)))
        progress.wait(rest.total_seconds(), f"attempt {attempt} of {attempts}: {error.message}")
        await self._clock.sleep(rest)
        return replace(tried, spent=tried.spent + rest)

    async def _exchange(
        self, ask: Ask, progress: Progress, exchange: "_Exchange", *, is_retried: bool, before: Before | None
    ) -> Answer:
        builder = self._builder(ask)  # before its turn: the first one imports a library, and a turn counts from sending
        async with self._budget.turn(progress, ask.subject) as waited_s:
            if before is not None:
                await before()
            exchange.sent_s = self._clock.monotonic()
            try:
                with progress.trace.span("request", _attributes(ask)), self._named(ask):
                    async with builder.build_streamed() as response:
                        exchange.status = response.status
                        exchange.answer = await self._read(ask, response)
                        return exchange.answer
            finally:
                progress.count_request(
                    retried=is_retried,
                    throttled=exchange.status == 429,
                    waited_s=waited_s,
                    sent_s=exchange.sent_s,
                )

    def _builder(self, ask: Ask) -> "RequestBuilder":
        import pyreqwest.exceptions  # noqa: F401, PLC0415 - 10 ms, which must not come between a turn and its request

        client = self._connections.client(is_direct=_is_loopback(ask.url))
        try:
            builder = client.request(ask.method, ask.url).headers(dict(ask.headers)).timeout(self._timeout)
        except ValueError:  # its words hold what it refuses, which may be the key
            message = f"{ask.subject}: the key or the address cannot be sent; expected no control characters in them"
            raise BadValue(message) from None
        return builder if ask.body is None else builder.body_bytes(ask.body)

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


def _cancellations() -> int:
    """Return how often the present task was asked to end."""
    task = asyncio.current_task()
    return task.cancelling() if task is not None else 0


def _obey(before: int) -> None:
    """Raise the cancellation that the library lost, if there was one.

    Where it meets an answer that is there already, the library gives the answer. Whoever was told to stop would go on,
    or wait for ever for somebody who has stopped.
    """
    if _cancellations() > before:
        raise asyncio.CancelledError


def _again(ask: Ask, error: ComportaError, pause: timedelta, *, of: tuple[int, int]) -> LogLine:
    """Return the line in the run's log that says what went wrong and when it is tried again."""
    (attempt, attempts), delay_s = of, round(pause.total_seconds(), 1)
    fields: dict[str, object] = {"operation": ask.what, "code": error.code, "error": error.message}
    fields |= {"attempt": attempt, "attempts": attempts, "delay_s": delay_s}
    message = f"attempt {attempt} of {attempts} in {delay_s:.1f} s: {error.message}"
    return LogLine("warning", "request_retried", message, fields)


def _attributes(ask: Ask) -> dict[str, str | int | float | bool]:
    """Return what a trace says of a request: neither path nor query, which may hold ids or a key."""
    return {
        "comporta.operation": ask.what,
        "http.request.method": ask.method,
        "server.address": urlsplit(ask.url).hostname or "",
    }


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
    from pyreqwest.exceptions import ConnectError, DecodeError, ReadError, RequestTimeoutError  # noqa: PLC0415  loaded when needed

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
        "The server or a proxy hung up. If it is yours, see its log: a worker may lack time or memory.",
    ),
)


def _advice(cause: str) -> str | None:
    text = cause.lower()
    return next((advice for words, advice in _ADVICES if any(word in text for word in words)), None)
