"""Who comes late, or finds somebody else at it: streams and processes that share a login."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

import pytest
from tests.coordination.login_world import ACCOUNT, LoginWorld
from tests.coordination.test_logins import Busy, world

from comporta.coordination import logins
from comporta.coordination.logins import TTL
from comporta.errors import DestinationBusy, LeaseLost, SourceRefused, SourceUnavailable
from comporta.ledger.logins import LedgerLogins
from comporta.ports.login_store import LoginStore
from comporta.ports.store import Occupied

__all__ = ["world"]


@dataclass
class Meddled:
    """A store before which somebody else's hand is quicker, once."""

    store: LedgerLogins
    method: str
    meddle: str

    def __getattr__(self, name: str) -> object:
        if name != self.method:
            return getattr(self.store, name)
        self.method = ""
        return getattr(self, self.meddle)

    async def forbids(self, *_: object, **__: object) -> bool:
        return False

    async def loses(self, *_: object, **__: object) -> None:
        raise LeaseLost("another took over")


@dataclass
class Late:
    """A store whose lease is taken by a way of the test's."""

    store: LedgerLogins
    take: object

    def __getattr__(self, name: str) -> object:
        return getattr(self.store, name)


def test_a_login_shown_tells_no_token(world: LoginWorld) -> None:
    """As in a traceback with values."""
    assert repr(world.process()) == f"SharedLogin({ACCOUNT!r})"


async def test_a_refusal_of_a_pair_that_was_replaced_since_buys_no_other(world: LoginWorld) -> None:
    """An answer that took long is about the pair that it was asked with."""
    login = world.process()
    old = await login.tokens(world.progress)
    new = await login.refused(old, world.progress)

    assert await login.refused(old, world.progress) == new
    assert world.server.uses == ["TG-0", "TG-1"]


async def test_a_pair_bought_for_a_refused_one_and_refused_too_is_no_reason_to_buy_another(world: LoginWorld) -> None:
    """The source refuses something else than the token; a minute later it may be the token again."""
    login = world.process()
    first = await login.tokens(world.progress)
    second = await login.refused(first, world.progress)
    with pytest.raises(SourceRefused, match="a new pair of tokens and refuses it too"):
        await login.refused(second, world.progress)
    uses = list(world.server.uses)
    world.clock.advance(timedelta(minutes=1))

    assert uses == ["TG-0", "TG-1"]
    assert (await login.refused(second, world.progress)).access == "APP_USR-3"


async def test_while_another_process_renews_the_present_pair_is_used(world: LoginWorld) -> None:
    """It holds for half of its life yet; nobody waits."""
    login = world.process()
    pair = await login.tokens(world.progress)
    world.passes()
    await world.open_store().take(ACCOUNT, "host:2", TTL)
    slept = len(world.clock.slept)

    assert await login.tokens(world.progress) == pair
    assert len(world.clock.slept) == slept
    assert world.server.uses == ["TG-0"]


async def test_without_a_pair_it_waits_for_the_other_process_and_then_says_for_whom(
    world: LoginWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A holder that keeps its lease and brings nothing is named, with the way to free it."""
    monkeypatch.setattr(logins, "PATIENCE_S", 5.0)
    login, theirs = world.process(), world.open_store()
    await theirs.take(ACCOUNT, "host:2", timedelta(minutes=5))
    with pytest.raises(SourceUnavailable, match="for host:2 to renew the login") as told:
        await login.tokens(world.progress)

    assert "comporta unlock" in told.value.next_step
    assert world.clock.slept.count(logins.LOOK_EVERY) == timedelta(seconds=5) / logins.LOOK_EVERY
    assert world.server.uses == []


async def test_who_takes_the_lease_after_another_has_renewed_sends_nothing(world: LoginWorld) -> None:
    """Between the look and the lease another process did it."""
    login = world.process()
    await login.tokens(world.progress)
    world.passes()
    take = world.store.take

    async def late(account: str, holder: str, ttl: timedelta) -> object:
        login._store = world.store
        await world.process(store=world.open_store(), name="host:2").tokens(world.progress)
        return await take(account, holder, ttl)

    login._store = cast("LoginStore", Late(world.store, late))

    assert (await login.tokens(world.progress)).access == "APP_USR-2"
    assert world.server.uses == ["TG-0", "TG-1"]
    assert (await world.store.take(ACCOUNT, "host:3", TTL)).lease is not None  # type: ignore[union-attr]  # it is free


async def test_a_lease_that_is_lost_before_the_attempt_is_written_sends_nothing(world: LoginWorld) -> None:
    """It looks again, and goes by what it finds."""
    login = world.process(store=cast("LoginStore", Meddled(world.store, "begin", "loses")))

    assert (await login.tokens(world.progress)).access == "APP_USR-1"
    assert world.server.uses == ["TG-0"]


async def test_what_may_not_be_sent_any_more_is_not_sent(world: LoginWorld) -> None:
    """Before the request it is asked once more whether the attempt that was written ahead is still ours."""
    login = world.process(store=cast("LoginStore", Meddled(world.store, "may_send", "forbids")))

    assert (await login.tokens(world.progress)).access == "APP_USR-1"
    assert world.server.uses == ["TG-0"]
    assert world.reached.count("login_written") == 2
    assert world.reached.count("login_checked") == 1


async def test_a_slow_answer_finds_the_lease_still_ours(world: LoginWorld) -> None:
    """It is renewed meanwhile, so that no other process takes it and asks too."""
    login, theirs = world.process(), world.open_store()
    world.server.script = ["sleeps after"]
    asked = asyncio.ensure_future(login.tokens(world.progress))
    await world.server.asleep.wait()
    await world.clock.sleep(TTL * 2)
    other = await theirs.take(ACCOUNT, "host:2", TTL)
    world.server.awake.set()

    assert isinstance(other, Occupied)
    assert (await asked).access == "APP_USR-1"


async def test_a_pair_that_waits_in_memory_is_stored_when_the_process_ends(
    world: LoginWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It exists nowhere else."""
    monkeypatch.setattr(logins, "KEEP_PATIENCE_S", 2.0)
    login = world.process(store=cast("LoginStore", Busy(world.store, "keep", 300)))
    with pytest.raises(DestinationBusy):
        await login.tokens(world.progress)
    login._store = world.store
    await login.aclose()

    assert world.row() == ("good",)
    assert not login.is_under_way


async def test_a_process_that_never_asked_ends_at_once(world: LoginWorld) -> None:
    """There is nothing to wait for."""
    await world.process().aclose()

    assert world.server.uses == []


async def test_who_comes_while_a_renewal_has_nobody_waits_for_it(world: LoginWorld) -> None:
    """Whoever began it was cancelled: its pair is for the next."""
    login = world.process()
    world.server.script = ["sleeps after"]
    first = asyncio.ensure_future(login.tokens(world.progress))
    await world.server.asleep.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    second = asyncio.ensure_future(login.tokens(world.progress))
    await asyncio.sleep(0)
    world.server.awake.set()

    assert (await second).access == "APP_USR-1"
    assert world.server.uses == ["TG-0"]
