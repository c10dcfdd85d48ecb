import re
from pathlib import Path

import pytest

from comporta.sandbox.activecampaign_faults import ACTIVECAMPAIGN_FAULTS
from comporta.sandbox.odoo_faults import ODOO_FAULTS

PAGE = Path(__file__).parents[2] / "docs/reference/sandbox.md"


def documented(heading: str) -> set[str]:
    """Return the faults in the tables up to the next heading of the page, those of both simulators included."""
    faults = PAGE.read_text("utf-8").partition("## Faults")[2]
    shared, _, rest = faults.partition("Odoo only:")
    own = dict(zip(("Odoo", "ActiveCampaign"), rest.split("ActiveCampaign only:"), strict=True))[heading]
    cells = [line.split("|")[1] for line in (shared + own).splitlines() if line.startswith("| `")]
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


@pytest.mark.parametrize(
    ("simulator", "known"), [("Odoo", ODOO_FAULTS), ("ActiveCampaign", ACTIVECAMPAIGN_FAULTS)], ids=["odoo", "crm"]
)
def test_every_fault_stands_on_the_page(simulator: str, known: dict[str, str]) -> None:
    """And the page promises none that there is not."""
    assert documented(simulator) == known.keys()
