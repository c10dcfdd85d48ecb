"""Which alerts there should be: one example for each kind, and what an alert is not about."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.hours import hour as at

from comporta.core.alert import Alert, Kind, Level
from comporta.core.alert_facts import AlertBounds, AlertFacts, SchedulerFact, StreamFact, Trouble
from comporta.core.alert_history import History, Streak, history_of
from comporta.core.alerts import keeps, wanted
from comporta.core.counts import Counts
from comporta.core.coverage import Interval
from comporta.core.language import Language
from comporta.core.run import Run, RunState, Trigger

NOW = at(12)
HALF_HOUR = timedelta(minutes=30)
BOUNDS = AlertBounds()


def run(state: RunState = RunState.SUCCEEDED, code: str = "", *, number: int = 1, **more: Any) -> Run:  # noqa: ANN401  any field
    """Return a run of loja/orders that was queued so many half hours ago."""
    queued_at = NOW - HALF_HOUR * number
    error = {"code": code, "message": f"what {code} says", "next_step": "Do."} if code else None
    known: dict[str, Any] = {
        "queued_at": queued_at,
        "started_at": queued_at,
        "window_kind": "incremental",
        "error": error,
    }
    return Run(f"r{number}", "loja/orders", "loja", "orders", state, Trigger.SCHEDULE, "incremental", **known | more)


def stream(name: str = "orders", account: str = "loja", **more: Any) -> StreamFact:  # noqa: ANN401  any field
    """Return a stream that is well."""
    usual: dict[str, Any] = {"account": account, "stream": name, "interval": HALF_HOUR, "freshness": HALF_HOUR}
    return StreamFact(**usual | more)


def facts(*streams: StreamFact, **more: Any) -> AlertFacts:  # noqa: ANN401  any field
    """Return what is seen when nothing else is wrong."""
    usual: dict[str, Any] = {"now": NOW, "machine": "box", "up_for": timedelta(hours=1), "streams": streams}
    return AlertFacts(**usual | more)


def keys(seen: AlertFacts, bounds: AlertBounds = BOUNDS) -> list[str]:
    """Return the keys of the alerts there should be."""
    return [each.key for each in wanted(seen, bounds, Language.EN)]


def failing(code: str, times: int) -> StreamFact:
    """Return a stream whose last runs failed."""
    return stream(history=history_of([run(RunState.FAILED, code, number=n) for n in range(1, times + 1)]))


SICK = {
    "stale/loja": facts(stream(freshness=timedelta(minutes=61))),
    "hole/loja": facts(stream(holes=[Interval(at(8), at(9))])),
    "needs_login/loja": facts(stream(), logins={"loja": "revoked"}),
    "failing/loja/CMP-AUTH-001": facts(failing("CMP-AUTH-001", 1)),
    "failing/loja/CMP-NET-001": facts(failing("CMP-NET-001", 3)),
    "failing/loja/CMP-AUTH-005": facts(failing("CMP-AUTH-005", 1)),
    "slow_run/loja": facts(
        stream(
            running=run(RunState.RUNNING, started_at=NOW - timedelta(minutes=6)),
            history=History(usual_s={"incremental": 60.0}),
        )
    ),
    "no_records/loja": facts(stream(history=History(empty=48, has_brought=True))),
    "quarantine/loja": facts(stream(quarantined=12, quarantined_lately=10)),
    "counts/loja": facts(stream(history=history_of([run(counts=Counts(read=3, inserted=1))]))),
    "clock/loja": facts(stream(clock_offset_s=-61.0)),
    "clock/@box": facts(stream(), clock_jump_s=3_600.0),
    "disk/box": facts(stream(), disk_free_mb=499, disk="/data"),
    "legacy_lock": facts(
        stream(freshness=timedelta(days=1), is_guarded=True),
        failing("CMP-NET-008", 3),
        legacy_lock=Trouble("CMP-NET-008", "refused", "Start it.", NOW),
    ),
    "database": facts(database=Trouble("CMP-DB-002", "no space left", "Check.", NOW)),
    "scheduler": facts(stream(), scheduler=SchedulerFact("box:7", NOW - timedelta(minutes=3), has_ended=False)),
    "channel/email": facts(stream(), channels={"email": Trouble("CMP-ALERT-001", "refused", "Check.", NOW)}),
}
"""What is seen when each thing is wrong, and nothing else."""
WELL = {
    "fresh enough": facts(stream(freshness=timedelta(minutes=60))),
    "just started": facts(stream(freshness=timedelta(days=7)), up_for=timedelta(minutes=4)),
    "never asked for": facts(stream(freshness=None)),
    "loading for the first time": facts(stream(freshness=None, running=run(RunState.RUNNING, started_at=NOW))),
    "a hole that is being read": facts(stream(holes=[Interval(at(8), at(9))], running=run(started_at=NOW))),
    "a young hole": facts(stream(holes=[Interval(at(8), at(11))], interval=HALF_HOUR)),
    "failed twice, may mend itself": facts(failing("CMP-NET-001", 2)),
    "three failures within the interval": facts(replace(failing("CMP-NET-001", 3), interval=timedelta(hours=6))),
    "no usual yet": facts(stream(running=run(RunState.RUNNING, started_at=NOW - timedelta(hours=2)))),
    "never brought anything": facts(stream(history=History(empty=500))),
    "a few in quarantine": facts(stream(quarantined=400, quarantined_lately=9)),
    "no disk known": facts(stream(), disk_free_mb=None),
    "the scheduler was ended": facts(scheduler=SchedulerFact("box:7", at(1), has_ended=True)),
    "a channel that works": facts(channels={"email": None}),
    "a Redis that nothing needs now": facts(stream(), legacy_lock=Trouble("CMP-NET-008", "refused", "Start it.", NOW)),
    "a login that was granted since": facts(failing("CMP-AUTH-005", 9), granted={"loja"}),
    "a login of no account here": facts(stream(), logins={"other": "revoked"}),
}


@pytest.mark.parametrize("key", SICK)
def test_each_trouble_is_one_alert(key: str) -> None:
    """With its key, in both languages, and something to do."""
    english, portuguese = (wanted(SICK[key], BOUNDS, language) for language in (Language.EN, Language.PT))

    assert [each.key for each in english] == [each.key for each in portuguese] == [key]
    assert english[0].message != portuguese[0].message
    assert english[0].next_step
    assert portuguese[0].next_step
    assert "{" not in f"{english[0].message}{english[0].next_step}{portuguese[0].message}"


@pytest.mark.parametrize("name", WELL)
def test_what_is_nobodys_concern_is_no_alert(name: str) -> None:
    """Alerts are about what matters, not about events."""
    assert keys(WELL[name]) == []


def test_every_kind_has_an_example() -> None:
    """But the trial of a channel, which nothing opens."""
    kinds = {each.kind for seen in SICK.values() for each in wanted(seen, BOUNDS, Language.EN)}

    assert kinds == set(Kind) - {Kind.TEST}


def test_streams_of_one_account_with_one_cause_are_one_alert() -> None:
    """Nine late streams are one trouble, and a tenth does not make another."""
    late = [stream(f"s{number}", freshness=timedelta(hours=2 + number)) for number in range(9)]
    (alert,) = wanted(facts(*late), BOUNDS, Language.EN)

    assert (alert.key, alert.account, alert.stream) == ("stale/loja", "loja", None)
    assert alert.fields["streams"] == [f"s{number}" for number in range(9)]
    assert "s0, s1, s2, s3, s4 +4" in alert.message
    assert "10h" in alert.message
    assert keys(facts(*late, stream("s9", freshness=timedelta(hours=3)))) == ["stale/loja"]


def test_a_person_hears_of_the_cause_and_not_of_its_consequences() -> None:
    """A login that is gone makes every stream late, and its runs fail."""
    late: dict[str, Any] = {"freshness": timedelta(days=2)}
    broken = replace(failing("CMP-AUTH-005", 9), **late)
    login = facts(broken, stream("items", **late), logins={"loja": "revoked"})
    key = facts(replace(failing("CMP-AUTH-001", 9), **late), stream("items", freshness=HALF_HOUR))
    dead = facts(stream(**late), scheduler=SchedulerFact("box:7", at(1), has_ended=False))

    assert keys(login) == ["needs_login/loja"]
    assert keys(key) == ["failing/loja/CMP-AUTH-001"]
    assert keys(dead) == ["scheduler"]


def test_a_pause_that_the_source_wants_is_named_as_the_cause() -> None:
    """Somebody who waits for data should know for how long."""
    (alert,) = wanted(
        facts(stream(freshness=timedelta(hours=3)), pauses={"loja": (5_400.0, "429 Too Many Requests")}),
        BOUNDS,
        Language.EN,
    )

    assert alert.kind is Kind.STALE
    assert "for another 1h 30min: 429 Too Many Requests" in alert.message


def test_while_the_database_fails_nothing_is_said_of_streams() -> None:
    """What cannot be read is neither well nor unwell."""
    sick = [each for seen in SICK.values() for each in seen.streams]

    assert keys(facts(*sick, database=Trouble("CMP-DB-010", "no server", "", NOW))) == ["database"]


def test_an_account_that_never_became_whole_is_late_from_its_first_run() -> None:
    """It has no freshness, and would otherwise never be late."""
    never = stream(freshness=None, history=history_of([run(RunState.INTERRUPTED, number=9)]))
    (alert,) = wanted(facts(never), BOUNDS, Language.EN)

    assert "the first load was asked for 4h 30min ago" in alert.message


def test_who_cannot_know_leaves_an_alert_open() -> None:
    """A process that just started, or is on another machine, closes nothing of others."""
    new = facts(up_for=timedelta(minutes=1))

    def row(key: str, kind: Kind, **more: Any) -> Alert:  # noqa: ANN401  any field
        return Alert(key, kind, Level.ERROR, "m", "n", opened_at=at(11), updated_at=at(11), **more)

    assert keeps(row("stale/loja", Kind.STALE), new, BOUNDS)
    assert keeps(row("channel/email", Kind.CHANNEL), new, BOUNDS)
    dead, ended = (SchedulerFact("box:7", at(1), has_ended=each) for each in (False, True))
    assert keeps(row("scheduler", Kind.SCHEDULER), facts(scheduler=dead), BOUNDS)
    assert not keeps(row("scheduler", Kind.SCHEDULER), facts(scheduler=ended), BOUNDS)
    assert keeps(row("disk/other", Kind.DISK), replace(new, disk_free_mb=9_000), BOUNDS)
    assert not keeps(row("disk/box", Kind.DISK), replace(new, disk_free_mb=9_000), BOUNDS)
    assert not keeps(row("stale/loja", Kind.STALE), facts(), BOUNDS)
    assert not keeps(row("channel/email", Kind.CHANNEL), replace(new, channels={"email": None}), BOUNDS)
    assert not keeps(row("clock/@box", Kind.CLOCK), new, BOUNDS)


def test_a_stream_that_fails_for_another_reason_is_not_well() -> None:
    """An alert is over when it succeeds, or when people are told of the other reason."""

    def after(*runs: Run) -> AlertFacts:
        return facts(stream(history=history_of([*runs, run(RunState.FAILED, "CMP-ROW-003", number=9)])))

    (told,) = wanted(after(), BOUNDS, Language.EN)
    row = Alert(told.key, told.kind, told.level, "m", "n", at(11), at(11), account="loja", fields=told.fields)
    flaky, refused = run(RunState.FAILED, "CMP-NET-001"), run(RunState.FAILED, "CMP-AUTH-001")

    assert keeps(row, after(flaky), BOUNDS)
    assert not keeps(row, after(run()), BOUNDS)
    assert not keeps(row, after(refused), BOUNDS)
    assert not keeps(row, replace(after(flaky), logins={"loja": "revoked"}), BOUNDS)
    assert not keeps(replace(row, account="filial"), after(flaky), BOUNDS)


def test_a_streak_is_of_one_code_and_forgives_handovers() -> None:
    """Runs that a deploy handed over say nothing about the source."""
    runs = [
        run(RunState.FAILED, "CMP-NET-001", number=1),
        run(RunState.INTERRUPTED, number=2),
        run(RunState.LOST, "CMP-NET-001", number=3),
        run(RunState.FAILED, "CMP-NET-003", number=4),
    ]
    mended = [run(number=1), *runs]

    assert history_of(runs).streak == Streak(2, runs[0], runs[2].queued_at)
    assert history_of(mended).streak is None


@given(
    states=st.lists(st.sampled_from(RunState), max_size=12),
    reads=st.lists(st.integers(0, 2), min_size=12, max_size=12),
)
def test_a_history_counts_what_came_last(states: list[RunState], reads: list[int]) -> None:
    """Whatever the runs, ``empty`` is the successful ones before the newest that brought something."""
    runs = [
        run(state, "CMP-NET-001", number=n + 1, counts=Counts(read=read, unchanged=read))
        for n, (state, read) in enumerate(zip(states, reads, strict=False))
    ]
    good = [each.counts.read for each in runs if each.state is RunState.SUCCEEDED]
    history = history_of(runs)

    assert history.empty == next((place for place, read in enumerate(good) if read), len(good))
    assert history.has_brought == any(good)
    assert history.unbalanced is None


@given(st.lists(st.sampled_from(sorted(SICK)), min_size=1, max_size=6, unique=True))
def test_whatever_is_wrong_no_key_comes_twice(names: list[str]) -> None:
    """A row is found by its key."""
    streams = [
        replace(each, stream=f"s{number}", account=f"a{number % 2}")
        for number, name in enumerate(names)
        for each in SICK[name].streams
    ]
    found = keys(facts(*streams, disk_free_mb=1, disk="/", clock_jump_s=99.0, logins={"a0": "gone"}))

    assert len(found) == len(set(found))
