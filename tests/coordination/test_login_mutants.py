"""The claims about a shared login, and mutants of it: each leaves one thing out, and a claim falls.

A claim that no mutant breaks would prove nothing; a mutant that breaks none would show a part that is not needed.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from tests.coordination.login_world import LoginWorld

from comporta.coordination.logins import TTL, SharedLogin
from comporta.core.lease import Lease
from comporta.core.login import token_fingerprint
from comporta.errors import LoginNeeded, SourceUnavailable
from comporta.ledger.logins import LedgerLogins, scope_of
from comporta.ports.login import Tokens
from comporta.ports.login_store import KeptLogin, Leased
from comporta.ports.store import Occupied

Claim = Callable[[LoginWorld], Awaitable[bool]]


async def two_at_once_send_one_request(world: LoginWorld) -> bool:
    """While one waits for its answer the other waits for it, and no token is sent twice."""
    await world.process().tokens(world.progress)
    world.passes(1.1)
    world.server.script = ["sleeps after"]
    one = asyncio.ensure_future(world.process(name="one").tokens(world.progress))
    await world.server.asleep.wait()
    progress = world.progress
    other = asyncio.ensure_future(world.process(store=world.open_store(), name="other").tokens(progress))
    while len(world.server.uses) < 3 and "one" not in (progress.waiting_for or ""):
        await asyncio.sleep(0)
    world.server.awake.set()
    await asyncio.gather(one, other, return_exceptions=True)
    return world.server.uses == ["TG-0", "TG-1"]


async def whoever_comes_late_reads_again(world: LoginWorld) -> bool:
    """Both saw an old pair; the second finds the new one under the lease and sends nothing."""
    await world.process().tokens(world.progress)
    early, late = world.process(), world.process(store=world.open_store())
    await late.tokens(world.progress)
    world.passes(1.1)
    world.server.script = ["sleeps after"]
    first = asyncio.ensure_future(early.tokens(world.progress))
    await world.server.asleep.wait()
    seen = late._known
    second = asyncio.ensure_future(late.tokens(world.progress))
    while late._known is seen:
        await asyncio.sleep(0)
    world.server.awake.set()
    await asyncio.gather(first, second, return_exceptions=True)
    return world.server.uses == ["TG-0", "TG-1"]


async def the_use_is_written_ahead(world: LoginWorld) -> bool:
    """When the request arrives, the row names its token."""
    seen = []
    world.server.arrived = lambda: seen.append(world.row("state, attempt"))
    await world.process().tokens(world.progress)
    return seen == [("renewing", token_fingerprint("TG-0"))]


async def what_is_used_is_stored(world: LoginWorld) -> bool:
    """Another process finds it."""
    pair = await world.process().tokens(world.progress)
    kept = await world.open_store().look("loja1")
    return kept is not None and kept.tokens == pair


async def a_refusal_is_final(world: LoginWorld) -> bool:
    """Nobody asks a second time."""
    world.server.is_revoked = True
    for login in (world.process(), world.process()):
        with suppress(LoginNeeded, SourceUnavailable):
            await login.tokens(world.progress)
    return world.server.uses == ["TG-0"]


async def who_slept_before_sending_sends_nothing(world: LoginWorld) -> bool:
    """Another renewed meanwhile; its pair is used by both."""
    await world.process().tokens(world.progress)
    world.passes(1.1)
    world.clock.is_jumping = False
    world.server.script = ["sleeps before"]
    sleeper = asyncio.ensure_future(world.process(name="sleeper").tokens(world.progress))
    await world.server.asleep.wait()
    with suppress(SourceUnavailable):
        await stolen(world)
    world.server.awake.set()
    world.clock.is_jumping = True
    found = await asyncio.gather(sleeper, return_exceptions=True)
    return world.server.used_again == [] and [getattr(pair, "access", "") for pair in found] == ["APP_USR-2"]


async def who_slept_with_the_answer_in_hand_saves_the_login(world: LoginWorld) -> bool:
    """The other sent the same token, was refused, called for a person; then the sleeper woke."""
    await world.process().tokens(world.progress)
    world.passes(1.1)
    world.clock.is_jumping = False
    world.server.script = ["sleeps after"]
    sleeper = asyncio.ensure_future(world.process(name="sleeper").tokens(world.progress))
    await world.server.asleep.wait()
    with suppress(LoginNeeded):
        await stolen(world)
    world.server.awake.set()
    world.clock.is_jumping = True
    await asyncio.gather(sleeper, return_exceptions=True)
    return world.row("state, token") == ("good", token_fingerprint("TG-2"))


async def stolen(world: LoginWorld) -> Tokens:
    """Take over from a process that sleeps: its heart has stopped too, and its lease runs out."""
    held = world.databases[0].read(lambda s: s.one("holder", {"scope": scope_of("loja1")}))
    world.databases[0].write(
        lambda s: s.connection.execute("UPDATE cmp_scope SET expires_at = '2026-01-01T00:00:00.000000Z'")
    ).result()
    assert held is not None
    world.clock.advance(timedelta(seconds=3))
    return await world.process(store=world.open_store(), name="other").tokens(world.progress)


CLAIMS: dict[str, Claim] = {
    claim.__name__: claim
    for claim in (
        two_at_once_send_one_request,
        whoever_comes_late_reads_again,
        the_use_is_written_ahead,
        what_is_used_is_stored,
        a_refusal_is_final,
        who_slept_before_sending_sends_nothing,
        who_slept_with_the_answer_in_hand_saves_the_login,
    )
}


class NoLease(LedgerLogins):
    """Everybody is let in."""

    async def take(self, account: str, holder: str, ttl: timedelta) -> Leased | Occupied:
        return Leased(Lease(scope_of(account), 0, holder, 0), await self.look(account))

    async def begin(self, lease: Lease, account: str, refresh: str, *, is_first: bool, ttl: timedelta) -> None:
        if is_first:
            granted = await super().take(account, lease.holder, ttl)
            assert isinstance(granted, Leased)
            await super().begin(granted.lease, account, refresh, is_first=True, ttl=ttl)

    async def may_send(self, lease: Lease, account: str, refresh: str, ttl: timedelta) -> bool:
        return True


class NothingAhead(LedgerLogins):
    """The use of a token is not written before it."""

    async def begin(self, lease: Lease, account: str, refresh: str, *, is_first: bool, ttl: timedelta) -> None:
        await super().begin(lease, account, refresh, is_first=is_first, ttl=ttl)
        self._database.write(
            lambda s: s.connection.execute("UPDATE cmp_login SET state = 'good', attempt = NULL")
        ).result()

    async def may_send(self, lease: Lease, account: str, refresh: str, ttl: timedelta) -> bool:
        return True


class NoSecondLook(LedgerLogins):
    """The row is not read again under the lease, nor compared when the use is written ahead."""

    seen: KeptLogin | None = None

    async def look(self, account: str) -> KeptLogin | None:
        self.seen = await super().look(account)
        return self.seen

    async def take(self, account: str, holder: str, ttl: timedelta) -> Leased | Occupied:
        before = self.seen
        while isinstance(answer := await super().take(account, holder, ttl), Occupied):
            await asyncio.sleep(0)
        return Leased(answer.lease, before)

    async def begin(self, lease: Lease, account: str, refresh: str, *, is_first: bool, ttl: timedelta) -> None:
        if is_first:
            await super().begin(lease, account, refresh, is_first=is_first, ttl=ttl)

    async def may_send(self, lease: Lease, account: str, refresh: str, ttl: timedelta) -> bool:
        return True


class NoLastLook(LedgerLogins):
    """Nobody looks at the lease right before sending."""

    async def may_send(self, lease: Lease, account: str, refresh: str, ttl: timedelta) -> bool:
        return True


class RefusedForNothing(LedgerLogins):
    """A refusal is taken for trouble."""

    async def refuse(self, lease: Lease, account: str, used: str, reason: str) -> bool:
        await self.release(lease)
        return reason == account + used


class OnlyWithTheLease(LedgerLogins):
    """A new pair is stored only by who holds the lease."""

    async def keep(self, lease: Lease, account: str, used: str, tokens: Tokens) -> bool:
        return await self.extend(lease, TTL) and await super().keep(lease, account, used, tokens)


class UsedBeforeStored(SharedLogin):
    """The new pair is used, and stored when there is time."""

    async def _keep(self, leased: Leased, used: str, tokens: Tokens, *, patience_s: float) -> bool:
        raise Given(tokens)

    async def _obtain(self, progress, refused):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202  # its base's signature
        try:
            return await super()._obtain(progress, refused)
        except Given as given:
            return given.tokens


@dataclass
class Given(Exception):
    """A pair on its way past the store."""

    tokens: Tokens


MUTANTS: dict[str, tuple[type[LedgerLogins], type[SharedLogin], Claim]] = {
    "renewed without a lease": (NoLease, SharedLogin, two_at_once_send_one_request),
    "not written ahead": (NothingAhead, SharedLogin, the_use_is_written_ahead),
    "refreshed again instead of read again": (NoSecondLook, SharedLogin, whoever_comes_late_reads_again),
    "used before it is stored": (LedgerLogins, UsedBeforeStored, what_is_used_is_stored),
    "a refusal taken for trouble": (RefusedForNothing, SharedLogin, a_refusal_is_final),
    "no look right before sending": (NoLastLook, SharedLogin, who_slept_before_sending_sends_nothing),
    "stored only under the lease": (OnlyWithTheLease, SharedLogin, who_slept_with_the_answer_in_hand_saves_the_login),
}


@pytest.fixture
def new_world(migrated: Path, tmp_path: Path) -> Iterator[Callable[..., LoginWorld]]:
    """Return what makes worlds, each on a file of its own."""
    opened: list[LoginWorld] = []

    def make(store_kind: type[LedgerLogins], kind: type[SharedLogin]) -> LoginWorld:
        path = tmp_path / f"{len(opened)}.db"
        shutil.copy(migrated, path)
        opened.append(LoginWorld(path, kind=kind, store_kind=store_kind))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


@pytest.mark.parametrize("name", CLAIMS)
async def test_the_claim_holds(name: str, new_world: Callable[..., LoginWorld]) -> None:
    """For the product as it is."""
    assert await CLAIMS[name](new_world(LedgerLogins, SharedLogin))


@pytest.mark.parametrize("name", MUTANTS)
async def test_the_mutant_is_caught(name: str, new_world: Callable[..., LoginWorld]) -> None:
    """By the claim about the thing that it leaves out."""
    store_kind, kind, claim = MUTANTS[name]

    assert not await claim(new_world(store_kind, kind))
