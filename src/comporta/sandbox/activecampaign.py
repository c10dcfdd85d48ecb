"""The ActiveCampaign simulator: API v3 over real HTTP, with an exact limit, drift and faults on demand.

Every path before ``/api/3`` names an account with a limit of its own (``http://…/loja7/api/3/deals``);
all of them show the same invented rows. The key is ``demo``.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from random import Random
from threading import Lock

from comporta.sandbox.activecampaign_activity import People
from comporta.sandbox.activecampaign_answers import answer, refusal
from comporta.sandbox.activecampaign_control import ActiveCampaignControl
from comporta.sandbox.activecampaign_faults import ACTIVECAMPAIGN_FAULTS
from comporta.sandbox.activecampaign_seed import Seeder
from comporta.sandbox.activecampaign_world import World
from comporta.sandbox.exchange import Answer, Plan, Request, html_answer
from comporta.sandbox.faults import Faults
from comporta.sandbox.meter import Meter
from comporta.sandbox.reality import Reality
from comporta.sandbox.simulator import Simulator

API = "/api/3"
LIMIT = 5
ZONE = "America/Chicago"
"""The zone of the vendor's samples: it has summer time, which Brazil no longer has."""


class ActiveCampaignSandbox(Simulator):
    """One simulated ActiveCampaign server."""

    people: People

    def __init__(
        self,
        *,
        records: int = 1000,
        seed: int = 1,
        host: str = "127.0.0.1",
        port: int = 0,
        activity: float = 0.0,
        limit: int = LIMIT,
        zone: str = ZONE,
        key: str = "demo",
        faults: Iterable[str] = (),
        clock: Callable[[], datetime] | None = None,
        reality: Reality | None = None,
    ) -> None:
        reality = reality or Reality()
        super().__init__(
            activity=activity,
            faults=Faults(ACTIVECAMPAIGN_FAULTS, Random(seed)),
            chosen=faults,
            clock=clock,
            reality=reality,
        )
        self.limit = limit
        self.world = World(self.clock, zone)
        Seeder(self.world, Random(seed)).seed(records)
        self.people = People(self.world, Random(seed), reality)
        self._key = key
        self._lock = Lock()
        self._meters: dict[str, Meter] = {}
        self._control = ActiveCampaignControl(
            self.world, self.faults, self.stats, self.people, lambda: dict(self._meters)
        )
        self.listen(host, port)

    def plan(self, request: Request) -> Plan:
        """Return what a request asks for; the limit judges it here, as it arrives."""
        if request.path.startswith("/_"):
            return self._control.plan(request)
        account, found, route = request.path.partition(API)
        account, route = account.strip("/"), route.strip("/")
        if not found:
            return Plan(lambda: html_answer(404, "404 Not Found"))
        label = "/".join(part for part in (account, route) if part)
        other = self.faults.strikes("other_integration", label)
        verdict = self.meter(account).arrive(
            request.arrived,
            taken=int(other.number) if other else 0,
            is_throttled=self.faults.happens("throttled", label),
        )
        headers = {"RateLimit-Limit": str(self.limit), "RateLimit-Remaining": str(verdict.remaining)}

        def run() -> Answer:
            if not verdict.is_allowed:
                made = refusal(verdict, self.faults, label, self.clock.now())
            else:
                made = answer(self.world, self.faults, request, label=label, route=route, key=self._key)
                self._control.count(label)
            return Answer(made.status, made.body, made.content_type, {**headers, **made.headers})

        return Plan(run, label)

    def meter(self, account: str = "") -> Meter:
        """Return the limit of an account, and what it saw."""
        with self._lock:
            return self._meters.setdefault(account, Meter(self.limit))
