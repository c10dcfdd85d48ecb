"""All accounts of a folder in one process: how late the event loop wakes, how soon a free place is taken again."""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import quantiles

from comporta.bootstrap.workspaces import open_workspace
from comporta.core.run import Run, RunState
from comporta.ports.events import Unwatched
from comporta.ports.progress import Progress
from comporta.settings.reading import read_settings

NAP_S = 0.01


class Stopwatch(Unwatched):
    """Remembers how long each place stood free: from the end of a run to the start of the next."""

    def __init__(self) -> None:
        self.delays: list[float] = []
        self._freed: list[float] = []

    def started(self, run: Run, progress: Progress) -> None:  # noqa: ARG002  the port's signature
        if self._freed:
            self.delays.append(time.perf_counter() - self._freed.pop(0))

    def ended(self, run: Run) -> None:  # noqa: ARG002  the port's signature
        self._freed.append(time.perf_counter())


async def naps(lags: list[float]) -> None:
    while True:
        begun = time.perf_counter()
        await asyncio.sleep(NAP_S)
        lags.append(time.perf_counter() - begun - NAP_S)


def shares(seconds: Sequence[float]) -> dict[str, float]:
    """Return median, 99th percentile and maximum in milliseconds."""
    if len(seconds) < 2:
        return {"p50": 0.0, "p99": 0.0, "max": 0.0}
    cuts = quantiles(seconds, n=100, method="inclusive")
    return {"p50": cuts[49] * 1000, "p99": cuts[98] * 1000, "max": max(seconds) * 1000}


async def work(config: Path) -> dict[str, object]:
    settings = read_settings(config)
    watch, lags = Stopwatch(), list[float]()
    async with open_workspace(settings, observer=watch) as workspace:
        napping = asyncio.ensure_future(naps(lags))
        begun = time.perf_counter()
        runs = await workspace.sync([f"{name}/sale.order" for name in settings.accounts])
        took_s = time.perf_counter() - begun
        napping.cancel()
    assert all(run.state is RunState.SUCCEEDED for run in runs), next(run for run in runs if run.error)
    return {"runs": len(runs), "took_s": took_s, "lag_ms": shares(lags), "delay_ms": shares(watch.delays)}


def main(_: str, place: str, *__: str) -> None:
    folder = Path(place)
    (folder / "accounts.json").write_text(json.dumps(asyncio.run(work(folder / "comporta.toml"))))


if __name__ == "__main__":
    main(*sys.argv[1:])
