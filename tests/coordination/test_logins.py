"""A login that is shared: renewed once, never used before it is stored, and never lost by us."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
from tests.coordination.login_world import Killed, LoginWorld

from comporta.coordination.logins import KEEP_PAUSE, LOOK_EVERY, TTL
from comporta.core.login import token_fingerprint
from comporta.errors import DestinationBusy, LoginNeeded, SourceBadGateway, SourceUnavailable
from comporta.ledger.logins import LedgerLogins
from comporta.ports.login_store import LoginStore

POINTS = ("login_leased", "login_written", "login_checked", "login_answered", "login_kept")


@pytest.fixture
def world(path: Path) -> Iterator[LoginWorld]:
    """Return a server and a database, and no process yet."""
    opened = LoginWorld(path)
    yield opened
    opened.close()


async def test_a_first_token_becomes_a_pair_that_is_used_for_half_of_its_life(world: LoginWorld) -> None:
    """One request for all the calls of three hours, whoever asks."""
    login = world.process()
    pairs = [await login.tokens(world.progress) for _ in range(3)]
    world.passes(0.49)
    pairs.append(await world.process().tokens(world.progress))

    assert {pair.access for pair in pairs} == {"APP_USR-1"}
    assert world.server.uses == ["TG-0"]


async def test_who_never_granted_access_is_not_told_to_do_so_again(world: LoginWorld) -> None:
    """The account stands in the settings, and nobody has connected it yet."""
    world.first = None

    with pytest.raises(LoginNeeded, match="no access was granted yet") as told:
        await world.process().tokens(world.progress)

    assert told.value.next_step.startswith("Grant access: `comporta connect")


async def test_it_is_renewed_when_half_of_its_life_is_over(world: LoginWorld) -> None:
    """Long before it ends, so that trouble has time to pass."""
    login = world.process()
    await login.tokens(world.progress)
    world.passes(0.51)

    assert (await login.tokens(world.progress)).access == "APP_USR-2"
    assert world.server.uses == ["TG-0", "TG-1"]
    assert world.row("state, attempt, attempts") == ("good", None, 0)


async def test_many_streams_of_many_processes_renew_once(world: LoginWorld) -> None:
    """Twenty that ask at once, in four processes, make one request."""
    logins = [world.process(store=world.open_store(), name=f"host:{number}") for number in range(4)]

    pairs = await asyncio.gather(*(login.tokens(world.progress) for login in logins for _ in range(5)))

    assert {pair.access for pair in pairs} == {"APP_USR-1"}
    assert world.server.uses == ["TG-0"]


async def test_a_pair_that_is_refused_is_renewed_once_for_all_who_see_it(world: LoginWorld) -> None:
    """Eight requests that fail together buy one new pair."""
    login = world.process()
    pair = await login.tokens(world.progress)

    found = await asyncio.gather(*(login.refused(pair, world.progress) for _ in range(8)))

    assert {each.access for each in found} == {"APP_USR-2"}
    assert world.server.uses == ["TG-0", "TG-1"]


async def test_a_refused_pair_that_another_process_replaced_is_read_not_renewed(world: LoginWorld) -> None:
    """The store is read again before anything is sent."""
    ours, theirs = world.process(), world.process(store=world.open_store())
    pair = await ours.tokens(world.progress)
    await theirs.tokens(world.progress)
    await theirs.refused(pair, world.progress)

    assert (await ours.refused(pair, world.progress)).access == "APP_USR-2"
    assert world.server.uses == ["TG-0", "TG-1"]


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("share", [0.6, 1.1], ids=["still valid", "expired"])
async def test_killed_between_any_two_steps(world: LoginWorld, point: str, share: float) -> None:
    """Only between the server's answer and the disk is a login lost, and then it is told as what it is."""
    await world.process().tokens(world.progress)
    world.passes(share)
    with pytest.raises(Killed):
        await world.process(dies_at=point).tokens(world.progress)
    world.clock.advance(TTL)
    survivor = world.process()
    if point == "login_answered":
        with pytest.raises(LoginNeeded, match="was never answered"):
            await survivor.tokens(world.progress)
        assert world.row() == ("needs_login",)
        return

    pair = await survivor.tokens(world.progress)

    assert pair.refresh == world.server.newest
    assert pair.access == "APP_USR-2"
    assert world.server.used_again == []


@pytest.mark.parametrize("times", [1, 5])
@pytest.mark.parametrize("fault", ["killed before", "cut before"])
async def test_before_the_server_has_rotated_nothing_is_lost(world: LoginWorld, fault: str, times: int) -> None:
    """However often the request dies on its way, the same token is used until it is answered."""
    await world.process().tokens(world.progress)
    world.passes(1.1)
    world.server.script = [fault] * times
    pair = None
    for _ in range(times + 1):
        try:
            pair = await world.process().tokens(world.progress)
        except (Killed, SourceUnavailable):
            world.clock.advance(TTL)

    assert pair is not None
    assert pair.access == "APP_USR-2"
    assert world.server.used_again == []


async def test_an_answer_that_never_came_is_one_repetition_and_then_a_person_s(world: LoginWorld) -> None:
    """The server had rotated: the same token is sent once more, refused, and never again."""
    await world.process().tokens(world.progress)
    world.passes(1.1)
    world.server.script = ["cut"]
    login = world.process()
    with pytest.raises(LoginNeeded, match="was never answered"):
        await login.tokens(world.progress)
    for each in (login, world.process()):
        with pytest.raises(LoginNeeded, match="needs login"):
            await each.tokens(world.progress)

    assert world.server.uses == ["TG-0", "TG-1", "TG-1"]
    assert world.server.lost_answers == 1


async def test_the_attempt_is_written_ahead(world: LoginWorld) -> None:
    """While the request is under way, the database tells which token is being used."""
    await world.process().tokens(world.progress)
    world.passes()
    seen = []
    world.server.arrived = lambda: seen.append(world.row("state, attempt, attempts"))
    await world.process().tokens(world.progress)

    assert seen == [("renewing", token_fingerprint("TG-1"), 1)]


async def test_a_pair_is_stored_before_it_is_used(world: LoginWorld) -> None:
    """What the caller is given, another process finds in the database."""
    pair = await world.process().tokens(world.progress)
    kept = await world.open_store().look("loja1")

    assert kept is not None
    assert kept.tokens == pair


@pytest.mark.parametrize("fault", ["500", "cut before"])
async def test_trouble_is_no_error_while_the_present_pair_is_valid(world: LoginWorld, fault: str) -> None:
    """It is used on, the next try waits, and then renews."""
    login = world.process()
    await login.tokens(world.progress)
    world.passes()
    world.server.script = [fault]
    progress = world.progress
    before = [(await login.tokens(progress)).access for _ in range(3)]
    world.clock.advance(TTL)
    after = await login.tokens(world.progress)

    assert before == ["APP_USR-1"] * 3
    assert [line.step for line in progress.told] == ["login_not_renewed"]
    assert after.access == "APP_USR-2"


async def test_trouble_without_a_valid_pair_is_tried_three_times_and_is_no_refusal(world: LoginWorld) -> None:
    """The run fails with what the server said, and may come again."""
    login = world.process()
    await login.tokens(world.progress)
    world.passes(1.1)
    world.server.script = ["500"] * 3
    with pytest.raises(SourceUnavailable, match="says 500"):
        await login.tokens(world.progress)

    assert world.row("state, attempts") == ("good", 3)
    assert (await login.tokens(world.progress)).access == "APP_USR-2"


async def test_trouble_is_shared_by_all_who_waited(world: LoginWorld) -> None:
    """Ten streams that wait fail together, after the three tries of one."""
    login = world.process()
    world.server.script = ["500"] * 30

    found = await asyncio.gather(*(login.tokens(world.progress) for _ in range(10)), return_exceptions=True)

    assert {type(each) for each in found} == {SourceBadGateway}
    assert len(world.server.uses) == 3


async def test_a_revoked_login_makes_no_further_request(world: LoginWorld) -> None:
    """Every later call says so at once, with the next step."""
    login = world.process()
    await login.tokens(world.progress)
    world.passes()
    world.server.is_revoked = True
    for each in (login, login, world.process()):
        with pytest.raises(LoginNeeded) as raised:
            await each.tokens(world.progress)
        assert "comporta connect mercadolivre loja1" in raised.value.next_step

    assert world.server.uses == ["TG-0", "TG-1"]


async def test_another_first_token_in_the_settings_begins_anew_and_each_only_once(world: LoginWorld) -> None:
    """Compared by fingerprint; one that was used before is not tried again, also not after another."""
    login = world.process()
    await login.tokens(world.progress)
    world.passes()
    world.server.is_revoked = True
    with pytest.raises(LoginNeeded):
        await login.tokens(world.progress)
    world.server.is_revoked = False
    world.server.newest = world.first = "TG-another"
    pair = await login.tokens(world.progress)
    world.server.is_revoked = True
    world.passes()
    for first in ("TG-another", "TG-0", "TG-another"):
        world.first = first
        with pytest.raises(LoginNeeded):
            await login.tokens(world.progress)

    assert pair.access == "APP_USR-2"
    assert world.server.uses == ["TG-0", "TG-1", "TG-another", "TG-2"]


@dataclass
class Busy:
    """A store of which one method fails a few times."""

    store: LedgerLogins
    method: str
    times: int

    def __getattr__(self, name: str) -> object:
        if name != self.method or not self.times:
            return getattr(self.store, name)
        self.times -= 1
        return self._fail

    async def _fail(self, *_: object, **__: object) -> None:
        raise DestinationBusy("locked")


async def test_a_database_that_cannot_write_ahead_leaves_no_lease_behind(world: LoginWorld) -> None:
    """Nothing was sent, so whoever comes next need not wait."""
    login = world.process(store=cast("LoginStore", Busy(world.store, "begin", 1)))
    with pytest.raises(DestinationBusy):
        await login.tokens(world.progress)
    pair = await login.tokens(world.progress)

    assert pair.access == "APP_USR-1"
    assert LOOK_EVERY not in world.clock.slept


async def test_a_new_pair_waits_for_a_database_in_trouble(world: LoginWorld) -> None:
    """It exists nowhere else: it is tried again until it is stored, and not used before."""
    login = world.process(store=cast("LoginStore", Busy(world.store, "keep", 5)))

    pair = await login.tokens(world.progress)

    assert pair.access == "APP_USR-1"
    assert world.clock.slept.count(KEEP_PAUSE) == 5
    assert world.server.uses == ["TG-0"]


@pytest.mark.full
async def test_a_pair_that_could_not_be_stored_is_stored_later(world: LoginWorld) -> None:
    """The run ends after a while, the pair waits on in memory, and comes before anything else is done."""
    login = world.process(store=cast("LoginStore", Busy(world.store, "keep", 300)))
    with pytest.raises(DestinationBusy):
        await login.tokens(world.progress)
    assert world.row() == ("renewing",)
    was_under_way = login.is_under_way
    login._store = world.store

    pair = await login.tokens(world.progress)

    assert (was_under_way, login.is_under_way) == (True, False)
    assert pair.access == "APP_USR-1"
    assert world.server.uses == ["TG-0"]


async def test_whoever_is_cancelled_does_not_take_the_renewal_along(world: LoginWorld) -> None:
    """The answer exists once: the renewal goes on, and is stored; until then the process says that it may not end."""
    login = world.process()
    assert not login.is_under_way
    world.server.script = ["sleeps after"]
    task = asyncio.ensure_future(login.tokens(world.progress))
    await world.server.asleep.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    is_under_way = login.is_under_way
    world.server.awake.set()
    await login.aclose()

    assert (is_under_way, login.is_under_way) == (True, False)
    assert world.row() == ("good",)
    assert (await login.tokens(world.progress)).access == "APP_USR-1"
    assert world.server.uses == ["TG-0"]


async def test_only_a_token_that_was_sent_keeps_a_process_from_ending(world: LoginWorld) -> None:
    """From just before it is sent until the new pair is stored; a look into a dead database loses nothing."""
    login, seen = world.process(), dict[str, bool]()
    login._checkpoint = lambda name: seen.update({name: login.is_under_way})
    await login.tokens(world.progress)

    assert seen == {
        "login_leased": False,
        "login_written": False,
        "login_checked": True,
        "login_answered": True,
        "login_kept": False,
    }


@pytest.mark.parametrize("fault", ["500", "cut", "cut before"])
async def test_a_renewal_that_brought_nothing_keeps_no_process_from_ending(world: LoginWorld, fault: str) -> None:
    """There is nothing to be stored."""
    login = world.process()
    world.server.script = [fault] * 9
    with pytest.raises((SourceUnavailable, LoginNeeded)):
        await login.tokens(world.progress)

    assert not login.is_under_way


async def test_another_first_token_is_used_at_once_when_the_present_one_is_refused(world: LoginWorld) -> None:
    """Nobody has to try twice after having granted access again and written the new token into the settings."""
    login = world.process()
    await login.tokens(world.progress)
    world.passes(1.5)
    world.first, world.server.newest = "TG-anew", "TG-anew"

    again = await login.tokens(world.progress)

    assert again.refresh == world.server.newest
    assert world.server.used_again == []


async def test_a_renewal_that_does_not_say_whose_pair_it_is_is_one(world: LoginWorld) -> None:
    """The pair is used, of whom the account has read so far, and its token buys the next."""
    login = world.process()
    await login.tokens(world.progress)
    world.server.user = ""
    world.passes()
    unsaid = await login.tokens(world.progress)
    world.passes()
    after = await login.tokens(world.progress)

    assert [(each.access, each.user_id) for each in (unsaid, after)] == [("APP_USR-2", "1001"), ("APP_USR-3", "1001")]
    assert world.server.used_again == []


async def test_a_first_token_of_somebody_else_is_told_and_not_kept(world: LoginWorld) -> None:
    """Two sellers' rows would mix; and the account could not be granted to its own seller again."""
    login = world.process()
    await login.tokens(world.progress)
    world.server.is_revoked = True
    world.passes(1.1)
    with pytest.raises(LoginNeeded):
        await login.tokens(world.progress)
    world.server.is_revoked, world.server.user = False, "1002"
    world.first = world.server.newest = "TG-theirs"

    with pytest.raises(LoginNeeded) as told:
        await login.tokens(world.progress)

    assert "opens the data of 1002, and this account reads 1001" in told.value.message
    assert world.row("state, user_id") == ("needs_login", "1001")
    assert world.server.uses[-1] == "TG-theirs"
