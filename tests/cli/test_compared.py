"""`comporta reconcile` of records that cannot be listed says by its exit code, too, that something differs."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.cli.conftest import Command

from comporta.core.outcome import ExitCode
from comporta.sandbox.mercadolivre import MercadoLivreSandbox


def test_a_shipment_that_nobody_told_of_is_found_and_repaired(
    folder: Path, monkeypatch: pytest.MonkeyPatch, comporta: Command
) -> None:
    """Compared it is left, and the next step is named; repaired it is not."""
    monkeypatch.setenv("APP", "demo")
    (folder / "token").write_text("demo-1001", encoding="utf-8")
    app = ("--client-id", "env:APP", "--client-secret", "env:APP", "--refresh-token", "file:token")
    with MercadoLivreSandbox(records=20, sellers=1, items=5) as market:
        comporta("connect", "mercadolivre", "loja1", *app, "--url", market.url)
        comporta("sync", "loja1/orders", "loja1/shipments")
        query = "SELECT id FROM mercadolivre_shipments WHERE status IN ('pending', 'ready_to_ship', 'shipped')"
        with closing(sqlite3.connect(folder / "shop.db")) as connection:
            known = connection.execute(query).fetchone()[0]
        market._control.perform(
            {"do": "update_shipment", "id": known, "values": {"status": "not_delivered"}, "notify": False}
        )
        found, repaired, again = (
            comporta("reconcile", "loja1/shipments", *more) for more in ([], ["--repair"], ["--wait"])
        )

    assert [said.code for said in (found, repaired, again)] == [ExitCode.FAILED, ExitCode.DONE, ExitCode.DONE]
    assert "1 changed" in found.out
    assert "Next: comporta reconcile loja1/shipments --repair" in found.out
    assert "Next" not in again.out
