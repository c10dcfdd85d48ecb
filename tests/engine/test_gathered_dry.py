"""A comparison of records that cannot be listed, without repair: it keeps nothing, and counts as it."""

import pytest
from tests.engine.shipping import SHIPMENTS, shipped
from tests.engine.workshop import Workshop, counted

from comporta.core.window import Kind


@pytest.mark.parametrize("kind", [Kind.RECONCILE, Kind.FULL])
async def test_a_dry_comparison_counts_what_the_repair_counts(workshop: Workshop, kind: Kind) -> None:
    """A shipment that nobody told of, one that is lost here, and a hundred that are as they were."""
    await shipped(workshop, *range(1, 104))
    workshop.source.stream(SHIPMENTS).put(102, state="lost on the way")
    workshop.database.write_now(lambda session: session.connection.execute("DELETE FROM fake_shipment WHERE id = 103"))
    before = workshop.everything()

    dry = await workshop.run(kind, stream=SHIPMENTS, dry_run=True)
    kept = workshop.everything()
    real = await workshop.run(kind, stream=SHIPMENTS)

    assert kept == before
    assert counted(dry) == counted(real) == (103, 1, 1, 101, 0, 0)


async def test_a_dry_sync_looks_at_what_is_due_only(workshop: Workshop) -> None:
    """As a real one does."""
    await shipped(workshop, 1, 2, 3)
    workshop.source.script.asked.clear()

    assert counted(await workshop.run(stream=SHIPMENTS, dry_run=True)) == (0, 0, 0, 0, 0, 0)
