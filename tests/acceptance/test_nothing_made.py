"""A command that only reads makes nothing on a PostgreSQL database either."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.acceptance.databases import PostgresPlace
from tests.acceptance.project import Project

if TYPE_CHECKING:
    from tests.servers.postgres import PostgresServer

pytestmark = [pytest.mark.full, pytest.mark.timeout(120)]
SCHEMAS = "SELECT count(*) FROM pg_namespace WHERE nspname IN ('comporta', 'mirror')"


def test_status_leaves_a_fresh_database_as_it_is(tmp_path: Path, postgres_server: "PostgresServer") -> None:
    """It shows what there would be, and says what to do; a command that writes begins it."""
    url = postgres_server.url(postgres_server.create())
    project = Project(tmp_path, PostgresPlace(url, url))
    project.configure({"matriz": "http://127.0.0.1:9"})
    shown = project.command("status")
    untouched = project.value(SCHEMAS)
    project.command("account", "pause", "matriz")
    begun = project.command("status")

    assert (shown.code, untouched) == (0, 0)
    assert {each["state"] for each in shown.document["streams"]} == {"never"}
    assert "No database yet at " in shown.errors
    assert "No database yet at " not in begun.errors
