"""Places are shared by account: nobody's second stream goes before somebody's first."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from comporta.core.fairness import next_account

ACCOUNTS = ("a", "b", "c", "d", "e")
places = st.integers(1, 6)


@st.composite
def halls(draw: st.DrawFn) -> dict[str, object]:
    """Draw any state of the places, reachable or not."""
    total = draw(places)
    running = Counter(draw(st.lists(st.sampled_from(ACCOUNTS), max_size=total)))
    waiting = draw(st.lists(st.sampled_from(ACCOUNTS), unique=True))
    at_work = {*running, *waiting, *draw(st.sets(st.sampled_from(ACCOUNTS)))}
    return {
        "places": total,
        "running": running,
        "waiting": waiting,
        "at_work": at_work,
        "spare": draw(st.integers(0, 1)),
    }


@given(halls())
def test_a_place_is_given_only_if_there_is_one_and_to_who_wants_it(hall: dict[str, object]) -> None:
    """Never more runs than places, whatever else."""
    chosen = next_account(**hall)  # type: ignore[arg-type]  # drawn with the right types

    assert chosen is None or chosen in hall["waiting"]  # type: ignore[operator]  # the hall is a dict of several types
    assert chosen is None or sum(hall["running"].values()) < hall["places"]  # type: ignore[attr-defined, operator]  # the hall is a dict of several types


@given(halls())
def test_nobody_runs_more_while_another_waits_who_runs_less(hall: dict[str, object]) -> None:
    """The chosen one runs the fewest of all who wait."""
    chosen = next_account(**hall)  # type: ignore[arg-type]  # as the caller says
    running: Counter[str] = hall["running"]  # type: ignore[assignment]  # the hall is a dict of several types

    assert chosen is None or all(running[chosen] <= running[other] for other in hall["waiting"])  # type: ignore[attr-defined]  # the hall is a dict of several types


@given(total=st.integers(2, 4), steps=st.lists(st.tuples(st.integers(0, 3), st.sampled_from("+++-")), max_size=40))
def test_an_account_that_has_nothing_finds_a_place_at_once(total: int, steps: list[tuple[int, str]]) -> None:
    """However the others come and go: with as many places as accounts at work, nobody's first run ever waits."""
    at_work = ACCOUNTS[:total]
    running: Counter[str] = Counter()
    for number, sign in steps:
        account = at_work[number % total]
        if sign == "-":
            running[account] -= running[account] > 0
            continue
        chosen = next_account(places=total, running=running, waiting=[account], at_work=at_work)

        assert chosen == account or running[account] > 0
        running[account] += chosen is not None


@given(total=st.integers(2, 6), later=st.sampled_from(["b", "c"]))
def test_who_comes_later_finds_the_place_that_was_spared(total: int, later: str) -> None:
    """One account alone, with more streams than places, leaves one for those that nobody has seen yet."""
    running: Counter[str] = Counter()
    while (chosen := next_account(places=total, running=running, waiting=["a"], at_work=["a"], spare=1)) is not None:
        running[chosen] += 1

    assert running["a"] == total - 1
    assert next_account(places=total, running=running, waiting=["a", later], at_work=["a", later], spare=1) == later


@given(total=places, streams=st.integers(1, 12))
def test_an_account_alone_has_every_place(total: int, streams: int) -> None:
    """Where nobody else could come, nothing is kept for anybody."""
    running: Counter[str] = Counter()
    for _ in range(streams):
        chosen = next_account(places=total, running=running, waiting=["a"], at_work=["a"])
        running[chosen or "nobody"] += 1

    assert running["a"] == min(total, streams)


def test_of_two_who_run_as_many_the_longer_waiting_goes_first() -> None:
    """The order of waiting decides, not the name."""
    assert next_account(places=2, running={}, waiting=["b", "a"], at_work=["a", "b"]) == "b"


def test_of_two_who_run_as_many_the_one_that_had_places_for_a_shorter_time_goes_first() -> None:
    """However long the other has waited: its runs may hang."""
    held_s = {"hangs": 275.0, "works": 0.2}

    assert next_account(places=1, running={}, waiting=["hangs", "works"], at_work=held_s, held_s=held_s) == "works"
