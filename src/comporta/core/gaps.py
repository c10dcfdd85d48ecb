"""Why a part of source time is not covered: decided from the runs that were to read it, and what keeps them from it.

The first reason that holds is told, in the order in which a person would have to do something about it: it is being
read, a login is needed, somebody paused it, the last try failed, nobody has tried. A part that a run has read with
success and that is missing all the same was taken back.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from comporta.core.instant import BEGINNING
from comporta.core.run import Run, RunState
from comporta.core.window import GIVEN, WHOLE, Kind, parse_request
from comporta.errors import TooManyRejected

CLAIMING = frozenset({Kind.INCREMENTAL, *GIVEN, *WHOLE})


class Why(StrEnum):
    """The reasons, by their stable codes."""

    READING = "reading"
    NEEDS_LOGIN = "needs_login"
    PAUSED = "paused"
    FAILED = "failed"
    QUARANTINE = "quarantine"
    QUEUED = "queued"
    VOIDED = "voided"
    UNSCHEDULED = "unscheduled"
    DUE = "due"
    NEVER_ASKED = "never_asked"


BLAMED = frozenset({Why.FAILED, Why.QUARANTINE})
"""Holes are read after a run that brought fresh data; while none does, they wait for the same reason."""


@dataclass(frozen=True, slots=True)
class Voided:
    """What was covered was taken back by a run, for a reason."""

    run: str
    kind: str
    at: datetime
    message: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a stream. ``runs``: the newest first. ``living``: those whose lease has not run out.

    ``next_at`` is ``None`` where nobody schedules the stream. ``login`` is why a person must grant access again.
    """

    runs: Sequence[Run] = ()
    living: Collection[str | None] = ()
    end: datetime | None = None
    next_at: datetime | None = None
    is_paused: bool = False
    login: str | None = None
    voided: Voided | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """Source time that is not covered, ``until`` an end or on and on, and why.

    ``run`` is the one that reads it, was the last to try, or waits to. ``next_at``: when somebody tries next, ``None``
    for at once where a run waits, else for never. ``voided`` is told beside any other reason.
    """

    since: datetime
    until: datetime | None
    why: Why
    run: Run | None = None
    next_at: datetime | None = None
    is_queued: bool = False
    voided: Voided | None = None


def hole(since: datetime, until: datetime, known: Standing) -> Gap:
    """Return why a hole is there."""
    found = _gap(since, until, known)
    if found.why in {Why.NEVER_ASKED, Why.UNSCHEDULED, Why.VOIDED}:
        rest = open_end(until, known)
        if rest.why in BLAMED:
            return replace(rest, since=since, until=until)
    return found


def open_end(origin: datetime, known: Standing) -> Gap:
    """Return why nothing is covered from the end of coverage on; from ``origin`` on where nothing is covered yet."""
    return _gap(known.end or origin, None, known)


def _gap(since: datetime, until: datetime | None, known: Standing) -> Gap:
    runs = _reading(since, until, known)
    running = next((run for run in runs if run.state is RunState.RUNNING and run.id in known.living), None)
    queued = next((run for run in runs if run.state is RunState.QUEUED), None)
    tried = next((run for run in runs if run.state not in {RunState.QUEUED, RunState.SKIPPED}), None)
    voided = _still_voided(known)
    is_rest = until is None and known.end is not None
    why, run = _why(known, running=running, tried=tried, queued=queued, is_voided=voided is not None, is_rest=is_rest)
    return Gap(
        since,
        until,
        why,
        run=run,
        next_at=queued.not_before if queued is not None else known.next_at,
        is_queued=queued is not None,
        voided=voided,
    )


def _why(
    known: Standing, *, running: Run | None, tried: Run | None, queued: Run | None, is_voided: bool, is_rest: bool
) -> tuple[Why, Run | None]:
    """Return the first reason that holds, and the run it is about."""
    is_failed = tried is not None and tried.state is not RunState.SUCCEEDED
    is_rejected = tried is not None and (tried.error or {}).get("code") == TooManyRejected.code
    reasons = (
        (running is not None, Why.READING, running),
        (known.login is not None, Why.NEEDS_LOGIN, tried),
        (known.is_paused, Why.PAUSED, tried),
        (is_failed and is_rejected, Why.QUARANTINE, tried),
        (is_failed, Why.FAILED, tried),
        (queued is not None, Why.QUEUED, queued),
        (tried is not None or is_voided, Why.VOIDED, tried),
        (known.next_at is None, Why.UNSCHEDULED, None),
        (is_rest, Why.DUE, None),
    )
    return next(((why, run) for holds, why, run in reasons if holds), (Why.NEVER_ASKED, None))


def _reading(since: datetime, until: datetime | None, known: Standing) -> list[Run]:
    """Return the runs that were to read any of a part, the newest first."""
    found = []
    for run in known.runs:
        if until is None and _has_made(run, known.end):
            break  # whatever failed before it has been made up for
        if _reads(run, since, until):
            found.append(run)
    return found


def _has_made(run: Run, end: datetime | None) -> bool:
    """Say whether coverage ends where a run brought it."""
    return end is not None and run.state is RunState.SUCCEEDED and run.window_until == end


def _reads(run: Run, since: datetime, until: datetime | None) -> bool:
    request = parse_request(run.request)
    if run.dry_run or request.max_records is not None or request.kind not in CLAIMING:
        return False
    if run.window_since is not None and run.window_until is not None:
        return run.window_until > since and (until is None or run.window_since < until)
    if request.kind in GIVEN:
        is_before = request.until is not None and request.until <= since
        return not is_before and (until is None or (request.since or BEGINNING) < until)
    return until is None or request.kind in WHOLE


def _still_voided(known: Standing) -> Voided | None:
    """Return what was taken back last, unless everything was read again since."""
    voided = known.voided
    if voided is None:
        return None
    made_up = any(
        run.state is RunState.SUCCEEDED
        and run.window_kind is not None
        and Kind(run.window_kind) in WHOLE
        and run.finished_at is not None
        and run.finished_at >= voided.at
        for run in known.runs
    )
    return None if made_up else voided
