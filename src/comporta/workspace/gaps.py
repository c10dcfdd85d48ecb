"""Why what is not covered of a stream is not: read from the ledger, for `comporta coverage` and the API.

``core.gaps`` decides; here is what it decides from, and what is said beside the reason: how far a load has come, and
when somebody tries next.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from comporta.core.gaps import Gap, Standing, Why, hole, open_end
from comporta.core.instant import short_text
from comporta.core.language import Language
from comporta.core.login import Standing as LoginStanding
from comporta.core.run import Run
from comporta.core.window import parse_request
from comporta.observability.gap_words import About, why_text
from comporta.workspace.reports import coverage_json, holes, is_paused
from comporta.workspace.stream_status import StreamStatus, living
from comporta.workspace.workspace import Workspace

RUNS_MAX = 200
"""Runs that are looked at, the newest: four days of a stream that is due every half hour."""
FAR = frozenset({Why.READING, Why.FAILED})


@dataclass(frozen=True, slots=True)
class ToldGap:
    """A gap, and what is said of it."""

    gap: Gap
    about: About
    is_first: bool

    def why(self, language: Language = Language.EN, show: Callable[[datetime], str] | None = None) -> str:
        """Say why it is there."""
        return why_text(self.gap, self.about, language, show=show or _shown, is_first=self.is_first)

    def as_json(self) -> dict[str, object]:
        """Return it as the object GAP of docs/reference/commands.md."""
        run = self.gap.run
        return {
            "since": short_text(self.gap.since),
            "until": short_text(self.gap.until),
            "why_code": self.gap.why.value,
            "why": self.why(),
            "run": run.id if run is not None else None,
            "error": run.error if run is not None else None,
            "next_try_at": short_text(self.gap.next_at),
            "voided_by": self.gap.voided.run if self.gap.voided is not None else None,
        }


@dataclass(frozen=True, slots=True)
class Missing:
    """The holes of a stream, and what follows the end of its coverage."""

    holes: Sequence[ToldGap]
    rest: ToldGap

    def coverage_json(self, each: StreamStatus) -> dict[str, object]:
        """Return what is covered of the stream, what is missing in it, and why."""
        gaps = {"holes": [hole.as_json() for hole in self.holes], "open": self.rest.as_json()}
        return coverage_json(each) | gaps


async def missing_of(workspace: Workspace, each: StreamStatus) -> Missing:
    """Return what is not covered of a stream, and why."""
    known = await _standing(workspace, each)
    rest = open_end(each.origin, known)
    found = [hole(part.since, part.until, known) for part in holes(each)]
    told = [await _told(workspace, each, known, gap) for gap in (*found, rest)]
    return Missing(told[:-1], told[-1])


async def _standing(workspace: Workspace, each: StreamStatus) -> Standing:
    store, scope = workspace.store, f"{each.account}/{each.stream}"
    login = (await workspace.logins()).get(each.account)
    is_needed = login is not None and login.standing is LoginStanding.NEEDS_LOGIN
    is_resting = is_paused(workspace, each, await workspace.paused())
    is_scheduled = bool(await workspace.schedulers()) and each.is_offered and not is_resting
    return Standing(
        runs=await store.runs(account=each.account, stream=each.stream, dry_run=False, limit=RUNS_MAX),
        living=await living(store, workspace.clock),
        end=each.coverage.end,
        next_at=each.next_at if is_scheduled else None,
        is_paused=is_resting,
        login=(login.reason or "") if login is not None and is_needed else None,
        voided=await store.voided(scope, limit=RUNS_MAX),
    )


async def _told(workspace: Workspace, each: StreamStatus, known: Standing, gap: Gap) -> ToldGap:
    read, expected = await _far(workspace, gap) if gap.why in FAR else (None, None)
    about = About(
        each.account,
        each.stream,
        login=known.login,
        paused_at=(await workspace.paused()).get(each.account),
        quarantined=each.quarantined,
        read=read,
        expected=expected,
    )
    return ToldGap(gap, about, is_first=not each.coverage.intervals and gap.why in FAR)


async def _far(workspace: Workspace, gap: Gap) -> tuple[int | None, int | None]:
    """Return how many records of its window a run has read, and how many there are as far as the source says."""
    run = gap.run
    if run is None:
        return None, None
    begun = await workspace.store.open_pass(run.scope, parse_request(run.request))
    if begun is None or not begun.read:
        return None, None
    return begun.read, await _expected(workspace, run)


async def _expected(workspace: Workspace, run: Run) -> int | None:
    lines = [line for _, _, line in await workspace.store.log(run.id) if line.step == "pass_started"]
    figure = lines[-1].fields.get("expected") if lines else None
    return figure if isinstance(figure, int) else None


def _shown(at: datetime) -> str:
    return short_text(at) or ""
