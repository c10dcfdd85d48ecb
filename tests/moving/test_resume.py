"""A move that was cut off anywhere goes on, or is taken back; and at no moment could both databases be synced."""

import itertools
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from threading import Event

import pytest
from tests.moving.conftest import Address
from tests.moving.scissors import CutError, Scissors
from tests.moving.shop import Interrupting, Shop, abandon, move
from tests.moving.stage import contents, is_open, is_there, mirrored
from tests.servers.proxy import Odds, Proxy

from comporta.errors import ComportaError, DatabaseSealed, WrongUse

pytestmark = pytest.mark.timeout(600)

KINDS = ["sqlite", pytest.param("postgres", marks=pytest.mark.full)]
EDGE = 6
"""So many moments at the beginning and at the end of a move, where seals change, are always tried."""
Moment = tuple[int, bool]


@dataclass
class Play:
    """One shop that is moved again and again, from the same beginning, and cut off each time."""

    synced: Shop
    shop: Shop
    new_database: Address
    scissors: Scissors
    kind: str

    def __post_init__(self) -> None:
        self.before = contents(self.synced.database)
        self.begin()
        self.scissors.count = 0
        move(self.source, self.target)
        self.last = self.scissors.count

    @property
    def source(self) -> str:
        """Return what is moved."""
        return self.shop.database

    def begin(self) -> None:
        """Begin once more, with a new database to move to."""
        self.shop.copy_of(self.synced)
        self.target = self.new_database(self.kind)

    def moments(self) -> list[Moment]:
        """Return every moment: before each transaction, and after its COMMIT."""
        return [(at, is_before) for at in range(1, self.last + 1) for is_before in (True, False)]

    def some_moments(self, *, is_deep: bool) -> list[Moment]:
        """Return those at both ends, and some between them; with ``--deep`` all, or over the network more."""
        moments = self.moments()
        if is_deep and self.kind == "sqlite":
            return moments
        return moments[:EDGE] + Random().sample(moments[EDGE:-EDGE], 10 if is_deep else 4) + moments[-EDGE:]

    def cut_off(self, what: Callable[[str, str], object], moment: Moment) -> bool:
        """Do it and cut it off; say whether it came that far."""
        self.scissors.count, (self.scissors.cut_at, self.scissors.is_before) = 0, moment
        try:
            what(self.source, self.target)
        except CutError:
            return True
        finally:
            self.scissors.cut_at = None
        return False

    def is_safe(self) -> bool:
        """Tell whether nobody can sync into both, nor into a part of a copy."""
        if not is_there(self.target) or not is_open(self.target):
            return True
        return not any(contents(self.target).values()) or not is_open(self.source)


@pytest.fixture(params=KINDS)
def play(request: pytest.FixtureRequest, synced: Shop, shop: Shop, new_database: Address, scissors: Scissors) -> Play:
    """Return the play for each kind of new database."""
    return Play(synced, shop, new_database, scissors, request.param)


@pytest.mark.full
def test_cut_off_at_any_transaction_a_move_goes_on_to_the_same_end(play: Play, *, is_deep: bool) -> None:
    """Before it or after its COMMIT; no row twice, none left out; and never are both databases open."""
    goes_on_from(play, play.some_moments(is_deep=is_deep))


def goes_on_from(play: Play, moments: list[Moment]) -> None:
    """Cut a move off at each moment, go on, and look."""
    for moment in moments:
        play.begin()
        is_cut, is_safe = play.cut_off(move, moment), play.is_safe()
        is_ended = is_there(play.target) and is_open(play.target) and any(contents(play.target).values())
        if not is_ended:
            move(play.source, play.target)

        assert (moment, is_cut, is_safe) == (moment, True, True)
        assert (moment, is_ended) == (moment, moment == (play.last, False))
        assert contents(play.target) == play.before
        assert (is_open(play.source), is_open(play.target)) == (False, True)


@pytest.mark.full
def test_cut_off_at_any_transaction_a_move_is_taken_back_without_a_trace(play: Play, *, is_deep: bool) -> None:
    """Also when that is cut off itself; afterwards the old database is as before, and may be moved again."""
    is_taken_back_from(play, play.some_moments(is_deep=is_deep)[:-1])


def is_taken_back_from(play: Play, moments: list[Moment]) -> None:
    """Cut a move off at each moment, take it back, cutting that off too, and look."""
    ends = itertools.cycle(itertools.product((1, 2, 3), (True, False)))
    for moment in moments:
        play.begin()
        play.cut_off(move, moment)
        if is_open(play.source):  # nothing was begun
            with pytest.raises(WrongUse, match="is not being moved"):
                abandon(play.source, play.target)
            continue
        play.cut_off(abandon, next(ends))
        is_safe = play.is_safe()
        if not is_open(play.source) or (is_there(play.target) and not is_open(play.target)):
            abandon(play.source, play.target)

        assert (moment, is_safe, is_open(play.source)) == (moment, True, True)
        assert not is_there(play.target) or not any(contents(play.target).values())
        assert mirrored(play.target) == []
        assert contents(play.source) == play.before
        move(play.source, play.target)
        assert contents(play.target) == play.before


def test_a_move_that_has_ended_is_not_taken_back(shop: Shop, new_database: Address) -> None:
    """The new database may have been synced since."""
    target = new_database("sqlite")
    move(shop.database, target)

    with pytest.raises(WrongUse, match="the move has ended") as refused:
        abandon(shop.database, target)
    with pytest.raises(DatabaseSealed, match="its data was moved to"):
        move(shop.database, target)
    assert "move the other way" in refused.value.next_step
    assert is_open(target)


@pytest.mark.full
def test_an_unfinished_copy_out_of_reach_does_not_hold_the_old_database(
    shop: Shop, postgres_proxy: Proxy, scissors: Scissors
) -> None:
    """It is opened again; the copy stays sealed, and is dropped when it can be reached."""
    target, before = postgres_proxy.url, contents(shop.database)
    scissors.cut_at = 20
    with pytest.raises(CutError):
        move(shop.database, target)
    scissors.cut_at = None
    postgres_proxy.refuse()
    reason = abandon(shop.database, target)
    after = contents(shop.database)
    postgres_proxy.accept()
    is_target_open = is_open(target)
    left = abandon(shop.database, target)

    assert reason is not None
    assert "nobody listens" in reason
    assert after == before
    assert is_open(shop.database)
    assert not is_target_open
    assert (left, is_there(target)) == (None, False)


@pytest.mark.parametrize("kind", KINDS)
def test_a_move_taken_back_while_it_runs_ends_and_writes_nothing_more(
    shop: Shop, new_database: Address, kind: str
) -> None:
    """Its copy is not its own any more, or not there."""
    target, before = new_database(kind), contents(shop.database)

    with pytest.raises(ComportaError, match=r"took it back|cmp_now\(\) does not exist"):
        move(shop.database, target, Interrupting("cmp_stream", lambda: abandon(shop.database, target)))
    assert (is_open(shop.database), is_there(target)) == (True, False)
    assert contents(shop.database) == before


@pytest.mark.full
@pytest.mark.parametrize("play", ["sqlite"], indirect=True)
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_move_taken_back_at_its_last_moment_does_not_leave_both_open(play: Play, steps: int) -> None:
    """It has sealed the old database for good and is about to open the new one, while that is taken back, so far."""
    play.begin()
    play.scissors.count, play.scissors.cut_at = 0, play.last
    play.scissors.instead = lambda: play.cut_off(abandon, (steps, False))
    with pytest.raises(WrongUse, match="took the move back"):
        move(play.source, play.target)
    is_target_open = is_there(play.target) and is_open(play.target)
    if not is_open(play.source) or is_there(play.target):
        abandon(play.source, play.target)

    assert not is_target_open
    assert contents(play.source) == play.before
    assert (is_open(play.source), is_there(play.target)) == (True, False)


@pytest.mark.full
@pytest.mark.parametrize("play", ["sqlite"], indirect=True)
def test_a_page_is_not_written_into_the_copy_of_another_move(play: Play) -> None:
    """Though that one is just as far: it may have been read before something changed."""
    play.begin()
    at = play.last - EDGE

    def begin_anew() -> None:
        abandon(play.source, play.target)
        assert play.cut_off(move, (at, True))

    play.scissors.count, play.scissors.cut_at, play.scissors.instead = 0, at, begin_anew
    with pytest.raises(ComportaError, match="took it back"):
        move(play.source, play.target)
    rows = sum(map(len, contents(play.target).values()))
    move(play.source, play.target)

    assert 0 < rows < sum(map(len, play.before.values()))
    assert contents(play.target) == play.before


@pytest.mark.full
def test_of_two_processes_that_move_at_once_one_moves(shop: Shop, new_database: Address) -> None:
    """The other finds the work done, or is told."""
    target, before = new_database("postgres"), contents(shop.database)

    with pytest.raises(ComportaError, match="another process"):
        move(shop.database, target, Interrupting("cmp_stream", lambda: move(shop.database, target)))
    assert (is_open(shop.database), is_open(target)) == (False, True)
    assert contents(target) == before


@pytest.mark.full
@pytest.mark.parametrize(("word", "skip"), [("Comparing", 0), *(("cmp_scope", skip) for skip in (3, *range(0, 30, 7)))])
def test_an_answer_to_commit_that_is_lost_is_no_reason_to_fail(
    small_pages: Shop, postgres_proxy: Proxy, word: str, skip: int
) -> None:
    """What was asked is looked up, and done again only if it was not done."""
    before, told = (
        contents(small_pages.database),
        Interrupting(word, lambda: postgres_proxy.on_commit("swallow", skip=skip)),
    )
    move(small_pages.database, postgres_proxy.url, told)

    assert postgres_proxy.counts["swallowed"] == 1
    assert contents(postgres_proxy.url) == before
    assert [line for line in told if "odoo_sale_order:" in line] == ["  odoo_sale_order: 30 rows"]


@pytest.fixture
def small_pages(shop: Shop, scissors: Scissors) -> Shop:
    """Return a shop whose move takes many transactions; nothing is cut by scissors."""
    assert scissors.cut_at is None
    return shop


@pytest.mark.full
@pytest.mark.parametrize("direction", ["to", "from"])
def test_over_a_line_that_breaks_all_the_time_a_move_comes_to_its_end(
    small_pages: Shop, new_database: Address, postgres_proxy: Proxy, chaos_seed: int, direction: str
) -> None:
    """Answers to COMMIT are lost, connections cut: the command is given again until it ends well."""
    shop, before = small_pages, contents(small_pages.database)
    if direction == "from":
        move(shop.database, postgres_proxy.url)
        shop.use(postgres_proxy.url)
    target = postgres_proxy.url if direction == "to" else new_database("sqlite")
    postgres_proxy.roll(chaos_seed, Odds(drop_before=0.05, swallow=0.1, cut=0.005))
    failed = 0
    while not _ends_well(shop.database, target):
        failed += 1
        assert failed < 200
    postgres_proxy.roll(chaos_seed, Odds())

    assert contents(target) == before
    assert (is_open(shop.database), is_open(target)) == (False, True)
    assert postgres_proxy.counts["cut"] + postgres_proxy.counts["swallowed"] > 0


def _ends_well(source: str, target: str) -> bool:
    try:
        move(source, target)
    except DatabaseSealed:
        return True  # the last answer was lost
    except ComportaError:
        return False
    return True


@pytest.mark.full
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_killed_at_random_moments_a_move_comes_to_its_end(
    shop: Shop, new_database: Address, chaos_seed: int, kind: str
) -> None:
    """Kill -9, again and again; both ways."""
    dice, before = Random(chaos_seed), contents(shop.database)
    for there in (new_database(kind), new_database("sqlite")):
        for _ in range(6):
            kill_after(shop, there, dice.uniform(0.2, 1.6))
        last = subprocess.run(line(shop, there), capture_output=True, text=True, check=False)
        assert (last.returncode == 0 or "its data was moved to" in last.stderr, last.stderr) == (True, last.stderr)
        assert (is_open(shop.database), is_open(there)) == (False, True)
        assert contents(there) == before
        shop.use(there)


def line(shop: Shop, target: str) -> list[str]:
    """Return the command that moves."""
    return [sys.executable, "-m", "comporta", "migrate-database", shop.database, target, "--config", str(shop.config)]


def kill_after(shop: Shop, target: str, seconds: float) -> None:
    """Start a move and kill it at a moment that does not depend on what it does."""
    with subprocess.Popen(line(shop, target), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        Event().wait(seconds)
        process.kill()
