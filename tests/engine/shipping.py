"""What tests of streams without a list share: an account whose orders name their shipments."""

from tests.engine.workshop import ORDERS, Workshop

from comporta.coordination.plans import Child
from comporta.core.record import ColumnType

SHIPMENTS = "shipment"
SCOPE = f"matriz/{SHIPMENTS}"
SETTLED = ("state", frozenset({"done"}))


def shipments(workshop: Workshop) -> None:
    """Make an account whose orders name their shipments, which cannot be listed."""
    fields = {"name": ColumnType.TEXT, "state": ColumnType.TEXT, "shipment_id": ColumnType.INTEGER}
    workshop.source.stream(fields=fields)
    workshop.source.stream(SHIPMENTS, parent_stream=ORDERS, referred_by="shipment_id", settled=SETTLED)
    orders = workshop.plan(children=(Child(SHIPMENTS, "shipment_id"),))
    workshop.account(orders, workshop.plan(SHIPMENTS))


def ship(workshop: Workshop, *orders: int, state: str = "sent") -> None:
    """Put orders, each with a shipment of its own, whose number is a hundred higher."""
    for order in orders:
        workshop.source.stream().put(order, name=f"S{order}", shipment_id=100 + order)
        workshop.source.stream(SHIPMENTS).put(100 + order, name=f"to {order}", state=state)


async def shipped(workshop: Workshop, *orders: int) -> None:
    """Load orders and their shipments."""
    shipments(workshop)
    ship(workshop, *orders)
    workshop.passes(minutes=5)
    await workshop.run()
    await workshop.run(stream=SHIPMENTS)
    workshop.passes(minutes=30)
    workshop.source.script.asked.clear()


async def waiting(workshop: Workshop) -> list[tuple[str, str]]:
    """Return key and code of what waits in quarantine."""
    return [(each.key, each.code) for each in await workshop.store.quarantine(SCOPE)]
