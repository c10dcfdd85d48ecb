"""How runs, durations and tables are said to people. Pure: values in, text out.

The same words on a terminal, in a file and in a mail from cron.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo

from comporta.core.counts import Counts
from comporta.core.instant import BEGINNING
from comporta.core.language import Language
from comporta.core.outcome import is_busy
from comporta.core.run import Run, RunState
from comporta.core.totals import Totals
from comporta.observability.words import figure_text, said
from comporta.ports.progress import LogLine

COUNT_WORDS = {
    "inserted": {Language.EN: ("new", "new"), Language.PT: ("novo", "novos")},
    "updated": {Language.EN: ("changed", "changed"), Language.PT: ("alterado", "alterados")},
    "unchanged": {Language.EN: ("unchanged", "unchanged"), Language.PT: ("igual", "iguais")},
    "rejected": {Language.EN: ("rejected", "rejected"), Language.PT: ("rejeitado", "rejeitados")},
    "deleted": {Language.EN: ("deleted", "deleted"), Language.PT: ("excluído", "excluídos")},
}
"""What one record is called, and what several are."""
STATES_PT = {
    RunState.QUEUED: "na fila",
    RunState.RUNNING: "em execução",
    RunState.SUCCEEDED: "concluída com sucesso",
    RunState.FAILED: "falhou",
    RunState.TIMED_OUT: "tempo esgotado",
    RunState.CANCELLED: "cancelada",
    RunState.INTERRUPTED: "interrompida",
    RunState.LOST: "perdida",
    RunState.SKIPPED: "ignorada",
}
USAGE_PT = {
    "records/s": "registros/s",
    "requests": "requisições",
    "again": "de novo",
    "refused for the limit": "recusada(s) pelo limite",
    "waited": "espera de",
    "of": "de",
    "all": "tudo",
    "records": "registros",
    "of them custom field entries": "deles valores de campos personalizados",
    "in": "em",
    "deals/s": "negócios/s",
    "custom fields/s": "campos personalizados/s",
    "upserts/s": "gravações/s",
    "went wrong": "deu errado",
    "times": "vezes",
}
WAIT_SHOWN_S = 0.1
INDENT = "    "


def counts_text(counts: Counts, language: Language = Language.EN) -> str:
    """Say what happened to the records, nothing of what did not.

    >>> counts_text(Counts(read=1000, inserted=12, updated=3, unchanged=985))
    '12 new, 3 changed, 985 unchanged'
    >>> counts_text(Counts()), counts_text(Counts(read=1000, inserted=1000), Language.PT)
    ('nothing new', '1.000 novos')
    """
    figures = counts.as_json()
    told = [
        f"{figure_text(figures[name], language)} {words[language][figures[name] != 1]}"
        for name, words in COUNT_WORDS.items()
        if figures[name]
    ]
    return ", ".join(told) or ("nothing new" if language is Language.EN else "nada novo")


def line_text(line: LogLine, language: Language) -> str:
    """Say one step of a run: as it was written where the language has no words for it."""
    return said(line.step, line.fields, language) or line.message


def state_word(run: Run, language: Language) -> str:
    """Say the state of a run."""
    if is_busy(run):
        return "busy" if language is Language.EN else "ocupada"
    return run.state.value.replace("_", " ") if language is Language.EN else STATES_PT[run.state]


def ended_text(run: Run, language: Language = Language.EN) -> str:
    """Say how a run ended."""
    counted = counts_text(run.counts, language)
    if run.state is RunState.SUCCEEDED:
        unwritten = "; nothing was written" if language is Language.EN else "; nada foi gravado"
        is_changed = run.counts.read + run.counts.deleted > run.counts.unchanged
        return counted + (unwritten if run.dry_run and is_changed else "")
    error = run.error or {}
    why = f" {error.get('code', '')} {error.get('message', '')}".rstrip()
    word = state_word(run, language)
    done = f" ({counted})" if run.counts.read else ""
    return f"{word}{done}:{why}" if why else f"{word}{done}"


def usage_text(run: Run, language: Language = Language.EN) -> str:
    """Say how long a run took and how fast it was, by the limit too where there is one.

    >>> from comporta.core.run import Trigger
    >>> usage_text(Run("r", "a/s", "a", "s", RunState.SUCCEEDED, Trigger.MANUAL, "full", requests_sent=3))
    '3 requests'
    """
    word, figure = _words_of(language)
    said = [f"{figure(run.duration_s, 1)} s"] if run.duration_s is not None else []
    per_s = run.counts.read / run.duration_s if run.duration_s else 0
    said += [f"{figure(per_s)} {word('records/s')}"] if per_s else []
    said.append(f"{figure(run.requests_sent)} {word('requests')}")
    said += [f"{figure(run.requests_retried)} {word('again')}"] if run.requests_retried else []
    said += [f"{figure(run.requests_throttled)} {word('refused for the limit')}"] if run.requests_throttled else []
    said += [f"{word('waited')} {figure(run.waited_s, 1)} s"] if run.waited_s >= WAIT_SHOWN_S else []
    said += [f"{run.limit_used:.0%} {word('of')} {run.limit}"] if run.limit_used is not None else []
    return ", ".join(said)


def totals_lines(runs: Sequence[Run], total: Totals, language: Language = Language.EN) -> list[str]:
    """Say what a sync read in what time: a line for each run, and one for all.

    >>> from comporta.core.totals import totals
    >>> totals_lines([], totals([]))
    ['all: 0 records, in 0.0 s']
    """
    word, figure = _words_of(language)
    lines = [f"{run.account}/{run.stream}: {usage_text(run, language)}" for run in runs]
    entries = total.custom_fields.records
    whole = [f"{word('all')}: {figure(total.all.records)} {word('records')}"]
    whole += [f"{figure(entries)} {word('of them custom field entries')}"] if entries else []
    rates = (
        (total.all.per_s, "records/s"),
        (total.deals.per_s, "deals/s"),
        (total.custom_fields.per_s, "custom fields/s"),
        (total.upserts.per_s, "upserts/s"),
    )
    whole += [f"{word('in')} {figure(total.all.duration_s, 1)} s"]
    whole += [f"{figure(rate, 1)} {word(unit)}" for rate, unit in rates if rate]
    wrong = [f"{operation}: {times} {word('times')}" for operation, times in total.failures.items()]
    return [*lines, ", ".join(whole), *(f"  {word('went wrong')}: {each}" for each in wrong)]


def _words_of(language: Language) -> tuple[Callable[[str], str], Callable[..., str]]:
    """Return what says a word, and a figure with so many decimals, in a language."""

    def figure(value: float, decimals: int = 0) -> str:
        text = f"{value:,.{decimals}f}"
        return text if language is Language.EN else text.translate(str.maketrans(",.", ".,"))

    return lambda word: word if language is Language.EN else USAGE_PT[word], figure


def columns(headings: Sequence[str], rows: Sequence[Sequence[object]], *, width: int | None = None) -> str:
    """Return a table of aligned columns; figures stand to the right.

    What of the last column does not fit into ``width`` stands beneath its row.

    >>> print(columns(["stream", "rows"], [["sale.order", 12], ["x", 9000]]))
    stream      rows
    sale.order    12
    x           9000
    """
    if not rows:
        return ""
    cells = [list(headings), *[["" if cell is None else str(cell) for cell in row] for row in rows]]
    right = [all(isinstance(row[place], int | float | None) for row in rows) for place in range(len(headings))]
    widths = [max(len(line[place]) for line in cells) for place in range(len(headings))]
    lines: list[str] = []
    for line in cells:
        padded = [
            cell.rjust(wide) if figure else cell.ljust(wide)
            for cell, wide, figure in zip(line, widths, right, strict=True)
        ]
        whole = "  ".join(padded).rstrip()
        is_cut = width is not None and len(whole) > width
        lines.append("  ".join(padded[:-1]).rstrip() if is_cut else whole)
        lines += _beneath(line[-1], width or 0) if is_cut and line is not cells[0] else []
    return "\n".join(lines)


def _beneath(text: str, width: int) -> list[str]:
    """Return a text as lines under a row; a word longer than a line is left whole, to be copied."""
    from textwrap import wrap

    room = max(width - len(INDENT), 1)
    return [INDENT + part for part in wrap(text, room, break_long_words=False, break_on_hyphens=False)]


def age_text(age: timedelta | None) -> str:
    """Say how old something is, in its two largest units.

    >>> age_text(timedelta(days=1, hours=2, minutes=3)), age_text(timedelta(seconds=4)), age_text(None)
    ('1d 2h', '4s', '-')
    """
    if age is None:
        return "-"
    seconds = max(0, int(age.total_seconds()))
    parts = []
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        amount, seconds = divmod(seconds, length)
        if amount:
            parts.append(f"{amount}{unit}")
    return " ".join(parts[:2]) or "0s"


def local_text(instant: datetime | None, zone: tzinfo, language: Language = Language.EN) -> str:
    """Say an instant as people of that zone read it.

    >>> from datetime import UTC
    >>> local_text(datetime(2026, 3, 1, 8, tzinfo=UTC), UTC), local_text(None, UTC)
    ('2026-03-01 08:00:00', '-')
    """
    if instant is None:
        return "-"
    if instant == BEGINNING:
        return "the beginning" if language is Language.EN else "o início"
    return instant.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def clock_text(instant: datetime | None, zone: tzinfo, *, now: datetime) -> str:
    """Say when something was or will be as people of that zone read it: of today the time alone.

    >>> from datetime import UTC
    >>> at, midnight = datetime(2026, 3, 1, 8, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)
    >>> clock_text(at, UTC, now=at), clock_text(midnight, UTC, now=at), clock_text(None, UTC, now=at)
    ('08:00:00', '2026-03-02 00:00:00', '-')
    """
    text = local_text(instant, zone)
    return text.removeprefix(f"{now.astimezone(zone):%Y-%m-%d} ")


def value_text(value: object, limit: int = 40) -> str:
    r"""Say one value of a row on one short line.

    >>> value_text(None), value_text("a\nb"), value_text(1.5)
    ('null', 'a b', '1.5')
    """
    text = "null" if value is None else " ".join(str(value).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def fields_text(fields: Mapping[str, tuple[object, object]]) -> str:
    """Say which fields of a row change.

    >>> fields_text({"state": ("draft", "sale")})
    'state: draft -> sale'
    """
    return ", ".join(f"{name}: {value_text(before)} -> {value_text(after)}" for name, (before, after) in fields.items())


def row_text(fields: Mapping[str, tuple[object, object]]) -> str:
    """Say what a new row has.

    >>> row_text({"id": (None, 7), "state": (None, "draft")})
    'id: 7, state: draft'
    """
    return ", ".join(f"{name}: {value_text(after)}" for name, (_, after) in fields.items())
