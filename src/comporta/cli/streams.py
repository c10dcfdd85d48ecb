"""Where every stream stands: `comporta status`, `coverage`, `leases`.

Freshness is counted from the first instant that is not covered, never from the last run: a run that
found nothing new leaves a stream as fresh as one that found much.
"""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from comporta.cli.console import Console
from comporta.cli.options import Config, Json, Stream, Told, Verbose
from comporta.cli.session import first_step, read_workspace
from comporta.cli.words import age_text, clock_text, columns, local_text
from comporta.core.alert import Level
from comporta.core.instant import short_text
from comporta.core.language import Language
from comporta.core.outcome import ExitCode
from comporta.core.rate import duration_text
from comporta.settings.reading import read_settings
from comporta.settings.values import Place, read_span, typed
from comporta.workspace.reports import (
    holes,
    is_alive,
    is_paused,
    lease_json,
    login_json,
    status_lines,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from comporta.core.alert import Alert
    from comporta.ports.budget import BudgetState
    from comporta.ports.store import Instance
    from comporta.settings.tree import Settings
    from comporta.workspace.gaps import Missing, ToldGap
    from comporta.workspace.stream_status import StreamStatus
    from comporta.workspace.workspace import Workspace


def status(
    max_age: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Exit 1 if any stream is older, such as 45m.")
    ] = None,
    config: Config = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> int:
    """Show where every stream stands; with --max-age, fail if one is too old."""
    console = Console(is_json=as_json, is_verbose=verbose)
    oldest = typed("--max-age", max_age, lambda text: read_span(text, Place(Path())))
    known = read_settings(config)

    async def work(workspace: "Workspace") -> int:
        found = await workspace.status()
        resting = await workspace.paused()
        paused = [is_paused(workspace, each, resting) for each in found]
        logins = {name: login_json(name, state) for name, state in (await workspace.logins()).items()}
        judged = [each for each, rests in zip(found, paused, strict=True) if not rests]
        stale = stale_texts(workspace, judged, oldest, known) if oldest is not None else []
        limits = await workspace.limits()
        schedulers = await workspace.schedulers()
        lines = status_lines(found, paused, logins, is_scheduled=bool(schedulers))
        told = [{"account": account, **state.as_json()} for account, state in limits]
        alive = [{"instance": each.instance, "seen_at": short_text(each.seen_at)} for each in schedulers]
        wrong = await workspace.reach.book.alerts()
        counted = {"schedulers": alive, "alerts": alerts_json(wrong)}
        console.document({"ok": not stale, "streams": lines, "limits": told, **counted})
        rows = [row_of(each, line, workspace) for each, line in zip(found, lines, strict=True)]
        heads = ("stream", "last run", "at", "fresh", "holes", "next run", "next")
        console.say(columns(heads, rows, width=console.width) or f"No account yet.\n  Next: {first_step(known)}")
        if found:
            console.say(schedulers_text(schedulers, workspace.clock.now()))
        if text := limits_text(limits, width=console.width):
            console.say(text)
        if text := logins_text(logins) + alerts_line(wrong):
            console.say(text)
        for text in stale:
            console.tell(text)
        return ExitCode.FAILED if stale else ExitCode.DONE

    return read_workspace(known, work, console=console)


def row_of(each: "StreamStatus", line: "Mapping[str, object]", workspace: "Workspace") -> tuple[object, ...]:
    """Return the line of one stream in the table."""
    now, zone = workspace.clock.now(), workspace.settings.zone
    last_at = (each.last.finished_at or each.last.started_at or each.last.queued_at) if each.last else None
    last, following = (clock_text(at, zone, now=now) for at in (last_at, each.next_at if line["next_run_at"] else None))
    return (
        f"{each.account}/{each.stream}",
        line["state"],
        last,
        age_text(each.freshness),
        len(holes(each)),
        following,
        line["next_step"],
    )


def schedulers_text(alive: "Sequence[Instance]", now: "datetime") -> str:
    """Say who schedules, and that nobody does."""
    if not alive:
        return "\nNobody schedules: `comporta serve` does, or let cron call `comporta sync`."
    return "\nScheduled by " + ", ".join(f"{each.instance} (seen {age_text(now - each.seen_at)} ago)" for each in alive)


def alerts_json(wrong: "Sequence[Alert]") -> dict[str, int]:
    """Return how many alerts are open, and how many of them are errors."""
    return {"open": len(wrong), "errors": sum(each.level is Level.ERROR for each in wrong)}


def alerts_line(wrong: "Sequence[Alert]") -> str:
    """Say that alerts are open, if any is."""
    return f"\n{len(wrong)} open alert{'s' if len(wrong) > 1 else ''}: `comporta alerts`" if wrong else ""


def limits_text(limits: "Sequence[tuple[str, BudgetState]]", *, width: int | None = None) -> str:
    """Return how the accounts stand whose requests are limited, or refused by their source for now."""
    rows = [
        (
            account,
            state.limit or "none known",
            state.allowed or "-",
            state.used,
            state.waiting,
            f"paused for {age_text(timedelta(seconds=state.paused_s))}: {state.reason}" if state.paused_s else "",
        )
        for account, state in limits
        if state.limit or state.allowed or state.paused_s
    ]
    heads = ("account", "limit", "now", "used", "waiting", "")
    return "\n" + columns(heads, rows, width=width) if rows else ""


def logins_text(logins: dict[str, dict[str, object]]) -> str:
    """Return which accounts wait for a person to grant access again."""
    return "".join(
        f"\n{account}: needs login: {login['reason']}\n  Next: {login['next_step']}"
        for account, login in logins.items()
        if login["next_step"]
    )


@dataclass(frozen=True, slots=True)
class CoverageWords:
    """The words around the parts of a stream's coverage, in one language."""

    heads: tuple[str, str, str, str]
    kinds: tuple[str, str, str]
    behind: str
    holed: str
    nothing: str


COVERAGE_WORDS = {
    Language.EN: CoverageWords(
        ("", "since", "until", "why"),
        ("covered", "HOLE", "open"),
        "{age} behind the source; times in {zone}",
        "Not covered from its beginning: `comporta sync {stream}` reads the hole.",
        "Nothing is covered yet: `comporta sync {stream}`.",
    ),
    Language.PT: CoverageWords(
        ("", "de", "até", "por quê"),
        ("coberto", "LACUNA", "em aberto"),
        "{age} atrás da fonte; horas em {zone}",
        "Não está coberto desde o início: `comporta sync {stream}` lê a lacuna.",
        "Nada está coberto ainda: `comporta sync {stream}`.",
    ),
}


def coverage(
    stream: Stream,
    *,
    language: Told = Language.EN,
    config: Config = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> int:
    """Show which source time is covered, the holes, and why they are there."""
    from comporta.workspace.gaps import missing_of

    console = Console(is_json=as_json, is_verbose=verbose)

    async def work(workspace: "Workspace") -> None:
        each = await workspace.status_of(stream)
        missing = await missing_of(workspace, each)
        console.document({"ok": True, "coverage": missing.coverage_json(each)})
        zone = workspace.settings.zone
        rows = coverage_rows(each, missing, language, zone)
        told = COVERAGE_WORDS[language]
        console.say(columns(told.heads, rows, width=console.width))
        closing = told.behind if each.freshness is not None else told.holed if each.coverage.intervals else told.nothing
        console.say(closing.format(age=age_text(each.freshness), zone=workspace.settings.timezone, stream=stream))

    read_workspace(config, work, console=console)
    return ExitCode.DONE


def coverage_rows(
    each: "StreamStatus", missing: "Missing", language: Language, zone: "ZoneInfo"
) -> list[tuple[str, str, str, str]]:
    """Return the lines of the table: what is covered and what is not, in order, and why it is not."""

    def said(told: "ToldGap") -> str:
        return told.why(language, lambda at: local_text(at, zone))

    def at(instant: "datetime") -> str:
        return local_text(instant, zone, language)

    covered, hole, rest = COVERAGE_WORDS[language].kinds
    parts = [(part.since, part.until, covered, "") for part in each.coverage.intervals]
    parts += [(told.gap.since, told.gap.until, hole, said(told)) for told in missing.holes if told.gap.until]
    rows = [(word, at(since), at(until), why) for since, until, word, why in sorted(parts)]
    return [*rows, (rest, at(missing.rest.gap.since), "", said(missing.rest))]


def leases(config: Config = None, as_json: Json = False, verbose: Verbose = False) -> int:
    """Show who holds which stream, since when."""
    console = Console(is_json=as_json, is_verbose=verbose)

    async def work(workspace: "Workspace") -> None:
        now = workspace.clock.now()
        found = await workspace.store.leases()
        console.document({"ok": True, "leases": [lease_json(row, now) for row in found]})
        zone = workspace.settings.zone
        held = [row for row in found if row.holder]
        rows = [
            (
                row.scope,
                row.holder,
                row.epoch,
                local_text(row.since, zone),
                "alive" if is_alive(row, now) else "not responding",
                row.instance,
            )
            for row in held
        ]
        heads = ("stream", "holder", "epoch", "since", "", "on")
        console.say(columns(heads, rows, width=console.width) or "Nothing is held.")

    read_workspace(config, work, console=console)
    return ExitCode.DONE


def stale_texts(
    workspace: "Workspace", judged: "Sequence[StreamStatus]", oldest: timedelta, known: "Settings"
) -> list[str]:
    """Say which streams are older than allowed, and why; one that is not covered from its beginning is."""
    from comporta.workspace.alarms import allowed

    if not workspace.plans:
        return [nothing_text(known)]
    said = []
    for each in judged:
        bound = allowed(workspace, each.account, each.stream, oldest)
        if each.freshness is None or each.freshness > bound:
            said.append(f"{each.account}/{each.stream}: {stale_text(each, bound, is_own=bound != oldest)}")
    return said


def nothing_text(settings: "Settings") -> str:
    """Say that there was nothing to look at, which a monitor in the wrong folder would take for good news."""
    where = settings.path or f"no comporta.toml in {settings.folder}"
    return (
        f"status: no account, so nothing that could be fresh: looked at {where} and {settings.database_shown}"
        "\n  Next: call it in the folder of comporta.toml, or with --config FILE."
    )


def stale_text(each: "StreamStatus", bound: timedelta, *, is_own: bool) -> str:
    """Say why a stream counts as stale; ``is_own`` says that the bound comes from its own schedule."""
    if each.freshness is not None:
        whose = f"{duration_text(bound)}, which its schedule allows" if is_own else duration_text(bound)
        return f"{age_text(each.freshness)} old, more than {whose}"
    return "it is not covered from its beginning" if each.coverage.intervals else "nothing is covered yet"
