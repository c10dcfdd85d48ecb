"""`comporta status`: how the budgets of the accounts stand."""

from pathlib import Path

from tests.cli.conftest import Command

from comporta.cli.streams import limits_text
from comporta.ports.budget import BudgetState


def test_status_says_how_the_limits_stand(folder: Path, comporta: Command) -> None:
    """What is allowed, what was used in the last second, what waits, and for how long nobody may ask."""
    settings = folder / "comporta.toml"
    settings.write_text(settings.read_text("utf-8") + 'limit = "50/1s"\n', encoding="utf-8")

    said = comporta("status", "--json").json
    words = comporta("status").out

    (limit,) = said["limits"]
    assert limit["key"].startswith("odoo http://127.0.0.1")
    assert {name: limit[name] for name in limit if name != "key"} == {
        "account": "loja",
        "limit": "50/1s",
        "allowed": "50/1s",
        "used": 0,
        "waiting": 0,
        "paused_s": 0.0,
        "reason": None,
    }
    assert "50/1s" in words


def test_a_limit_in_a_pause_says_why() -> None:
    """Until when, and what the source said; accounts without a limit that are not paused are left out."""
    paused = BudgetState("k", None, "3/1s", used=2, waiting=4, paused_s=30.0, reason="429 Too Many Requests")

    text = limits_text([("crm", paused), ("erp", BudgetState("e", None, None, used=0, waiting=0))])

    assert " ".join(text.splitlines()[-1].split()) == "crm none known 3/1s 2 4 paused for 30s: 429 Too Many Requests"
    assert "erp" not in text
