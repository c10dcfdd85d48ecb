"""What a process told without the book, in a file: the database fails, and may be back before the process is.

Whoever is told that the database fails restarts things; without this nobody would be told that it is over. The file is
there only as long as something is to be told. Where it cannot be read or written, on a full disk for one, the process
goes by its memory alone.
"""
# ruff: noqa: D102  ports.alerts.Notebook says what each method promises

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from comporta.core.alert import Alert
from comporta.ledger.alert_rows import alert_from, values_of


class AlertFile:
    """Implements ``ports.alerts.Notebook`` by a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def read(self) -> Sequence[Alert]:
        return await asyncio.to_thread(self._read)

    async def keep(self, alerts: Sequence[Alert]) -> bool:
        return await asyncio.to_thread(self._keep, alerts)

    def _read(self) -> Sequence[Alert]:
        with suppress(OSError, ValueError, KeyError, TypeError):
            return [alert_from(row) for row in json.loads(self._path.read_text("utf-8"))]
        return []

    def _keep(self, alerts: Sequence[Alert]) -> bool:
        with suppress(OSError):
            if not alerts:
                self._path.unlink(missing_ok=True)
                return True
            rows = [{**values_of(each), "muted_until": None, "times": each.times} for each in alerts]
            self._path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = self._path.with_suffix(".new")
            unfinished.write_text(json.dumps(rows), "utf-8")
            unfinished.replace(self._path)
            return True
        return False
