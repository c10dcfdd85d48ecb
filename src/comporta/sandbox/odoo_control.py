"""The simulator's own routes: truth, faults, statistics, and acts by which a test sets a scene.

``POST /_act`` takes one act or a list of them, each ``{"do": …}``; the answer lists what each returned.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Protocol

import msgspec

from comporta.errors import BadValue
from comporta.sandbox.exchange import Answer, Plan, Request, html_answer, json_answer
from comporta.sandbox.faults import Faults
from comporta.sandbox.odoo_errors import OdooError
from comporta.sandbox.odoo_stamps import exact_text
from comporta.sandbox.odoo_transaction import Transaction
from comporta.sandbox.odoo_truth import truth
from comporta.sandbox.odoo_world import World
from comporta.sandbox.stats import Stats

Act = Mapping[str, Any]


class Workforce(Protocol):
    """The people at work, as far as control commands them."""

    def start(self, rate: float) -> None:
        """Begin to change things, so many times a second."""

    def stop(self, *, is_finishing: bool = True) -> None:
        """Stop; finish open transactions, unless told not to."""

    def step(self, times: int = 1) -> None:
        """Make so many changes at once."""

    def finish(self) -> None:
        """Commit every transaction that is still open."""


class Control:
    """Answers the routes that begin with ``/_``."""

    def __init__(self, world: World, faults: Faults, stats: Stats, people: Workforce) -> None:
        self.world = world
        self.faults = faults
        self.stats = stats
        self.people = people
        self._acts: dict[str, Callable[[Act], Any]] = {
            "create": lambda act: self._writer(act).create(act["model"], act.get("values", {})),
            "write": lambda act: self._writer(act).write(act["model"], act["ids"], act["values"]),
            "write_unstamped": lambda act: self._writer(act).write_unstamped(act["model"], act["ids"], act["values"]),
            "unlink": lambda act: self._writer(act).unlink(act["model"], act["ids"]),
            "archive": lambda act: self._writer(act).write(act["model"], act["ids"], {"active": False}),
            "unarchive": lambda act: self._writer(act).write(act["model"], act["ids"], {"active": True}),
            "begin": lambda act: self.world.begin_late().number,
            "commit": lambda act: self._transaction(act).commit(),
            "rollback": lambda act: self._transaction(act).rollback(),
            "clock": self._move_clock,
            "start_activity": lambda act: self.people.start(float(act.get("rate", 1))),
            "stop_activity": lambda act: self.people.stop(is_finishing=act.get("finish", True)),
            "finish": lambda act: self.people.finish(),
            "step": lambda act: self.people.step(int(act.get("times", 1))),
        }

    def plan(self, request: Request) -> Plan:
        """Plan a control request; errors are 400 with their text."""

        def run() -> Answer:
            try:
                return self._answer(request)
            except (OdooError, BadValue) as error:
                return json_answer({"error": str(error), "name": getattr(error, "name", "")}, 400)
            except (KeyError, TypeError, ValueError) as error:
                return json_answer({"error": f"{type(error).__name__}: {error}"}, 400)

        return Plan(run, is_control=True)

    def _answer(self, request: Request) -> Answer:
        if request.path.startswith("/_truth/"):
            return json_answer(truth(self.world, request.path.removeprefix("/_truth/")))
        if request.path == "/_stats":
            return json_answer({**self.stats.as_json(), "faults": dict(self.faults.struck)})
        if request.path == "/_faults":
            return self._manage_faults(request)
        if request.path == "/_act" and request.method == "POST":
            acts = msgspec.json.decode(request.body)
            done = [self._perform(act) for act in (acts if isinstance(acts, list) else [acts])]
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

    def _perform(self, act: Act) -> Any:
        name = act["do"]
        if name not in self._acts:
            raise BadValue(f"unknown act {name!r}; expected one of {', '.join(sorted(self._acts))}")
        return self._acts[name](act)

    def _writer(self, act: Act) -> World | Transaction:
        return self._transaction(act) if "transaction" in act else self.world

    def _transaction(self, act: Act) -> Transaction:
        found = self.world.open.get(act["transaction"])
        if found is None or not found.is_open:
            raise BadValue(f"no open transaction {act['transaction']!r}")
        return found

    def _move_clock(self, act: Act) -> str:
        self.world.clock.advance(timedelta(seconds=act.get("advance_s", 0.0)))
        return exact_text(self.world.clock.now())
