"""`comporta compare`: both ways at each size, what they saw, and a report that is kept."""

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Command

from comporta.sandbox.activecampaign import ActiveCampaignSandbox


def test_both_ways_at_each_size_with_the_same_data(folder: Path, comporta: Command) -> None:
    """Dry: in the history, with no row written and nothing covered."""
    said = comporta("compare", "loja/sale.order", "--max-records", "5,20", "--json")

    first, second = said.json["comparisons"]
    assert (said.code, said.json["ok"], said.json["stream"]) == (0, True, "loja/sale.order")
    assert (first["size"], first["sequential"]["records"], first["parallel"]["records"]) == (5, 5, 5)
    assert (second["sequential"]["concurrency"], second["parallel"]["concurrency"]) == (1, None)
    assert (second["identical"], second["different"]) == (True, 0)
    runs = comporta("runs", "--json").json["runs"]
    assert [(run["dry_run"], run["window"]["kind"]) for run in runs] == [(True, "full")] * 4
    assert comporta("coverage", "loja/sale.order", "--json").json["coverage"]["intervals"] == []


def test_a_stream_with_fewer_records_than_asked_for_shows_how_many_there_were(folder: Path, comporta: Command) -> None:
    """Of thirty orders no thousand was compared."""
    said = comporta("compare", "loja/sale.order", "--max-records", "1000").out.splitlines()

    assert [line.split()[0] for line in said[-3:-1]] == ["30", "30"]
    assert said[-1].startswith("30 records: ")


def test_the_first_way_does_not_pay_for_the_clock(folder: Path, comporta: Command) -> None:
    """What whoever comes first asks for all was asked before: the same size takes the same requests."""
    with ActiveCampaignSandbox(records=30) as crm:
        settings = (folder / "comporta.toml").read_text("utf-8")
        settings += f'[accounts.crm]\nsource = "activecampaign"\nurl = "{crm.url}"\napi_key = "file:key"\n'
        (folder / "comporta.toml").write_text(settings, encoding="utf-8")
        (found,) = comporta("compare", "crm/deals", "--max-records", "5", "--json").json["comparisons"]

    assert found["sequential"]["requests"] == found["parallel"]["requests"] == 1


@pytest.mark.parametrize(("name", "begins"), [("report.md", "# loja/sale.order: "), ("report.json", "{")])
def test_the_report_is_saved(folder: Path, comporta: Command, name: str, begins: str) -> None:
    """Markdown for people, JSON for programs, by the name of the file."""
    said = comporta("compare", "loja/sale.order", "--max-records", "5", "--report", name)

    text = (folder / name).read_text("utf-8")
    assert said.code == 0
    assert "identical" in said.out
    assert text.startswith(begins)
    assert "sequential" in text
    if name.endswith("json"):
        assert json.loads(text)["comparisons"][0]["identical"] is True


@pytest.mark.parametrize("name", ["shop.db", "comporta.toml"])
def test_a_report_never_takes_the_place_of_what_comporta_works_with(folder: Path, comporta: Command, name: str) -> None:
    """Neither the database nor the settings become a report by a slip of the fingers."""
    before = (folder / name).read_bytes()

    said = comporta("compare", "loja/sale.order", "--max-records", "5", "--report", name)

    assert said.code == 2
    assert "Comporta works with this file" in said.err
    assert (folder / name).read_bytes() == before


def test_an_earlier_report_stays_until_there_is_another(folder: Path, comporta: Command) -> None:
    """A comparison that never came to its end leaves what was saved before."""
    (folder / "report.md").write_text("of yesterday", encoding="utf-8")

    said = comporta("compare", "loja/nowhere", "--max-records", "5", "--report", "report.md")

    assert said.code != 0
    assert (folder / "report.md").read_text("utf-8") == "of yesterday"


@pytest.mark.parametrize(
    "arguments",
    [("--max-records", "0"), ("--max-records", "a,b"), ("--report", "nowhere/report.md"), ("--concurrency", "1")],
)
def test_what_cannot_be_done_is_said_before_anything_is_read(
    folder: Path, comporta: Command, arguments: tuple[str, ...]
) -> None:
    """Sizes that are none, a report that could not be kept, a parallel way that is none."""
    said = comporta("compare", "loja/sale.order", *arguments, "--json")

    assert (said.code, said.json["error"]["code"]) == (2, "CMP-SET-007")
    assert comporta("runs", "--json").json["runs"] == []
