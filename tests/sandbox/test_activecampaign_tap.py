"""An independent client: tap-activecampaign from PyPI reads the simulator, and loses what it is known to lose.

The tap wants an environment of its own (it pins old libraries) and refuses addresses of this machine,
which a wrapper of three lines takes from it; what it asks and what it makes of the answers is its own.
"""

import json
import re
import subprocess
import sys
import venv
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from tests.sandbox.activecampaign_clients import OpenAccount
from tests.sandbox.odoo_clients import Json, act, fetch, truth

from comporta.sandbox.activecampaign import ActiveCampaignSandbox

pytestmark = [pytest.mark.full, pytest.mark.timeout(300)]

TAP = "tap-activecampaign==1.3.1"
WRAPPER = """\
import tap_activecampaign.client
tap_activecampaign.client.is_api_url_valid = lambda url: True
tap_activecampaign.main()
"""
NAMES = {
    "deals": "deals",
    "dealCustomFieldMeta": "deal_custom_fields",
    "dealCustomFieldData": "deal_custom_field_values",
    "dealGroups": "deal_groups",
    "dealStages": "deal_stages",
    "contacts": "contacts",
    "accounts": "accounts",
    "users": "users",
    "dealTasks": "tasks",
}
Row = dict[str, Json]
Read = Callable[..., list[Row]]


@pytest.fixture(scope="session")
def tap(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command line of the tap, in an environment of its own."""
    place = tmp_path_factory.mktemp("tap")
    venv.create(place, with_pip=True)
    python = place / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1", TAP]
    installed = subprocess.run(pip, capture_output=True, text=True, check=False, timeout=240)
    if installed.returncode:
        pytest.skip(f"{TAP} cannot be installed here: {installed.stderr.strip().splitlines()[-1]}")
    (place / "wrapper.py").write_text(WRAPPER, "utf-8")
    return [str(python), str(place / "wrapper.py")]


@pytest.fixture
def read(tap: list[str], tmp_path: Path) -> Read:
    """Let the tap read one stream and return its records."""

    def run(crm: ActiveCampaignSandbox, stream: str, *, since: str = "2020-01-01T00:00:00Z") -> list[Row]:
        config = {"api_url": crm.url, "api_token": "demo", "start_date": since, "user_agent": "comporta tests"}
        (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
        catalog = json.loads(told([*tap, "--config", "config.json", "--discover"], tmp_path))
        for known in catalog["streams"]:
            whole = next(entry for entry in known["metadata"] if not entry["breadcrumb"])
            whole["metadata"]["selected"] = known["stream"] == NAMES[stream]
        (tmp_path / "catalog.json").write_text(json.dumps(catalog), "utf-8")
        lines = told([*tap, "--config", "config.json", "--catalog", "catalog.json"], tmp_path).splitlines()
        messages = [json.loads(line) for line in lines]
        return [message["record"] for message in messages if message["type"] == "RECORD"]

    return run


def told(line: list[str], folder: Path) -> str:
    """Run a command and return what it printed."""
    done = subprocess.run(line, cwd=folder, capture_output=True, encoding="utf-8", check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def snake(name: str) -> str:
    """Return a name as the tap writes it."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: f"_{found[1]}", name).lower()


def is_alike(read: Json, shown: Json) -> bool:
    """Tell whether what the tap made of a value is that value, all the way down."""
    if isinstance(read, dict):
        return all(is_alike(value, shown[name]) for name, value in read.items())
    if isinstance(read, list) and isinstance(shown, list):
        return len(read) == len(shown) and all(map(is_alike, read, shown))
    if read is None or shown is None:
        return read == shown or str(shown).startswith("0000-00-00") or shown == ""
    return is_same(read, shown)


def is_same(read: Json, shown: Json) -> bool:
    """Compare numbers by value, times by instant: the tap takes one without a zone for UTC."""
    if isinstance(read, bool):
        return read == (str(shown).lower() in {"1", "true"})
    if isinstance(read, int | float):
        return Decimal(str(read)) == Decimal(str(shown))
    if isinstance(read, str) and read.endswith("000Z"):
        meant = datetime.fromisoformat(str(shown))
        return datetime.fromisoformat(read) == (meant if meant.tzinfo else meant.replace(tzinfo=UTC))
    return str(shown) == str(read)


@pytest.mark.parametrize("stream", NAMES)
def test_the_tap_reads_every_row_with_its_values(open_crm: OpenAccount, read: Read, stream: str) -> None:
    """With a total in every answer, it has what the truth has: ids, and each value it keeps."""
    crm = open_crm(records=130, faults=["total=string"])
    there = [{snake(name): value for name, value in row.items()} for row in truth(crm, stream)]
    # A stage that was never touched has no date, and the tap keeps nothing without one.
    expected = {int(row["id"]): row for row in there if row.get("cdate", row.get("created_timestamp")) is not None}
    found = {row["id"]: row for row in read(crm, stream)}
    differing = [
        (known, name, value, expected[known][name])
        for known, row in found.items()
        for name, value in row.items()
        if name in expected[known] and not is_alike(value, expected[known][name])
    ]

    assert found.keys() == expected.keys()
    assert differing == []
    assert min(len(expected[known].keys() & row.keys()) for known, row in found.items()) >= 5


def test_the_tap_loses_rows_where_the_total_is_missing(open_crm: OpenAccount, read: Read) -> None:
    """Of 250 entries it writes 200: it takes the rows of one page for the total."""
    crm = open_crm(records=80)
    for row in truth(crm, "dealCustomFieldData")[250:]:
        act(crm, "delete", stream="dealCustomFieldData", id=row["id"])
    without = read(crm, "dealCustomFieldData")
    crm.faults.add("total=string")
    with_total = read(crm, "dealCustomFieldData")

    assert len(truth(crm, "dealCustomFieldData")) == 250
    assert len(without) == 200
    assert len(with_total) == 250


def test_the_tap_sees_no_change_behind_a_page_without_one(open_crm: OpenAccount, read: Read) -> None:
    """Incremental, with the last 100 of 250 entries changed and no total, it writes nothing."""
    crm = open_crm(records=80)
    for row in truth(crm, "dealCustomFieldData")[150:250]:
        act(crm, "update", stream="dealCustomFieldData", id=row["id"])

    assert read(crm, "dealCustomFieldData", since="2026-03-10T00:00:00Z") == []


def test_the_tap_passes_the_limit_and_is_seen(open_crm: OpenAccount, read: Read) -> None:
    """Its first question is not counted by its own limiter: six in the first second, one refused, then retried."""
    crm = open_crm(records=650, limit=5)
    found = read(crm, "deals")
    seen = fetch(f"{crm.url}/_stats").json["limit"]

    assert len({row["id"] for row in found}) == 650
    assert seen["refused"] == seen["violations"] >= 1
    assert seen["most_in_a_second"] > 5
