"""The routes that begin with ``/_``, alike for every simulator: truth, faults, statistics, acts.

``POST /_act`` takes one act or a list of them, each ``{"do": …}``; the answer lists what each returned.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from comporta.errors import BadValue
from comporta.sandbox.clock import SourceClock
from comporta.sandbox.exchange import Answer, Plan, Request, html_answer, json_answer
from comporta.sandbox.faults import Faults
from comporta.sandbox.simulator import Workforce
from comporta.sandbox.stats import Stats

Act = Mapping[str, Any]


class Control:
    """Answers control requests; a simulator adds its truth and its acts."""

    refusals: tuple[type[Exception], ...] = (BadValue,)

    def __init__(self, clock: SourceClock, faults: Faults, stats: Stats, people: Workforce) -> None:
        self.clock = clock
        self.faults = faults
        self.stats = stats
        self.people = people
        self._acts: dict[str, Callable[[Act], Any]] = {
            "clock": self._move_clock,
            "start_activity": lambda act: self.people.start(float(act.get("rate", 1))),
            "stop_activity": lambda act: self.people.stop(is_finishing=act.get("finish", True)),
            "step": lambda act: self.people.step(int(act.get("times", 1))),
        }

    def plan(self, request: Request) -> Plan:
        """Plan a control request; errors are 400 with their text."""

        def run() -> Answer:
            try:
                return self._answer(request)
            except self.refusals as error:
                return json_answer({"error": str(error), "name": getattr(error, "name", "")}, 400)
            except (KeyError, TypeError, ValueError) as error:
                return json_answer({"error": f"{type(error).__name__}: {error}"}, 400)

        return Plan(run, is_control=True)

    def truth(self, stream: str) -> dict[str, Any]:
        """Return every committed record of a stream, and the source's instant of asking."""
        raise NotImplementedError

    def statistics(self) -> dict[str, Any]:
        """Return what ``GET /_stats`` tells."""
        return {**self.stats.as_json(), "faults": dict(self.faults.struck)}

    def perform(self, act: Act) -> Any:
        """Do one act and return its result."""
        name = act["do"]
        if name not in self._acts:
            raise BadValue(f"unknown act {name!r}; expected one of {', '.join(sorted(self._acts))}")
        return self._acts[name](act)

    def _answer(self, request: Request) -> Answer:
        if request.path.startswith("/_truth/"):
            return json_answer(self.truth(request.path.removeprefix("/_truth/")))
        if request.path == "/_stats":
            return json_answer(self.statistics())
        if request.path == "/_faults":
            return self._manage_faults(request)
        if request.path == "/_act" and request.method == "POST":
            acts = msgspec.json.decode(request.body)
            done = [self.perform(act) for act in (acts if isinstance(acts, list) else [acts])]
            return json_answer({"results": done})
        return html_answer(404, "404 Not Found")

    def _manage_faults(self, request: Request) -> Answer:
        if request.method == "DELETE":
            self.faults.clear(request.query.get("name", ""))
        elif request.method == "POST":
            wanted = msgspec.json.decode(request.body)
            for fault in wanted if isinstance(wanted, list) else [wanted]:
                text = f"{fault['name']}={fault['value']}" if "value" in fault else fault["name"]
                self.faults.add(text, times=fault.get("times"), label=fault.get("label", ""))
        return json_answer({"faults": self.faults.listed()})

    def _move_clock(self, act: Act) -> str:
        self.clock.advance(timedelta(seconds=act.get("advance_s", 0.0)))
        return self.shown(self.clock.now())

    def shown(self, instant: datetime) -> str:
        """Return an instant as this source writes it."""
        return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
