"""The Mercado Livre simulator: several sellers of one application over real HTTP, with drift and faults on demand.

API and OAuth share one address. Client and secret are ``demo``, the sellers 1001, 1002, …, their first
refresh tokens ``demo-1001``, ``demo-1002``, …; each works once, as every one that follows it.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from random import Random

from comporta.sandbox.exchange import Plan, Request
from comporta.sandbox.faults import Faults
from comporta.sandbox.mercadolivre_activity import People
from comporta.sandbox.mercadolivre_api import Api
from comporta.sandbox.mercadolivre_control import MercadoLivreControl
from comporta.sandbox.mercadolivre_faults import MERCADOLIVRE_FAULTS
from comporta.sandbox.mercadolivre_logins import Logins
from comporta.sandbox.mercadolivre_notices import Notices
from comporta.sandbox.mercadolivre_oauth import AUTHORIZATION, TOKEN, OAuth
from comporta.sandbox.mercadolivre_routes import Routes
from comporta.sandbox.mercadolivre_seed import Seeder
from comporta.sandbox.mercadolivre_world import World
from comporta.sandbox.reality import Reality
from comporta.sandbox.simulator import Simulator

TOKEN_LIFETIME_S = 21_600


class MercadoLivreSandbox(Simulator):
    """One simulated Mercado Livre, as one application sees it."""

    def __init__(
        self,
        *,
        records: int = 200,
        sellers: int = 2,
        items: int = 60,
        seed: int = 1,
        host: str = "127.0.0.1",
        port: int = 0,
        activity: float = 0.0,
        faults: Iterable[str] = (),
        clock: Callable[[], datetime] | None = None,
        reality: Reality | None = None,
        token_lifetime_s: int = TOKEN_LIFETIME_S,
        limit: int | None = None,
        first_token: str = "demo",  # noqa: S107  invented
    ) -> None:
        reality = reality or Reality()
        super().__init__(
            activity=activity,
            faults=Faults(MERCADOLIVRE_FAULTS, Random(seed)),
            chosen=faults,
            clock=clock,
            reality=reality,
        )
        chance = Random(f"{seed}/{first_token}")
        self.logins = Logins(sellers, self.clock, chance, token_lifetime_s, first=first_token)
        self._oauth = OAuth(self.logins, self.faults, reality.wait)
        self.world = World(self.clock, self.logins.sellers, Random(seed))
        Seeder(self.world, Random(seed)).seed(orders=records, items=items)
        self.people = People(self.world, Random(seed), reality)
        self.notices = Notices(self.clock, self.faults, Random(seed), reality)
        self.world.told.append(self.notices.tell)
        routes = Routes(self.world, self.faults, self.notices)
        self._api = Api(self.logins, self.faults, limit, routes.answer)
        witnesses = {"limits": self._api.meters, "notices": self.notices.as_json, "fetched_orders": routes.fetched}
        self._control = MercadoLivreControl(
            self.world, self.faults, self.stats, self.people,
            logins=self.logins, notices=self.notices, witnesses=witnesses,
        )  # fmt: skip
        self.listen(host, port)
        self._oauth.closing = self._server.closing

    def close(self) -> None:
        """Stop the sender of notifications, then everything else."""
        self.notices.close()
        super().close()

    def plan(self, request: Request) -> Plan:
        """Return what a request asks for."""
        if request.path.startswith("/_"):
            return self._control.plan(request)
        if request.path in {TOKEN, AUTHORIZATION}:
            return self._oauth.plan(request)
        return self._api.plan(request, count=self._control.count)
