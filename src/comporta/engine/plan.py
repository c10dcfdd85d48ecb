"""What a run is about to read: is it the same source and query as before, resume or start, which window.

Acts thinly: it asks the ledger and the source, and ``core.window`` decides.
"""

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from secrets import token_hex

from comporta.core.coverage import Coverage
from comporta.core.fingerprint import fingerprint
from comporta.core.instant import BEGINNING, parse_instant, short_text
from comporta.core.rate import duration_text
from comporta.core.run import RunState
from comporta.core.window import EVERYTHING, WHOLE, Kind, Request, Window, plan_window, went_back
from comporta.engine.work import Work
from comporta.errors import OtherDatabase, SourceChangedShape
from comporta.observability.words import QUERY
from comporta.ports.source import Identity
from comporta.ports.store import Pass
from comporta.ports.stream_state import StreamFacts

CLOCK_APART_MAX = timedelta(days=20 * 365)
"""Clocks that differ by more than this are not set at all, and would overflow arithmetic with dates."""
CLAIMS_MAX = 200
"""Runs that are looked at for the one that made the last claim."""
RESUMED_WHOLE_MAX = timedelta(days=1)
"""A pass over everything that was asked for by hand is not gone on with after this."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger says of a stream as its run begins.

    Asked once, for the run holds the stream: only a run of another account that finds their table changed takes
    coverage back meanwhile, and what this run adds to it then leaves a hole.
    """

    facts: StreamFacts
    covered: Coverage


async def recall(work: Work) -> Known:
    """Return what the ledger says; stop before anything is written because another database answers in its place."""
    known = Known(await work.store.facts(work.scope), await work.store.coverage(work.scope))
    _refuse_another_database(work, known.facts.identity)
    return known


async def plan_pass(work: Work) -> tuple[Pass, Known]:
    """Return the pass to work on, the unfinished one with the same bounds or a new one, and what is known by then."""
    known = await recall(work)
    clock = await work.reader.clock()
    _refuse_clock(work, clock)
    query = _fingerprint(work)
    is_other = known.facts.fingerprint not in {None, query} and work.request.max_records is None
    if is_claiming(work):
        known = await _cut_what_a_clock_ahead_claimed(work, known, clock)
        known = await _learn(work, known, query, clock, is_other=is_other)
    unfinished = await _unfinished(work, query, clock)
    if unfinished is not None:
        _tell_resumed(work, unfinished)
        # Without a position it is read from its start again, so this run's reading proves itself.
        plan = unfinished if unfinished.position is not None else replace(unfinished, read=0)
    else:
        window = _window(work, clock, Coverage() if is_other else known.covered)
        plan = Pass(new_pass_id(work), work.request.text, window, query)
        _tell_planned(work, plan.window)
    await work.store.begin_pass(work.lease, plan, resumable=is_resumable(work))
    return plan, known


async def plan_gathering(work: Work) -> tuple[Pass, bool]:
    """Return the pass of a stream that cannot be listed, and whether all that is referred to is to be hinted at first.

    Once it was, the pass stands in the ledger, and whoever goes on with it does not fetch everything again.
    """
    known = await recall(work)
    clock = await work.reader.clock()
    _refuse_clock(work, clock)
    query = _fingerprint(work)
    if is_claiming(work):
        is_other = known.facts.fingerprint not in {None, query}
        known = await _learn(work, known, query, clock, is_other=is_other)
    await make_fit(work, known)
    is_first = work.request.kind is not Kind.NOTIFICATION and not known.covered.intervals
    is_whole = is_first or work.request.kind in WHOLE
    is_retry = work.request.kind is Kind.RECONCILE and work.run.attempt > 1
    unfinished = await _unfinished(work, query, clock) if is_whole or is_retry else None
    if unfinished is not None:
        return unfinished, False
    kind = Kind.FULL if is_whole else work.request.kind
    return Pass(
        new_pass_id(work), work.request.text, Window(BEGINNING, clock - work.rules.margin, kind), query
    ), is_whole


async def make_fit(work: Work, known: Known, plan: Pass | None = None) -> bool:
    """Make the table fit the shape; tell what was done, and return whether anything was.

    Rows of these very fields were written before if the query is the same and the last pass, or this one, wrote any.
    """
    has_rows = (plan is not None and plan.position is not None) or known.covered.intervals
    is_same = known.facts.fingerprint == _fingerprint(work)
    changes = await work.store.prepare(work.lease, work.shape, is_known=is_same and bool(has_rows))
    for change in changes:
        work.tell_line(change)
    return bool(changes)


def tell_of_voiding(work: Work, changed: str) -> None:
    """Tell that nothing is covered any more, because the query or the table changed."""
    message = f"{changed} changed: what was covered counts no more, everything is read again"
    work.tell("coverage_voided", message, {"changed": changed}, level="warning")


def new_pass_id(work: Work) -> str:
    """Return an id for a pass that begins with this run."""
    return f"{work.run.id}-{token_hex(2)}"


def first_run_of(plan: Pass) -> str:
    """Return the id of the run that the pass began with."""
    return plan.id.rpartition("-")[0]


def origin_of(work: Work) -> datetime:
    """Return where the stream begins."""
    return parse_instant(work.rules.origin_text) if work.rules.origin_text else BEGINNING


def _refuse_another_database(work: Work, stored: str | None) -> None:
    if stored is None:
        return
    known, seen = Identity(**json.loads(stored)), work.reader.identity
    same_place = (known.url, known.database) == (seen.url, seen.database)
    if same_place and known.unique and seen.unique and known.unique != seen.unique:
        message = (
            f"{work.scope}: {seen.url} database {seen.database!r} is another one than before"
            f" (its own id was {known.unique}, now {seen.unique})"
        )
        raise OtherDatabase(message)


def _window(work: Work, clock: datetime, covered: Coverage) -> Window:
    """Return the window of a new pass; a stream that bears no stamp can only be read whole, whatever was asked."""
    is_whole = work.shape.stamp is None and work.request.kind not in WHOLE
    whole = Request(Kind.FULL) if is_whole else work.request
    return plan_window(
        whole,
        covered,
        origin=origin_of(work),
        clock=clock,
        overlap=work.rules.overlap,
        margin=work.rules.margin,
    )


def is_claiming(work: Work) -> bool:
    """Say whether the pass may end with a claim: it writes, and it reads the whole window."""
    return not work.run.dry_run and work.request.max_records is None


def is_resumable(work: Work) -> bool:
    """Say whether the pass may be gone on with by another run."""
    return is_claiming(work) and work.reader.is_resumable


async def _unfinished(work: Work, query: str, clock: datetime) -> Pass | None:
    """Return the pass of an earlier run for the same request, if it still asks the same question.

    Who asks for everything by hand does not mean half of it from last month.
    """
    if not is_resumable(work):
        return None
    found = await work.store.open_pass(work.scope, work.request)
    if found is None or found.fingerprint != query:
        return None
    is_old = work.request.kind in EVERYTHING and clock - found.window.until > RESUMED_WHOLE_MAX
    return None if is_old else found


def _refuse_clock(work: Work, clock: datetime) -> None:
    if abs(clock - work.clock.now()) > CLOCK_APART_MAX:
        message = f"{work.scope}: the source's clock says {clock:%Y-%m-%d}; nothing can be claimed by such a clock"
        raise SourceChangedShape(message, next_step="Set the clock of the source's server, or of this machine.")


async def _cut_what_a_clock_ahead_claimed(work: Work, known: Known, clock: datetime) -> Known:
    """Take back what was claimed by a clock that was ahead: only what that run could have seen stays covered."""
    offset, covered = clock - work.clock.now(), known.covered
    is_back = went_back(known_offset_s=known.facts.clock_offset_s, offset_s=offset.total_seconds())
    if covered.end is None or not is_back:
        return known
    runs = await work.store.runs(
        account=work.account, stream=work.run.stream, state=RunState.SUCCEEDED, dry_run=False, limit=CLAIMS_MAX
    )
    began = next((run.started_at for run in runs if run.window_until == covered.end), None)
    at = began + offset - work.rules.margin if began is not None else BEGINNING
    work.tell(
        "coverage_voided",
        f"the source's clock was ahead: it is {-offset} behind ours now; covered to {short_text(at) or 'nowhere'} only",
        {"behind": str(-offset), "until": short_text(at) or "-"},
        level="warning",
    )
    await work.store.cut_coverage(work.lease, at)
    return replace(known, covered=covered.cut(at))


async def _learn(work: Work, known: Known, query: str, clock: datetime, *, is_other: bool) -> Known:
    """Start from nothing when the query changed; keep what was learnt of the source."""
    if is_other and (known.covered.intervals or work.request.kind not in WHOLE):
        tell_of_voiding(work, QUERY)
        await work.store.void_coverage(work.lease)
        known = replace(known, covered=Coverage())
    offset = (clock - work.clock.now()).total_seconds()
    identity = work.reader.identity
    stored = json.dumps({name: getattr(identity, name) for name in Identity.__dataclass_fields__})
    facts = replace(known.facts, fingerprint=query, identity=stored, clock_offset_s=offset)
    await work.store.learn(work.lease, facts)
    return replace(known, facts=facts)


def _fingerprint(work: Work) -> str:
    identity = work.reader.identity
    place = identity.unique or f"{identity.url} {identity.database}"
    types = {column.name: column.type.value for column in work.shape.columns}
    query = {**work.reader.query, "types": types, "origin": work.rules.origin_text}
    return fingerprint(identity=place, query=query)


def _tell_planned(work: Work, window: Window) -> None:
    since, until = short_text(window.since), short_text(window.until)
    overlap = duration_text(work.rules.overlap) if window.kind is Kind.INCREMENTAL else None
    reached = f", overlap {overlap}" if overlap else ""
    message = f"{window.kind.value}: {since or 'the beginning'} to {until}{reached}"
    fields = {"kind": window.kind.value, "since": since, "until": until, "overlap": overlap}
    work.tell("window_planned", message, fields)


def _tell_resumed(work: Work, plan: Pass) -> None:
    since, until = short_text(plan.window.since) or "the beginning", short_text(plan.window.until)
    message = f"goes on after {plan.position or 'the start'}: {since} to {until}, {plan.read} read so far"
    work.tell("pass_resumed", message, {"position": plan.position, "until": until, "read": plan.read})
