"""The Odoo simulator: a real HTTP server with invented data, people at work and faults on demand.

Use ``OdooSandbox`` as a context manager, or ``serve_forever`` in the foreground. Its data follow from
the seed; its stamps hang on the instant of its start.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

from comporta.errors import BadValue
from comporta.sandbox.clock import SourceClock
from comporta.sandbox.exchange import Plan, Request, html_answer
from comporta.sandbox.faults import Faults
from comporta.sandbox.odoo_activity import People
from comporta.sandbox.odoo_control import OdooControl
from comporta.sandbox.odoo_faults import ODOO_FAULTS
from comporta.sandbox.odoo_models import FIRST_VERSION, LAST_VERSION
from comporta.sandbox.odoo_protocols import (
    plan_json2,
    plan_jsonrpc,
    plan_version_info,
    plan_web_version,
    plan_xmlrpc,
)
from comporta.sandbox.odoo_seed import PRODUCTS_MAX, Seeder, seed_basics, seed_partners, seed_products
from comporta.sandbox.odoo_seed_orders import seed_orders
from comporta.sandbox.odoo_services import Services
from comporta.sandbox.odoo_world import World
from comporta.sandbox.reality import Reality
from comporta.sandbox.simulator import Simulator

PARTNERS_MIN, PRODUCTS_MIN = 20, 30
ROUTES: dict[str, Callable[[Services, Request], Plan]] = {
    "/jsonrpc": plan_jsonrpc,
    "/web/webclient/version_info": plan_version_info,
    "/web/version": plan_web_version,
    "/xmlrpc/2/common": plan_xmlrpc,
    "/xmlrpc/2/object": plan_xmlrpc,
    "/xmlrpc/2/db": plan_xmlrpc,
}


def build_world(*, records: int, seed: int, version: int, clock: SourceClock) -> World:
    """Return the invented company of that seed and size, as it is before anyone works."""
    if not FIRST_VERSION <= version <= LAST_VERSION:
        raise BadValue(f"Odoo version {version}: expected {FIRST_VERSION} to {LAST_VERSION}")
    rng = Random(seed)
    world = World(version=version, clock=clock, uuid=str(UUID(int=rng.getrandbits(128), version=4)))
    seeder = Seeder(world, rng, clock.now())
    seed_basics(seeder)
    seed_partners(seeder, max(PARTNERS_MIN, records // 4))
    seed_products(seeder, max(PRODUCTS_MIN, min(PRODUCTS_MAX, records // 10)))
    seed_orders(seeder, records)
    return world


class OdooSandbox(Simulator):
    """One simulated Odoo server with one database."""

    people: People

    def __init__(
        self,
        *,
        records: int = 1000,
        seed: int = 1,
        version: int = LAST_VERSION,
        host: str = "127.0.0.1",
        port: int = 0,
        activity: float = 0.0,
        late_commit: timedelta = timedelta(seconds=20),
        late_share: float = 0.1,
        faults: Iterable[str] = (),
        clock: Callable[[], datetime] | None = None,
        database: str = "demo",
        login: str = "demo",
        key: str = "demo",
        password: str | None = None,
        reality: Reality | None = None,
    ) -> None:
        reality = reality or Reality()
        super().__init__(
            activity=activity,
            faults=Faults(ODOO_FAULTS, Random(seed)),
            chosen=faults,
            clock=clock,
            reality=reality,
        )
        self.world = build_world(records=records, seed=seed, version=version, clock=self.clock)
        self.people = People(self.world, Random(seed), reality, late_commit=late_commit, late_share=late_share)
        self._services = Services(
            self.world, self.faults, database=database, login=login, key=key, password=password or key
        )
        self._control = OdooControl(self.world, self.faults, self.stats, self.people)
        self.listen(host, port)

    def plan(self, request: Request) -> Plan:
        """Return what a request asks for: a control route, a protocol, or a page that is not there."""
        if request.path.startswith("/_"):
            return self._control.plan(request)
        if request.path.startswith("/json/2/"):
            return plan_json2(self._services, request)
        route = ROUTES.get(request.path.rstrip("/"))
        if route is None:
            return Plan(lambda: html_answer(404, "404 Not Found"))
        return route(self._services, request)
