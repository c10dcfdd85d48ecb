"""`comporta compare`: whether it is faster to read several pages at once, and whether the data is the same.

Every trial is a dry run of its own, so it stands in the history and writes no row. The report is saved before
anything is printed: whoever waits for a thousand records at five requests a second wants to keep the answer.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from comporta.cli.console import Console
from comporta.cli.options import Config, Json, Stream, Verbose
from comporta.cli.session import with_workspace
from comporta.cli.sync import watcher_for
from comporta.cli.words import columns
from comporta.core.outcome import ExitCode
from comporta.errors import WrongUse
from comporta.settings.reading import read_settings

if TYPE_CHECKING:
    from comporta.coordination.trials import Comparison, Trial
    from comporta.workspace.workspace import Workspace

SIZES = "100,500,1000"
HEADINGS = ("records", "way", "seconds", "records/s", "requests", "429", "of the limit", "data")


def compare(
    stream: Stream,
    *,
    max_records: Annotated[
        str, typer.Option("--max-records", metavar="N,N…", help="How many records, in rising order.")
    ] = SIZES,
    concurrency: Annotated[
        int | None, typer.Option(min=2, max=100, metavar="N", help="Pages in flight of the parallel way.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Save it too: Markdown for FILE.md, else JSON.")
    ] = None,
    config: Config = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> int:
    """Read some records one page after another and several at once, dry; compare time and data."""
    console = Console(is_json=as_json, is_verbose=verbose)
    sizes = sizes_from(max_records)
    settings = read_settings(config)
    if report is not None:
        from comporta.moving.placing import refuse_own

        refuse_own(report, settings)
        save(report, "", mode="a")  # what cannot be written is said before hours are spent on it

    async def work(workspace: "Workspace") -> "list[Comparison]":
        return await workspace.compare(stream, sizes, in_flight=concurrency)

    watcher = watcher_for(console)
    with watcher:
        found = with_workspace(settings, work, console=console, observer=watcher, hand_over=True)
    is_ok = all(each.is_identical for each in found)
    document = {"ok": is_ok, "stream": stream, "comparisons": [each.as_json() for each in found]}
    if report is not None:
        is_markdown = report.suffix.lower() in {".md", ".markdown"}
        save(report, markdown(stream, found) if is_markdown else json.dumps(document, indent=2) + "\n")
    console.document(document)
    console.say(columns(HEADINGS, table(found)))
    for line in verdicts(found):
        console.say(line)
    return ExitCode.DONE if is_ok else ExitCode.FAILED


def sizes_from(text: str) -> list[int]:
    """Return the sizes that were asked for.

    >>> sizes_from("100,500")
    [100, 500]
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) for part in parts):
        message = f"--max-records is {text!r}; expected whole numbers from 1 with commas between, such as {SIZES}"
        raise WrongUse(message)
    return [int(part) for part in parts]


def table(found: "Sequence[Comparison]") -> list[tuple[object, ...]]:
    """Return two lines for each size."""
    return [
        _line(way, trial, _data(each))
        for each in found
        for way, trial in (("sequential", each.sequential), ("parallel", each.parallel))
    ]


def verdicts(found: "Sequence[Comparison]") -> list[str]:
    """Say for each size how much faster it was and whether the data was the same."""
    lines = []
    for each in found:
        if each.has_ended_well:
            read = each.parallel.run.counts.read
            lines.append(f"{read:,} records: {each.speedup or 1:g} times as fast, {_data(each)}")
            if not each.is_identical:
                lines.append("  Next: the source may have changed meanwhile; compare again while nobody works there.")
        for trial in (each.sequential, each.parallel):
            error = trial.run.error or {}
            lines += [f"{each.size:,} records: {error['code']} {error['message']}"] if error else []
            lines += [f"  Next: {error['next_step']}"] if error.get("next_step") else []
    return lines


def markdown(stream: str, found: "Sequence[Comparison]") -> str:
    """Return the report as a page."""
    rows = [HEADINGS, ("---",) * len(HEADINGS), *table(found)]
    lines = ["| " + " | ".join("" if cell is None else str(cell) for cell in row) + " |" for row in rows]
    said = "\n".join(f"- {line.strip()}" for line in verdicts(found))
    return f"# {stream}: sequential and parallel\n\n" + "\n".join(lines) + f"\n\n{said}\n"


def save(path: Path, text: str, *, mode: str = "w") -> None:
    """Write the report; to append nothing only tries whether it could be."""
    try:
        with path.open(mode, encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        message = f"--report {path}: {error.strerror or error}"
        raise WrongUse(message, next_step="Name a file in a folder that is there and may be written to.") from error


def _line(way: str, trial: "Trial", data: str) -> tuple[object, ...]:
    run = trial.run
    said = trial.as_json()
    used = f"{run.limit_used:.0%}" if run.limit_used is not None else "-"
    named = way if way == "sequential" or trial.in_flight is None else f"{way}, {trial.in_flight} at once"
    return (
        run.counts.read,
        named,
        run.duration_s,
        said["records_per_s"],
        run.requests_sent,
        run.requests_throttled,
        used,
        data,
    )


def _data(each: "Comparison") -> str:
    if not each.has_ended_well:
        return "not comparable"
    return "identical" if each.is_identical else f"{each.different} differ"
