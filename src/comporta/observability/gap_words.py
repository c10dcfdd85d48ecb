"""Why a part of source time is not covered, in words: Portuguese and English, made of a gap when it is shown.

An error's own message stays as it was written, because that is what one looks for in a log.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from comporta.core.gaps import Gap, Why
from comporta.core.language import Language
from comporta.core.run import Run, RunState
from comporta.observability.words import figure_text

EN, PT = Language.EN, Language.PT
WHY: Mapping[Why, Mapping[Language, str]] = MappingProxyType(
    {
        Why.READING: {EN: "it is being read by run {run}{far}", PT: "está sendo lido pela execução {run}{far}"},
        Why.NEEDS_LOGIN: {EN: "{account} needs login: {login}", PT: "{account} precisa de login: {login}"},
        Why.PAUSED: {EN: "it is paused{since}", PT: "está em pausa{since}"},
        Why.FAILED: {
            EN: "run {run} {state}{error}{far}; {next}",
            PT: "a execução {run} {state}{error}{far}; {next}",
        },
        Why.QUARANTINE: {
            EN: "run {run} {state}{error}; {quarantined} records wait in quarantine; {next}",
            PT: "a execução {run} {state}{error}; {quarantined} registros esperam na quarentena; {next}",
        },
        Why.QUEUED: {EN: "run {run} waits to read it; {next}", PT: "a execução {run} espera para ler; {next}"},
        Why.VOIDED: {EN: "it was read once, and counts no more; {next}", PT: "já foi lido, e não vale mais; {next}"},
        Why.UNSCHEDULED: {EN: "nobody has asked for it; {next}", PT: "ninguém pediu esse período; {next}"},
        Why.DUE: {EN: "it is read next; {next}", PT: "é o próximo a ser lido; {next}"},
        Why.NEVER_ASKED: {EN: "it was not asked for yet; {next}", PT: "ainda não foi pedido; {next}"},
    }
)
NEXT: Mapping[str, Mapping[Language, str]] = MappingProxyType(
    {
        "at": {EN: "next try {at}", PT: "próxima tentativa {at}"},
        "queued": {EN: "it is in the queue", PT: "está na fila"},
        "none": {
            EN: "nobody schedules it: `comporta serve` does, or `comporta sync {scope}` reads it now",
            PT: "ninguém o agenda: `comporta serve` agenda, ou `comporta sync {scope}` lê agora",
        },
    }
)
FAR = {
    "of": {EN: ", {read} of about {expected} records read", PT: ", {read} de cerca de {expected} registros lidos"},
    "read": {EN: ", {read} records read", PT: ", {read} registros lidos"},
}
FIRST = {EN: "first load: ", PT: "primeira carga: "}
SINCE = {EN: " since {at}", PT: " desde {at}"}
VOIDED = {
    EN: "; run {run} ({kind}) took it back: {message}",
    PT: "; a execução {run} ({kind}) desfez a cobertura: {message}",
}
STATES: Mapping[RunState, Mapping[Language, str]] = MappingProxyType(
    {
        RunState.FAILED: {EN: "failed", PT: "falhou"},
        RunState.TIMED_OUT: {EN: "timed out", PT: "esgotou o tempo"},
        RunState.CANCELLED: {EN: "was cancelled", PT: "foi cancelada"},
        RunState.INTERRUPTED: {EN: "was interrupted", PT: "foi interrompida"},
        RunState.LOST: {EN: "was lost", PT: "se perdeu"},
        RunState.RUNNING: {EN: "does not respond", PT: "não responde"},
    }
)


@dataclass(frozen=True, slots=True)
class About:
    """What is said of a gap beside what it holds.

    ``read`` of ``expected`` records of its window are here, ``None`` where that is not known.
    """

    account: str
    stream: str
    login: str | None = None
    paused_at: datetime | None = None
    quarantined: int = 0
    read: int | None = None
    expected: int | None = None


def why_text(gap: Gap, about: About, language: Language, *, show: Callable[[datetime], str], is_first: bool) -> str:
    """Say why a part is not covered; ``is_first``: nothing of the stream ever was.

    ``show`` writes an instant as people of the place read it.
    """
    run = gap.run
    said = WHY[gap.why][language].format(
        run=run.id if run is not None else "",
        state=STATES.get(run.state, {}).get(language, "") if run is not None else "",
        error=_error(run),
        account=about.account,
        login=about.login or "",
        since=SINCE[language].format(at=show(about.paused_at)) if about.paused_at is not None else "",
        quarantined=about.quarantined,
        far=_far(about, language),
        next=_next(gap, about, language, show),
    )
    return (FIRST[language] if is_first else "") + said + _taken_back(gap, language)


def _error(run: Run | None) -> str:
    error = run.error if run is not None else None
    return f": {error['code']} {error['message']}" if error else ""


def _taken_back(gap: Gap, language: Language) -> str:
    if gap.voided is None:
        return ""
    return VOIDED[language].format(run=gap.voided.run, kind=gap.voided.kind, message=gap.voided.message)


def _far(about: About, language: Language) -> str:
    if about.read is None:
        return ""
    figures = {"read": figure_text(about.read, language), "expected": figure_text(about.expected or 0, language)}
    return FAR["read" if about.expected is None else "of"][language].format(**figures)


def _next(gap: Gap, about: About, language: Language, show: Callable[[datetime], str]) -> str:
    if gap.next_at is not None:
        return NEXT["at"][language].format(at=show(gap.next_at))
    kind = "queued" if gap.is_queued else "none"
    return NEXT[kind][language].format(scope=f"{about.account}/{about.stream}")
