"""One exchange with a source: repeated where that may help, counted, and named when it fails."""

import asyncio
import gzip
import socket
import threading
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from random import Random

import pytest
from tests.sources.scripted import Reply, ScriptedServer, SteppingClock, http, page, reset

from comporta.coordination.budgets import SharedBudgets
from comporta.errors import (
    ComportaError,
    RateLimited,
    SourceAnsweredPage,
    SourceBadGateway,
    SourceChangedShape,
    SourceRefused,
    SourceTimedOut,
    SourceTruncated,
    SourceUnavailable,
)
from comporta.ports.budget import BudgetTerms
from comporta.ports.progress import Progress
from comporta.sources.answers import Answer, Ask, refusal
from comporta.sources.connections import Connections
from comporta.sources.http import Transport
from comporta.sources.retries import Retry
from comporta.testing import MemoryLog

Build = Callable[..., Transport]
FREE = BudgetTerms("odoo https://erp.example.com acme")


@pytest.fixture
async def build(clock: SteppingClock) -> AsyncIterator[Build]:
    """Return what makes transports; they are closed after the test."""
    made: list[Transport] = []

    def make(terms: BudgetTerms = FREE, **settings: object) -> Transport:
        budget = SharedBudgets(MemoryLog(clock), clock).of(terms)
        made.append(Transport(clock, dice=Random(1), budget=budget, **settings))  # type: ignore[arg-type]  # as the caller says
        return made[-1]

    yield make
    for transport in made:
        await transport.aclose()


def accept(answer: Answer) -> bytes:
    """Refuse what the status refuses; else return the body."""
    error = refusal(answer, subject="odoo/matriz sale.order: count", expected="JSON", now=SteppingClock().now())
    if error is not None:
        raise error
    return answer.body


def ask(url: str) -> Ask:
    """Return a request that carries a secret."""
    return Ask("POST", url, "odoo/matriz sale.order: count", headers={"Authorization": "bearer s3cret"}, body=b"s3cret")


def truncated(connection: socket.socket) -> None:
    """Promise more bytes than are sent."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[1, 2")
    connection.close()


def silent(connection: socket.socket) -> None:
    """Say nothing until the client gives up."""
    connection.recv(1)


CASES: list[tuple[Reply, type[ComportaError], str]] = [
    (http("down", status=502), SourceBadGateway, 'answered 502 with "down"; expected JSON'),
    (
        page("504 Gateway Time-out", status=504),
        SourceBadGateway,
        '504 with an HTML page ("<title>504 Gateway Time-out"',
    ),
    (page("Login"), SourceAnsweredPage, 'answered 200 with an HTML page ("<title>Login"); expected JSON'),
    (truncated, SourceTruncated, "the answer broke off: end of file before message length reached; expected JSON"),
    (reset, SourceUnavailable, "could not be reached: Connection reset by peer"),
    (silent, SourceTimedOut, "no answer within 0.2 s; expected JSON"),
    (http("", status=429), RateLimited, "answered 429 with an empty body"),
]
NAMES = ["502", "504 page", "page", "truncated", "reset", "silent", "429"]


@pytest.mark.parametrize(("reply", "error", "words"), CASES, ids=NAMES)
async def test_a_passing_failure_is_tried_again(
    server: ScriptedServer, build: Build, progress: Progress, *, reply: Reply, error: type[ComportaError], words: str
) -> None:
    """Two failures and an answer make an answer; the run's requests count all three."""
    server.script = [reply, reply, http([1])]
    transport = build(timeout=timedelta(seconds=0.2))

    body = await transport.send(ask(f"{server.url}/script"), progress, accept)

    assert body == b"[1]"
    throttled = 2 if error is RateLimited else 0
    told = progress.requests
    assert (told.sent, told.retried, told.throttled) == (3, 2, throttled)
    assert told.failures == {"sale.order: count": 2}


@pytest.mark.parametrize(("reply", "error", "words"), CASES, ids=NAMES)
async def test_a_lasting_failure_is_named(
    server: ScriptedServer, build: Build, progress: Progress, *, reply: Reply, error: type[ComportaError], words: str
) -> None:
    """After the last try the error says what was attempted, on what, what was seen and expected."""
    server.overrides["/x"] = reply
    transport = build(timeout=timedelta(seconds=0.2))

    with pytest.raises(error) as caught:
        await transport.send(ask(f"{server.url}/x"), progress, accept)

    assert type(caught.value) is error
    assert caught.value.message.startswith("odoo/matriz sale.order: count")
    assert words in caught.value.message
    assert "s3cret" not in repr(caught.value)
    assert len(caught.value.next_step) > 20


async def test_a_refusal_is_not_tried_again(server: ScriptedServer, build: Build, progress: Progress) -> None:
    """A 403 is the same a second later."""
    server.overrides["/x"] = page("Forbidden", status=403)

    with pytest.raises(SourceRefused) as caught:
        await build().send(ask(f"{server.url}/x"), progress, accept)

    assert progress.requests.sent == 1
    assert "firewall" in caught.value.next_step


async def test_an_error_that_a_source_names_is_tried_again(
    server: ScriptedServer, build: Build, progress: Progress
) -> None:
    """Some services refuse now and then what they allow a moment later; what lasts is reported after a few tries."""
    server.overrides["/x"] = http({}, status=403)

    with pytest.raises(SourceRefused):
        await build(retry=Retry(further={SourceRefused: 3})).send(ask(f"{server.url}/x"), progress, accept)

    assert progress.requests.sent == 3
    assert progress.told[-1].message.startswith("attempt 3 of 3 in ")


async def test_a_pause_is_for_everybody_who_shares_the_budget(
    server: ScriptedServer, build: Build, progress: Progress, clock: SteppingClock
) -> None:
    """The one was told to wait; the other, another stream of the account, does not try its own luck."""
    server.script = [http("", status=429, headers="Retry-After: 600\r\n"), http([1])]
    transport = build()
    with pytest.raises(RateLimited):
        await transport.send(ask(f"{server.url}/script"), progress, accept)

    with pytest.raises(RateLimited, match="not asked") as caught:
        await transport.send(ask(f"{server.url}/script"), Progress(clock), accept)
    clock.advance(timedelta(seconds=600))
    body = await transport.send(ask(f"{server.url}/script"), Progress(clock), accept)

    assert caught.value.retry_after == timedelta(seconds=600)
    assert body == b"[1]"


async def test_accounts_share_connections(server: ScriptedServer, clock: SteppingClock, progress: Progress) -> None:
    """A thousand accounts are not a thousand pools; closing one account's transport leaves them to the others."""
    server.overrides["/x"] = http([1])
    shared = Connections()
    budget = SharedBudgets(MemoryLog(clock), clock).of(FREE)
    first, second = (Transport(clock, dice=Random(1), budget=budget, connections=shared) for _ in range(2))

    await first.send(ask(f"{server.url}/x"), progress, accept)
    client = shared.client(is_direct=True)
    await first.aclose()
    await second.send(ask(f"{server.url}/x"), progress, accept)

    assert shared.client(is_direct=True) is client
    await shared.aclose()


async def test_pauses_grow_and_are_announced(
    server: ScriptedServer, build: Build, progress: Progress, clock: SteppingClock
) -> None:
    """Between tries the run says until when it waits and for what, so that it is not taken for hung."""
    server.overrides["/x"] = http("down", status=502)

    with pytest.raises(SourceBadGateway):
        await build().send(ask(f"{server.url}/x"), progress, accept)

    dice = Random(1)
    pauses = [0.5 * 2**n * dice.random() for n in range(4)]
    assert clock.slept == pytest.approx(pauses, abs=1e-5)
    said = 'odoo/matriz sale.order: count answered 502 with "down"; expected JSON'
    assert progress.waiting_for == f"attempt 5 of 5: {said}"
    assert [line.message for line in progress.told] == [
        f"attempt {n} of 5 in {pause:.1f} s: {said}" for n, pause in enumerate(pauses, start=2)
    ]
    assert {(line.step, line.level) for line in progress.told} == {("request_retried", "warning")}
    assert progress.requests.failures == {"sale.order: count": 5}


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_obeyed(
    server: ScriptedServer, build: Build, progress: Progress, clock: SteppingClock, *, status: int
) -> None:
    """The next request comes no sooner than the server asks, and little later."""
    server.script = [http("", status=status, headers="Retry-After: 7\r\n"), http([1])]

    await build().send(ask(f"{server.url}/script"), progress, accept)

    assert clock.slept == pytest.approx([7.0], abs=0.001)
    assert progress.requests.waited_s == pytest.approx(7.0, abs=0.001)
    assert [line.message.partition(":")[0] for line in progress.told] == ["attempt 2 of 5 in 7.0 s"]
    assert [line.fields["delay_s"] for line in progress.told] == [7.0]


async def test_the_pause_of_the_budget_is_told(server: ScriptedServer, build: Build, progress: Progress) -> None:
    """Without Retry-After: a second after the first refusal, two after the next."""
    server.script = [http("", status=429), http("", status=429), http([1])]

    await build().send(ask(f"{server.url}/script"), progress, accept)

    assert [line.fields["delay_s"] for line in progress.told] == [1.0, 2.0]


@pytest.mark.parametrize("status", [429, 503])
async def test_a_long_retry_after_is_the_runs_affair(
    server: ScriptedServer, build: Build, progress: Progress, status: int
) -> None:
    """Beyond a minute the request gives up and hands the wish to whoever plans the next attempt."""
    server.overrides["/x"] = http("", status=status, headers="Retry-After: 600\r\n")

    with pytest.raises(RateLimited) as caught:
        await build().send(ask(f"{server.url}/x"), progress, accept)

    assert caught.value.retry_after == timedelta(seconds=600)
    assert (progress.requests.sent, progress.requests.throttled) == (1, int(status == 429))


async def test_a_throttled_request_is_sent_five_times(server: ScriptedServer, build: Build, progress: Progress) -> None:
    """Five times, each when its turn comes; then the run is ended, and comes back by itself."""
    server.overrides["/x"] = http("", status=429, headers="Retry-After: 1\r\n")

    with pytest.raises(RateLimited):
        await build().send(ask(f"{server.url}/x"), progress, accept)

    assert (progress.requests.sent, progress.requests.retried, progress.requests.throttled) == (5, 4, 5)


async def test_nobody_there(build: Build, progress: Progress) -> None:
    """A refused connection says which port to look at."""
    with pytest.raises(SourceUnavailable) as caught:
        await build().send(ask("http://user:s3cret@127.0.0.1:1/x"), progress, accept)

    assert "127.0.0.1:1 could not be reached: Connection refused" in caught.value.message
    assert "port" in caught.value.next_step
    assert "s3cret" not in caught.value.message


async def test_no_such_host(build: Build, progress: Progress) -> None:
    """A name that does not resolve says to check the spelling."""
    with pytest.raises(SourceUnavailable) as caught:
        await build().send(ask("http://no-such-host.invalid/x"), progress, accept)

    assert "no-such-host.invalid could not be reached" in caught.value.message
    assert "spelling" in caught.value.next_step


async def test_tls_to_a_plain_server(server: ScriptedServer, build: Build, progress: Progress) -> None:
    """Https to a server of http says to check which of the two it is."""
    server.script = []
    url = server.url.replace("http://", "https://")

    with pytest.raises(SourceUnavailable) as caught:
        await build(timeout=timedelta(seconds=1)).send(ask(f"{url}/x"), progress, accept)

    assert caught.value.message.startswith("odoo/matriz sale.order: count")
    assert "http or https" in str(caught.value.next_step)


async def test_redirects_are_not_followed(server: ScriptedServer, build: Build, progress: Progress) -> None:
    """A redirect is reported with its target: a followed POST would lose its body, or send the key elsewhere."""
    server.overrides["/x"] = http("", status=301, headers="Location: https://erp.example.com/x?token=s3cret\r\n")

    with pytest.raises(SourceAnsweredPage) as caught:
        await build().send(ask(f"{server.url}/x"), progress, accept)

    assert "answered 301, a redirect to https://erp.example.com; expected JSON" in caught.value.message
    assert "https://erp.example.com" in caught.value.next_step


async def test_a_packed_answer_is_unpacked(server: ScriptedServer, build: Build, progress: Progress) -> None:
    """Gzip is offered and understood."""
    server.overrides["/x"] = http(gzip.compress(b"[1]"), headers="Content-Encoding: gzip\r\n")

    body = await build().send(ask(f"{server.url}/x"), progress, accept)

    assert body == b"[1]"
    assert "gzip" in server.received[0].headers["accept-encoding"]


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_a_body_has_a_bound(server: ScriptedServer, build: Build, progress: Progress, encoding: str) -> None:
    """An endless or bomb-like answer is dropped, and the message says what to make smaller."""
    body = b"x" * 5_000
    packed = gzip.compress(body) if encoding == "gzip" else body
    server.overrides["/x"] = http(packed, headers=f"Content-Encoding: {encoding}\r\n")

    with pytest.raises(SourceChangedShape, match="more than 1000 bytes") as caught:
        await build(body_max=1_000).send(ask(f"{server.url}/x"), progress, accept)

    assert "page_size" in caught.value.next_step


async def test_loopback_goes_through_no_proxy(
    server: ScriptedServer, build: Build, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy in the environment is for other machines; a simulator on this one is asked directly."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    server.overrides["/x"] = http([1])

    body = await build().send(ask(f"{server.url}/x"), progress, accept)

    assert body == b"[1]"


async def test_other_hosts_go_through_the_proxy(
    server: ScriptedServer, build: Build, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The standard variables are honoured for everything that is not loopback."""
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("http_proxy", server.url)
    server.overrides["http://erp.invalid/x"] = http([1])

    body = await build().send(ask("http://erp.invalid/x"), progress, accept)

    assert body == b"[1]"


async def test_the_limit_is_kept_by_sending_time(
    server: ScriptedServer, build: Build, progress: Progress, clock: SteppingClock
) -> None:
    """In any span of the limit no more requests leave than it allows, and the wait is counted."""
    server.overrides["/x"] = http([1])
    transport = build(BudgetTerms("x", rate=(2, timedelta(seconds=1))))

    for _ in range(5):
        await transport.send(ask(f"{server.url}/x"), progress, accept)

    assert 2.0 < sum(clock.slept) < 2.3
    assert progress.requests.sent == 5
    assert progress.requests.waited_s == pytest.approx(sum(clock.slept))
    assert progress.requests.last_s - progress.requests.first_s == pytest.approx(sum(clock.slept))  # type: ignore[operator]  # both were noted


async def test_slow_failures_do_not_add_up(
    server: ScriptedServer, build: Build, progress: Progress, clock: SteppingClock
) -> None:
    """Two failures of two minutes each are enough: a third would outlast the run's patience."""

    def slow(connection: socket.socket) -> None:
        clock.advance(timedelta(minutes=2))
        connection.sendall(http("down", status=504))

    server.overrides["/x"] = slow

    with pytest.raises(SourceBadGateway):
        await build().send(ask(f"{server.url}/x"), progress, accept)

    assert progress.requests.sent == 2


async def test_a_sequential_account_has_one_request_in_flight(
    server: ScriptedServer, build: Build, progress: Progress, clock: SteppingClock
) -> None:
    """Two requests made at once never meet at the server."""
    meeting = threading.Barrier(2)
    have_met: list[bool] = []

    def wait_for_the_other(connection: socket.socket) -> None:
        try:
            meeting.wait(timeout=0.2)
            have_met.append(True)
        except threading.BrokenBarrierError:
            have_met.append(False)
        connection.sendall(http([1]))

    server.overrides["/x"] = wait_for_the_other
    transport = build(BudgetTerms("x", in_flight_max=1))

    await asyncio.gather(*(transport.send(ask(f"{server.url}/x"), progress, accept) for _ in range(2)))

    assert have_met == [False, False]
