import re
from pathlib import Path

import pytest

from comporta.sandbox.activecampaign_faults import ACTIVECAMPAIGN_FAULTS
from comporta.sandbox.mercadolivre_faults import MERCADOLIVRE_FAULTS
from comporta.sandbox.odoo_faults import ODOO_FAULTS

PAGE = Path(__file__).parents[2] / "docs/reference/sandbox.md"


def documented(heading: str) -> set[str]:
    """Return the faults in a simulator's table, and in that of those which all have."""
    shared, *parts = re.split(
        r"^(\w[\w ]*) only:$", PAGE.read_text("utf-8").partition("## Faults")[2], flags=re.MULTILINE
    )
    own = dict(zip(parts[::2], parts[1::2], strict=True))[heading]
    cells = [line.split("|")[1] for line in (shared + own).splitlines() if line.startswith("| `")]
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


@pytest.mark.parametrize(
    ("simulator", "known"),
    [("Odoo", ODOO_FAULTS), ("ActiveCampaign", ACTIVECAMPAIGN_FAULTS), ("Mercado Livre", MERCADOLIVRE_FAULTS)],
    ids=["odoo", "crm", "market"],
)
def test_every_fault_stands_on_the_page(simulator: str, known: dict[str, str]) -> None:
    """And the page promises none that there is not."""
    assert documented(simulator) == known.keys()
