"""Comporta with a stopwatch of CPU time around its parts: where the CPU goes, and what the ledger costs.

Times are of the thread that does the work, so waiting counts for nothing, and exclusive: a part inside
another is taken off the outer one. Watched functions run once a page or less, so the watch itself costs
nothing that shows. What no part claims is "the rest".
"""

import functools
import gc
import importlib
import json
import os
import sys
import threading
import time
import types
from collections import defaultdict
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

WATCHED: tuple[tuple[str, str], ...] = (
    ("HTTP", "comporta.sources.http:Transport._exchange"),
    ("decode", "comporta.sources.odoo_calls:JsonRpc.typed"),
    ("convert", "comporta.sources.odoo_rows:Plan.read"),
    ("check", "comporta.sources.odoo_reader:_check_order"),
    ("check", "comporta.sources.odoo_reader:_check_stamps"),
    ("check", "comporta.engine.drive:_warn_of_the_future"),
    ("hash", "comporta.destinations.sort:row_hashes"),
    ("compare", "comporta.destinations.sqlite:newest"),
    ("compare", "comporta.destinations.sqlite:sort_batch"),
    ("compare", "comporta.destinations.postgres:newest"),
    ("compare", "comporta.destinations.postgres:sort_batch"),
    ("write", "comporta.destinations.sqlite:SqliteDestination.write"),
    ("write", "comporta.destinations.postgres:PostgresDestination.write"),
    ("commit", "comporta.ledger.sqlite:SqliteDatabase._write_group"),
    ("commit", "comporta.ledger.postgres:PostgresDatabase._commit"),
    ("ledger", "comporta.ledger.sqlite:SqliteDatabase._write_one"),
    ("ledger", "comporta.ledger.sqlite:SqliteDatabase.read"),
    ("ledger", "comporta.ledger.postgres:PostgresDatabase._patiently"),
    ("ledger", "comporta.engine.work:Work.tell"),
    ("prepare", "comporta.destinations.sqlite:SqliteDestination.prepare"),
    ("prepare", "comporta.destinations.postgres:PostgresDestination.prepare"),
)
"""Part, and the function whose time is that part's. Names are looked up where they are called."""

SPENT: dict[str, float] = defaultdict(float)
_OPEN = threading.local()


@contextmanager
def spending(part: str) -> Iterator[None]:
    """Add this thread's CPU time to a part, and take it off the part around it."""
    stack: list[list[Any]] = _OPEN.__dict__.setdefault("stack", [])
    if stack:
        SPENT[stack[-1][0]] += time.thread_time() - stack[-1][1]
    stack.append([part, time.thread_time()])
    try:
        yield
    finally:
        name, since = stack.pop()
        SPENT[name] += time.thread_time() - since
        if stack:
            stack[-1][1] = time.thread_time()


def watched(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with its CPU time added up."""

    @functools.wraps(function)
    def timed(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  whatever the function takes and gives
        with spending(part):
            result = function(*args, **kwargs)
        return _stepped(part, result) if isinstance(result, Coroutine) else result

    return timed


@types.coroutine
def _stepped(part: str, work: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """Run a coroutine, timing each of its steps and none of its waits."""
    step, value = work.send, None
    while True:
        try:
            with spending(part):
                awaited = step(value)
        except StopIteration as end:
            return end.value
        try:
            step, value = work.send, (yield awaited)
        except BaseException as error:  # noqa: BLE001  passed on into the coroutine
            step, value = work.throw, error


def watch(other: str) -> list[str]:
    """Put the stopwatch around the functions of the list; return those that are not there.

    Not around those of the other database: importing them would be counted.
    """
    missing = []
    for part, place in WATCHED:
        module, _, path = place.partition(":")
        if module.endswith(other):
            continue
        *owners, name = path.split(".")
        try:
            owner: Any = importlib.import_module(module)
            for each in owners:
                owner = getattr(owner, each)
            setattr(owner, name, watched(part, getattr(owner, name)))
        except (ImportError, AttributeError):
            missing.append(place)
    return missing


def _watch_garbage() -> None:
    """Garbage is collected inside the parts; what that takes is told beside them."""
    begun = [0.0]

    def told(phase: str, _: object) -> None:
        if phase == "start":
            begun[0] = time.thread_time()
        else:
            SPENT["garbage"] += time.thread_time() - begun[0]

    gc.callbacks.append(told)


def _http_threads() -> float:
    """Return the CPU seconds of the HTTP library's own threads, which Python does not see."""
    ticks = 0
    for task in Path("/proc/self/task").glob("*/stat"):
        with suppress(OSError):  # a thread may end while we look
            name, _, fields = task.read_text().partition("(")[2].rpartition(")")
            if name.startswith("pyreqwest"):
                ticks += sum(map(int, fields.split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def main(url: str, folder: str, mode: str, database: str) -> None:
    from bench.contestants import comporta_sync  # noqa: PLC0415  timed

    missing = watch(".postgres" if database.startswith("sqlite") else ".sqlite")
    _watch_garbage()
    started = time.process_time()
    comporta_sync.main(url, folder, mode, database)
    SPENT["HTTP"] += _http_threads()
    SPENT["start"] = started
    SPENT["whole"] = time.process_time()
    (Path(folder) / "parts.json").write_text(json.dumps({**SPENT, "missing": missing}))


if __name__ == "__main__":
    main(*sys.argv[1:])
