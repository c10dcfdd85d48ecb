"""The control routes of the Mercado Livre simulator: truth by seller, what was done with tokens, and acts.

``GET /_truth/logins`` is the witness of the refresh tokens; ``fetched_orders`` in ``/_stats`` that of the
orders that were read one by one.
"""

from collections.abc import Callable, Mapping
from typing import Any

from comporta.errors import BadValue
from comporta.sandbox.control import Act
from comporta.sandbox.exchange import Answer, Request, json_answer
from comporta.sandbox.faults import Faults
from comporta.sandbox.mercadolivre_activity import People
from comporta.sandbox.mercadolivre_logins import Logins
from comporta.sandbox.mercadolivre_notices import DROPS_MAX, RETRY_S, TOPICS, Notices
from comporta.sandbox.mercadolivre_routes import truth_of
from comporta.sandbox.mercadolivre_world import World
from comporta.sandbox.stats import Stats
from comporta.sandbox.waiting import WaitingControl

Fact = tuple[str, Callable[[Any], Any]]
STATUS: dict[str, Fact] = {"status": ("status", str)}
ORDER_FACTS: dict[str, Fact] = {**STATUS, "tags": ("tags", tuple)}
ITEM_FACTS: dict[str, Fact] = {
    **STATUS,
    "sub_status": ("sub_status", tuple),
    "title": ("title", str),
    "available_quantity": ("stock", int),
    "price": ("price", lambda amount: round(amount * 100)),
}
SHIPMENT_FACTS: dict[str, Fact] = {
    **STATUS,
    "substatus": ("substatus", lambda word: word),
    "cost": ("cost", lambda amount: round(amount * 100)),
}
"""What an act changes of a record itself, by its name in the API; anything else is written over its form."""
STREAMS = ("orders", "items", "shipments", "packs", "logins")


class MercadoLivreControl(WaitingControl):
    """Answers the routes that begin with ``/_``; ``witnesses`` add to the statistics."""

    def __init__(
        self,
        world: World,
        faults: Faults,
        stats: Stats,
        people: People,
        *,
        logins: Logins,
        notices: Notices,
        witnesses: Mapping[str, Callable[[], Any]],
    ) -> None:
        super().__init__(world.clock, faults, stats, people)
        self.world = world
        self.logins = logins
        self.notices = notices
        self._witnesses = witnesses
        self._acts |= {
            "revoke": lambda act: logins.revoke(int(act["seller"])),
            "rotate": lambda act: logins.consent(int(act["seller"]))["refresh_token"],
            "create_order": lambda act: people.buy(self._seller(act), is_late=not act.get("ship", True)),
            "ship_order": lambda act: people.ship(
                int(act["id"]), is_stamped=act.get("stamp", True), is_told=act.get("notify", True)
            ),
            "cancel_order": lambda act: people.cancel(int(act["id"])),
            "update_order": lambda act: self._update(act, world.orders, world.change_order, ORDER_FACTS),
            "update_item": lambda act: self._update(act, world.items, world.change_item, ITEM_FACTS),
            "update_shipment": lambda act: self._update(act, world.shipments, world.change_shipment, SHIPMENT_FACTS),
            "remove_item": lambda act: world.remove_item(act["id"]),
            "subscribe": self._subscribe,
            "outage": lambda act: notices.set_outage(is_out=bool(act.get("on", True))),
            "notify": self._notify,
        }

    def statistics(self) -> dict[str, Any]:
        """Return the counts, and what each witness saw."""
        return {**super().statistics(), **{name: witness() for name, witness in self._witnesses.items()}}

    def _answer(self, request: Request) -> Answer:
        if not request.path.startswith("/_truth/"):
            return super()._answer(request)
        stream = request.path.removeprefix("/_truth/")
        if stream not in STREAMS:
            raise BadValue(f"unknown stream {stream!r}; expected one of {', '.join(STREAMS)}")
        chosen = request.query.get("seller")
        sellers = [self._seller({"seller": chosen})] if chosen else self.world.sellers
        as_of = self.shown(self.clock.now())
        if stream == "logins":
            return json_answer({"as_of": as_of, "records": [self.logins.as_json(seller) for seller in sellers]})
        records = [row for seller in sellers for row in truth_of(self.world, stream, seller)]
        return json_answer({"as_of": as_of, "records": records})

    def _seller(self, act: Act) -> int:
        """Return the seller an act names, or the first."""
        return self.logins.login(int(act.get("seller") or self.world.sellers[0])).seller

    def _update(
        self, act: Act, records: Mapping[Any, Any], change: Callable[..., None], known: Mapping[str, Fact]
    ) -> None:
        """Change a record by values of its form."""
        record_id = act["id"] if records is self.world.items else int(act["id"])
        if record_id not in records:
            raise BadValue(f"{act['do']}: there is no {record_id}")
        values = act.get("values", {})
        facts = {known[name][0]: known[name][1](value) for name, value in values.items() if name in known}
        rest = {name: value for name, value in values.items() if name not in known}
        with self.world.lock:
            over = {"over": {**records[record_id].over, **rest}} if rest else {}
            change(record_id, is_stamped=act.get("stamp", True), is_told=act.get("notify", True), **facts, **over)

    def _subscribe(self, act: Act) -> None:
        self.notices.subscribe(
            act["url"],
            act.get("topics", TOPICS),
            retry_s=float(act.get("retry_s", RETRY_S)),
            drops_max=int(act.get("disable_after", DROPS_MAX)),
        )

    def _notify(self, act: Act) -> None:
        """Tell of orders again though nothing changed: the oldest first, round and round, or of one resource."""
        seller = self._seller(act)
        resources = [act["resource"]] if act.get("resource") else []
        resources = resources or [f"/orders/{order.id}" for order in self.world.orders_of(seller)]
        for place in range(int(act.get("n", 1)) if resources else 0):
            self.world.tell(act.get("topic", "orders_v2"), resources[place % len(resources)], seller)
