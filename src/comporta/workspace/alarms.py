"""The watch over an open workspace, made from its settings.

It takes part in nothing that runs: a fault of the watch stops no sync, and a sync that hangs stops no watch.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache

from comporta.coordination.telling import Teller
from comporta.coordination.watch import Promised, Watch, Ways
from comporta.core.alert_facts import StreamFact
from comporta.core.alert_settling import QuietHours
from comporta.core.alerts import promise_of
from comporta.core.language import Language
from comporta.core.schedule import Schedule
from comporta.observability.log import Log
from comporta.settings.tree import Settings, StreamSettings
from comporta.workspace.workspace import Workspace

LOOKED_AHEAD = timedelta(days=8)
"""A cron expression of working days has its longest gap every week."""
TICKS_MAX = 500
"""Of a schedule with more ticks in eight days than this, no gap is long."""

USUAL = StreamSettings("").every
"""Who asks for less of a stream on this schedule means it: cron may sync more often than any schedule says."""


def watch_of(workspace: Workspace, log: Log) -> Watch:
    """Return what looks, settles and tells for the accounts of this workspace."""

    async def pauses() -> Mapping[str, tuple[float, str]]:
        return {name: (each.paused_s, each.reason or "") for name, each in await workspace.limits() if each.paused_s}

    reach = workspace.reach
    return Watch(
        book=reach.book,
        notebook=reach.notebook,
        teller=Teller(reach.channels, workspace.clock),
        streams=following(workspace),
        pauses=pauses,
        disk=reach.disk,
        legacy_silence=workspace.legacy_silence,
        away=workspace.store.trouble,
        ways=ways_of(workspace.settings),
        clock=workspace.clock,
        machine=reach.machine,
        machine_clock=reach.machine_clock,
        log=log,
    )


def following(workspace: Workspace) -> Callable[[], Sequence[Promised]]:
    """Return what gives the promised streams; they are looked for anew only where there are other accounts by now."""

    @lru_cache(maxsize=1)
    def promised_in(_: int) -> Sequence[Promised]:
        return promised(workspace)

    return lambda: promised_in(workspace.plans.edition)


def promised(workspace: Workspace) -> list[Promised]:
    """Return the streams that are synced by a schedule and that the settings do not pause."""
    now = workspace.clock.now()
    return [
        Promised(
            plan.name,
            name,
            interval_of(stream.schedule, now),
            workspace.origin(f"{plan.name}/{name}"),
            is_guarded=stream.legacy_key is not None,
        )
        for plan in workspace.plans.values()
        for name, stream in plan.streams.items()
        if stream.schedule is not None and not stream.is_paused and not workspace.settings.accounts[plan.name].paused
    ]


def allowed(workspace: Workspace, account: str, stream: str, oldest: timedelta) -> timedelta:
    """Return how old a stream may be where ``oldest`` is asked for: older if its schedule cannot keep to that.

    As old as its alert allows, then; but only a schedule that is rarer than the usual one is an excuse.
    """
    schedule, margin = workspace.plans[account].streams[stream].schedule, workspace.settings.margin
    interval = interval_of(schedule, workspace.clock.now()) if schedule is not None else timedelta()
    if interval <= USUAL or interval + margin <= oldest:
        return oldest
    fact = StreamFact(account, stream, interval, margin)
    return max(oldest, promise_of(fact, workspace.settings.alerts))


def interval_of(schedule: Schedule, now: datetime) -> timedelta:
    """Return how far apart the ticks of a schedule are at most, in the days that follow this hour's beginning."""
    return _interval_from(schedule, now.replace(minute=0, second=0, microsecond=0))


@lru_cache(maxsize=1_000)  # thousands of streams have the same few schedules, and a server that counts answers nobody
def _interval_from(schedule: Schedule, now: datetime) -> timedelta:
    longest, tick, end = schedule.usual, now, now + LOOKED_AHEAD
    for _ in range(TICKS_MAX):
        following = schedule.following(tick)
        if following is None:
            break
        longest = max(longest, following - tick if tick != now else longest)
        tick = following
        if tick > end:
            break
    return longest


def ways_of(settings: Settings) -> Ways:
    """Return how people want to be told."""
    told = settings.alerts
    quiet = QuietHours(*told.quiet, settings.zone) if told.quiet else None
    return Ways(Language(told.language), settings.zone, quiet, told, settings.margin)
