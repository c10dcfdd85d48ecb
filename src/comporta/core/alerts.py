"""Which alerts there should be now, decided from the facts of one look.

An alert is about a cause, not about its consequences. Every stream of an account whose login is gone becomes stale
too, and with a dead scheduler all of them do; a person is told of the login, or of the scheduler. So causes are
decided first, and a stream that has one is not also called stale. Streams of one account that suffer from the same
cause are one alert, whose key does not change as they become more or fewer.

    database, disk, legacy_lock,
    clock, scheduler, channel                     about this installation
    needs_login, failing                          causes: why an account or its streams get nothing
    stale, hole, slow_run                         what is late, where no cause above explains it
    no_records, quarantine, counts                what came, or did not, looks wrong

A failure that a later try may mend by itself (no connection, a busy server, 429) matters when the same one has
happened ``failures`` times in a row and for longer than the stream's interval; one that trying again cannot mend (a
wrong key) matters at once.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta

from comporta import errors, errors_guard, errors_mercadolivre, errors_postgres
from comporta.core.alert import Alert, Kind, Wanted
from comporta.core.alert_facts import AlertBounds, AlertFacts, StreamFact, Trouble
from comporta.core.alert_history import Streak
from comporta.core.alert_words import said, span_text, step_of
from comporta.core.language import Language

JUMP_TOLD = timedelta(hours=1)
"""For so long a clock that jumped is told of."""
SCHEDULER_SILENT = timedelta(minutes=2)
"""A scheduler that was not seen for so long is taken for dead."""
NAMED_MAX = 5
"""Streams that are named in one message; the rest are counted."""


def wanted(facts: AlertFacts, bounds: AlertBounds, language: Language) -> Sequence[Wanted]:
    """Return every alert that there should be, each key once.

    >>> from datetime import UTC, datetime
    >>> noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    >>> late = StreamFact("loja", "orders", timedelta(minutes=30), freshness=timedelta(hours=2))
    >>> facts = AlertFacts(noon, up_for=timedelta(hours=1), streams=[late])
    >>> [(each.key, each.account, each.stream) for each in wanted(facts, AlertBounds(), Language.EN)]
    [('stale/loja', 'loja', 'orders')]
    """
    house = [*_of_house(facts, bounds, language)]
    if facts.database is not None:  # what cannot be read says nothing, neither good nor bad
        return house
    causes = [*_logins(facts, language), *_failing(facts, bounds, language)]
    excused = {(each.account, stream) for each in causes for stream in _streams_of(each)}
    excused_accounts = {each.account for each in causes if each.kind is Kind.NEEDS_LOGIN}
    is_idle = any(each.kind is Kind.SCHEDULER for each in house)
    late = [
        each
        for each in facts.streams
        if not is_idle and each.account not in excused_accounts and (each.account, each.stream) not in excused
        if facts.legacy_lock is None or not each.is_guarded
    ]
    return [
        *house,
        *causes,
        *_stale(facts, late, bounds, language),
        *_grouped(Kind.HOLE, late, lambda each: _hole(each, facts), language),
        *_grouped(Kind.SLOW_RUN, facts.streams, lambda each: _slow(each, facts, bounds), language),
        *_grouped(Kind.NO_RECORDS, late, lambda each: _empty(each, bounds), language),
        *_grouped(Kind.QUARANTINE, facts.streams, lambda each: _quarantined(each, bounds), language),
        *_grouped(Kind.COUNTS, facts.streams, _unbalanced, language),
        *_clocks(facts, bounds, language),
    ]


def promise_of(fact: StreamFact, bounds: AlertBounds) -> timedelta:
    """Return how old a stream may become."""
    return bounds.stale_after or 2 * fact.interval + fact.margin


def keeps(row: Alert, facts: AlertFacts, bounds: AlertBounds) -> bool:
    """Say whether an open alert that is not wanted stays open, because who looks cannot know whether it is over.

    One that just started, or has its database back, knows of no stream whether it is late, nor whether a scheduler is
    silent, and of no channel that it has not used; of disk and clock each machine knows its own, and a clock that
    jumped is told of for an hour. A stream that fails for another reason since, of which nobody is told, is not well.
    """
    if row.kind is Kind.FAILING:
        return any(_still_fails(row, each, facts, bounds) for each in facts.streams)
    if row.kind is Kind.STALE:
        return facts.up_for < bounds.grace
    if row.kind is Kind.SCHEDULER:
        return _scheduler_silent(facts) is not None
    if row.kind is Kind.CHANNEL:
        return row.key.partition("/")[2] not in facts.channels
    if row.kind is Kind.DISK:
        return row.key != f"disk/{facts.machine}" or facts.disk_free_mb is None
    return row.kind is Kind.CLOCK and row.account is None and facts.now - row.opened_at < JUMP_TOLD


def _still_fails(row: Alert, fact: StreamFact, facts: AlertFacts, bounds: AlertBounds) -> bool:
    """Say whether a stream of an alert fails for another reason by now, of which nobody is told: so it is not well."""
    streak = fact.history.streak
    is_meant = fact.account == row.account and fact.stream in _streams_of(row)
    return (
        is_meant
        and streak is not None
        and fact.account not in facts.logins
        and not _matters(streak, fact, facts, bounds)
    )


def _of_house(facts: AlertFacts, bounds: AlertBounds, language: Language) -> Iterator[Wanted]:
    trouble = facts.database
    if trouble is not None:
        fields: dict[str, object] = {"code": trouble.code, "error": trouble.message}
        yield _one(Kind.DATABASE, None, fields, language, next_step=step_of(trouble.code, trouble.next_step, language))
    if facts.disk_free_mb is not None and facts.disk_free_mb < bounds.disk_mb:
        fields = {"free_mb": facts.disk_free_mb, "least_mb": bounds.disk_mb, "where": facts.disk}
        yield _one(Kind.DISK, None, fields, language, key=f"disk/{facts.machine}")
    silent = facts.legacy_lock
    if silent is not None and any(each.is_guarded for each in facts.streams):
        fields = {"code": silent.code, "error": silent.message}
        step = step_of(silent.code, silent.next_step, language)
        yield _one(Kind.LEGACY_LOCK, None, fields, language, next_step=step)
    if abs(facts.clock_jump_s) > bounds.clock_apart.total_seconds():
        moved = {"jump_s": round(facts.clock_jump_s), "span": span_text(abs(facts.clock_jump_s))}
        yield _one(Kind.CLOCK, None, moved, language, phrase="clock_jumped", key=f"clock/@{facts.machine}")
    seen = facts.scheduler
    silent_s = _scheduler_silent(facts)
    if seen is not None and silent_s is not None and facts.up_for > SCHEDULER_SILENT:
        named = {"instance": seen.instance, "silent_s": round(silent_s), "span": span_text(silent_s)}
        yield _one(Kind.SCHEDULER, None, named, language)
    for name, each in facts.channels.items():
        if each is not None:
            yield _channel(name, each, language)


def _scheduler_silent(facts: AlertFacts) -> float | None:
    """Return for how long no scheduler has been seen, ``None`` where that is no wonder."""
    seen = facts.scheduler
    if seen is None or seen.has_ended or facts.now - seen.seen_at <= SCHEDULER_SILENT:
        return None
    return (facts.now - seen.seen_at).total_seconds()


def _channel(name: str, each: Trouble, language: Language) -> Wanted:
    fields = {"channel": name, "code": each.code, "error": each.message}
    step = f"{step_of(each.code, each.next_step, language)} `comporta alerts test --channel {name}`"
    return _one(Kind.CHANNEL, None, fields, language, key=f"channel/{name}", next_step=step)


def _logins(facts: AlertFacts, language: Language) -> Iterator[Wanted]:
    known = {each.account for each in facts.streams}
    for account, reason in sorted(facts.logins.items()):
        if account in known:
            fields = {"reason": reason, "code": errors.LoginNeeded.code}
            yield _one(Kind.NEEDS_LOGIN, account, fields, language)


def _failing(facts: AlertFacts, bounds: AlertBounds, language: Language) -> Iterator[Wanted]:
    """Yield one alert for each account and code."""
    groups: dict[tuple[str, str], list[tuple[str, Streak]]] = {}
    for each in facts.streams:
        streak = each.history.streak
        if streak is not None and each.account not in facts.logins and _matters(streak, each, facts, bounds):
            groups.setdefault((each.account, streak.code), []).append((each.stream, streak))
    for (account, code), found in sorted(groups.items(), key=lambda item: item[0]):
        newest = max((streak.last for _, streak in found), key=lambda run: run.finished_at or facts.now)
        error = newest.error or {}
        fields = {
            "streams": sorted(stream for stream, _ in found),
            "code": code or "-",
            "error": error.get("message", newest.state.value),
            "times": max(streak.times for _, streak in found),
            "run": newest.id,
        }
        step = step_of(code, error.get("next_step", ""), language)
        yield _one(Kind.FAILING, account, fields, language, key=f"failing/{account}/{code}", next_step=step)


def _matters(streak: Streak, fact: StreamFact, facts: AlertFacts, bounds: AlertBounds) -> bool:
    if facts.legacy_lock is not None and streak.code == facts.legacy_lock.code:
        return False  # it is told of already
    if streak.code == errors.LoginNeeded.code and fact.account in facts.granted:
        return False  # a person has been there since, and the next run says so
    if streak.code not in _MENDING:
        return True
    return streak.times >= bounds.failures and streak.since is not None and facts.now - streak.since > fact.interval


def _codes_below(*parents: type[errors.ComportaError]) -> Iterator[str]:
    for parent in parents:
        yield parent.code
        yield from _codes_below(*parent.__subclasses__())


# The last ones are named so that their modules are loaded: a class counts from when it is defined.
_MENDING = {
    "",
    *_codes_below(errors.Retryable, errors.StandDown),
    errors_guard.LegacyLockUnreachable.code,
    errors_mercadolivre.ItemsUntold.code,
    errors_postgres.DatabaseUnreachable.code,
}


def _stale(
    facts: AlertFacts, streams: Iterable[StreamFact], bounds: AlertBounds, language: Language
) -> Iterator[Wanted]:
    if facts.up_for < bounds.grace:
        return
    groups: dict[str, list[tuple[StreamFact, timedelta]]] = {}
    for each in streams:
        age = _age(each, facts)
        if age is not None and age > promise_of(each, bounds):
            groups.setdefault(each.account, []).append((each, age))
    for account, found in sorted(groups.items()):
        oldest, age = max(found, key=lambda item: item[1])
        promise = promise_of(oldest, bounds)
        fields: dict[str, object] = {
            "streams": sorted(fact.stream for fact, _ in found),
            "age_s": round(age.total_seconds()),
            "age": span_text(age.total_seconds()),
            "promise_s": round(promise.total_seconds()),
            "promise": span_text(promise.total_seconds()),
        }
        paused_s, reason = facts.pauses.get(account, (0.0, ""))
        if paused_s:
            fields |= {"paused_s": round(paused_s), "paused": span_text(paused_s), "reason": reason}
        phrase = "stale_limited" if paused_s else "stale" if oldest.freshness is not None else "stale_never"
        yield _one(Kind.STALE, account, fields, language, phrase=phrase)


def _age(fact: StreamFact, facts: AlertFacts) -> timedelta | None:
    """Return how old a stream is; one that was never whole counts from its first known run, and not while it loads."""
    if fact.freshness is not None:
        return fact.freshness
    first = fact.history.first_at
    return None if fact.running is not None or first is None else facts.now - first


def _hole(fact: StreamFact, facts: AlertFacts) -> Mapping[str, object] | None:
    """Say which hole is older than two intervals; while a run is at work it may be closing it."""
    old = [hole for hole in fact.holes if facts.now - hole.until > 2 * fact.interval]
    if not old or fact.running is not None:
        return None
    return {"holes": len(old), "since": old[0].since.isoformat(), "until": old[0].until.isoformat()}


def _slow(fact: StreamFact, facts: AlertFacts, bounds: AlertBounds) -> Mapping[str, object] | None:
    run = fact.running
    if run is None or run.started_at is None:
        return None
    lasts_s = (facts.now - run.started_at).total_seconds()
    usual_s = fact.history.usual_s.get(run.window_kind or "")
    if usual_s is None or lasts_s <= max(bounds.slow_after.total_seconds(), bounds.slow_factor * usual_s):
        return None
    return {"run": run.id, "lasts_s": round(lasts_s), "lasts": span_text(lasts_s), "usual": span_text(usual_s)}


def _empty(fact: StreamFact, bounds: AlertBounds) -> Mapping[str, object] | None:
    history = fact.history
    if history.empty < bounds.empty_runs or not history.has_brought:
        return None
    return {"runs": history.empty}


def _quarantined(fact: StreamFact, bounds: AlertBounds) -> Mapping[str, object] | None:
    if fact.quarantined_lately < bounds.quarantine:
        return None
    return {"waiting": fact.quarantined, "lately": fact.quarantined_lately}


def _unbalanced(fact: StreamFact) -> Mapping[str, object] | None:
    run = fact.history.unbalanced
    if run is None:
        return None
    counts = run.counts
    found = counts.inserted + counts.updated + counts.unchanged + counts.rejected
    return {"run": run.id, "read": counts.read, "sum": found}


def _clocks(facts: AlertFacts, bounds: AlertBounds, language: Language) -> Iterator[Wanted]:
    """Yield the accounts whose source's clock is apart from ours, by the stream that is farthest."""

    def apart(each: StreamFact) -> Mapping[str, object] | None:
        offset_s = each.clock_offset_s or 0.0
        if abs(offset_s) <= bounds.clock_apart.total_seconds():
            return None
        return {"offset_s": round(offset_s), "span": span_text(abs(offset_s))}

    yield from _grouped(Kind.CLOCK, facts.streams, apart, language)


def _grouped(
    kind: Kind,
    streams: Iterable[StreamFact],
    look: Callable[[StreamFact], Mapping[str, object] | None],
    language: Language,
) -> Iterator[Wanted]:
    """Yield one alert for each account: it names all streams concerned, and gives the figures of the first."""
    groups: dict[str, list[tuple[str, Mapping[str, object]]]] = {}
    for each in streams:
        found = look(each)
        if found is not None:
            groups.setdefault(each.account, []).append((each.stream, found))
    for account, members in sorted(groups.items()):
        members.sort(key=lambda item: item[0])
        yield _one(kind, account, {"streams": [name for name, _ in members], **members[0][1]}, language)


def _one(
    kind: Kind,
    account: str | None,
    fields: Mapping[str, object],
    language: Language,
    *,
    phrase: str | None = None,
    key: str | None = None,
    next_step: str | None = None,
) -> Wanted:
    """Return one alert in words."""
    streams = fields.get("streams", [])
    names = list(streams) if isinstance(streams, list) else []
    first = f"{account}/{names[0]}" if names else str(account)
    listed = ", ".join(names[:NAMED_MAX]) + (f" +{len(names) - NAMED_MAX}" if len(names) > NAMED_MAX else "")
    subject = f"{account}: {listed}" if len(names) > 1 else first
    message, step = said(
        phrase or kind.value, language, {**fields, "subject": subject, "first": first, "account": account}
    )
    return Wanted(
        key=key or (f"{kind.value}/{account}" if account else kind.value),
        kind=kind,
        message=message,
        next_step=next_step or step,
        account=account,
        stream=names[0] if len(names) == 1 else None,
        fields=fields,
    )


def _streams_of(each: Alert | Wanted) -> Sequence[str]:
    streams = each.fields.get("streams", [])
    return streams if isinstance(streams, list) else []
