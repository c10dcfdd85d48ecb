from collections import Counter

import pytest
from tests.sandbox.odoo_clients import Json, Open, StandingClock, ask, connect, truth

from comporta.sandbox.odoo import OdooSandbox

LOW = "2020-01-01 00:00:00"
PAGE = 10
HOURLY = (["ids:sum(id)"], ["write_date:hour"])


def by_offset(sandbox: OdooSandbox, between_pages: Json) -> list[int]:
    """Read all orders by stamp and offset, as hand-made scripts do."""
    seen: list[int] = []
    while page := ask(
        sandbox,
        "sale.order",
        "search",
        [["write_date", ">=", LOW]],
        offset=len(seen),
        limit=PAGE,
        order="write_date, id",
    ):
        seen += page
        between_pages()
    return seen


def by_keyset(sandbox: OdooSandbox, between_pages: Json, last: int = 0) -> list[int]:
    """Read all orders by id above a fixed stamp."""
    seen: list[int] = []
    while page := ask(
        sandbox, "sale.order", "search", [["write_date", ">=", LOW], ["id", ">", last]], limit=PAGE, order="id"
    ):
        seen += page
        last = page[-1]
        between_pages()
    return seen


def test_offset_drifts_while_rows_move(odoo: OdooSandbox, clock: StandingClock) -> None:
    """Rows that move to the end pull others over the page border: some are missed, some come twice."""
    oldest = ask(odoo, "sale.order", "search", [], order="write_date, id", limit=15)

    def touch() -> None:
        if oldest:
            clock.advance(seconds=1)
            odoo.world.write("sale.order", oldest.pop(0), {"origin": "mexido"})

    seen = Counter(by_offset(odoo, touch))

    assert len(set(range(1, 61)) - set(seen)) > 0
    assert max(seen.values()) > 1


def test_a_fixed_bound_and_ids_lose_nothing(odoo: OdooSandbox, clock: StandingClock) -> None:
    """``write_date >= low``, ordered by id, ``id > last``: nothing missed, nothing twice."""
    oldest = ask(odoo, "sale.order", "search", [], order="write_date, id", limit=15)

    def touch() -> None:
        if oldest:
            clock.advance(seconds=1)
            odoo.world.write("sale.order", oldest.pop(0), {"origin": "mexido"})

    assert by_keyset(odoo, touch) == list(range(1, 61))


@pytest.mark.parametrize("version", [16, 19])
def test_ids_lose_nothing_while_people_work(open_odoo: Open, version: int) -> None:
    """Whatever stood before the pass and still stands after it was seen, once."""
    odoo = open_odoo(version=version, records=150, late_share=0.0)
    before = set(odoo.world.ids("sale.order"))
    seen = by_keyset(odoo, lambda: odoo.people.step(5))
    after = set(odoo.world.ids("sale.order"))

    assert max(Counter(seen).values()) == 1
    assert before & after <= set(seen)


@pytest.mark.parametrize(("version", "is_stuck"), [(16, True), (19, False)])
def test_a_stamp_keyset_sticks_or_loses(open_odoo: Open, version: int, is_stuck: bool) -> None:
    """(write_date, id) as key: in 16.0 the page repeats itself, in 19.0 the rest of the second is lost."""
    odoo = open_odoo(version=version)
    odoo.world.write("sale.order", range(1, 61), {"origin": "lote"})
    fields = ["write_date"]
    last = ask(odoo, "sale.order", "search_read", [], fields, order="write_date, id", limit=PAGE)[-1]
    beyond = ["|", ["write_date", ">", last["write_date"]], "&", ["write_date", "=", last["write_date"]]]
    following = ask(
        odoo, "sale.order", "search", [*beyond, ["id", ">", last["id"]]], order="write_date, id", limit=PAGE
    )

    assert following == (list(range(1, 11)) if is_stuck else list(range(11, 21)))


@pytest.mark.parametrize("version", [16, 17, 18, 19])
@pytest.mark.parametrize("model", ["sale.order", "sale.order.line", "res.partner"])
def test_read_group_by_the_hour_equals_the_truth(open_odoo: Open, version: int, model: str) -> None:
    """Count and sum of ids of every hour bucket, under their UTC range."""
    odoo = open_odoo(version=version)
    everyone = {"context": {"tz": "UTC", "active_test": False}}
    groups = ask(odoo, model, "read_group", [], *HOURLY, lazy=False, **everyone)
    expected: dict[str, list[int]] = {}
    for row in truth(odoo, model):
        expected.setdefault(f"{row['write_date'][:13]}:00:00", []).append(row["id"])
    seen = {group["__range"]["write_date:hour"]["from"]: (group["__count"], group["ids"]) for group in groups}

    assert seen == {hour: (len(ids), sum(ids)) for hour, ids in expected.items()}


def test_a_groups_domain_leads_to_its_rows(odoo: OdooSandbox) -> None:
    """``__domain`` is what was asked and the bucket: a search with it finds the counted rows."""
    asked = [["state", "=", "sale"], ["id", ">", 3]]
    groups = ask(odoo, "sale.order", "read_group", asked, *HOURLY, lazy=False)
    for group in groups:
        ids = ask(odoo, "sale.order", "search", group["__domain"])

        assert (len(ids), sum(ids)) == (group["__count"], group["ids"])


def test_labels_follow_the_time_zone_and_domains_stay_utc(odoo: OdooSandbox) -> None:
    """Noon in UTC is nine in the morning in São Paulo: another label over the same range."""
    odoo.world.write("sale.order", 1, {"origin": "x"})
    only = [["id", "=", 1]]
    groups = [
        ask(odoo, "sale.order", "read_group", only, *HOURLY, lazy=False, context={"tz": zone})[0]
        for zone in ("UTC", "America/Sao_Paulo")
    ]

    assert [group["write_date:hour"] for group in groups] == ["12:00 10 Mar", "09:00 10 Mar"]
    assert groups[0]["__range"] == groups[1]["__range"]
    assert groups[0]["__domain"] == groups[1]["__domain"]


def test_the_high_water_mark_is_one_cheap_question(odoo: OdooSandbox) -> None:
    """``write_date:max`` without groups; of no rows it is false."""
    [highest] = ask(odoo, "sale.order.line", "read_group", [], ["write_date:max"], [])
    [nothing] = ask(odoo, "sale.order.line", "read_group", [["id", "=", 0]], ["write_date:max"], [])

    assert highest["write_date"] == max(row["write_date"] for row in truth(odoo, "sale.order.line"))
    assert highest["__count"] == len(truth(odoo, "sale.order.line"))
    assert (nothing["write_date"], nothing["__count"]) == (False, 0)


def test_lazy_groups_count_under_the_fields_name(odoo: OdooSandbox) -> None:
    """With lazy the key is ``state_count``, and only the first group is taken."""
    groups = ask(odoo, "sale.order", "read_group", [], [], ["state", "company_id"])

    assert sum(group["state_count"] for group in groups) == 60
    assert {group["state"] for group in groups} == {row["state"] for row in truth(odoo, "sale.order")}


@pytest.mark.parametrize("unit", ["day", "week", "month", "year"])
def test_larger_buckets_add_up(odoo: OdooSandbox, unit: str) -> None:
    """Every row is in one bucket, and the ranges hold them."""
    groups = ask(odoo, "sale.order", "read_group", [], ["ids:sum(id)"], [f"write_date:{unit}"], lazy=False)
    found = [ask(odoo, "sale.order", "search_count", group["__domain"]) for group in groups]

    assert found == [group["__count"] for group in groups]
    assert sum(found) == 60


def test_19_groups_in_its_new_form_too(odoo: OdooSandbox) -> None:
    """``formatted_read_group``: keys ``id:sum``, ``__count``, a pair as hour."""
    old = ask(odoo, "sale.order", "read_group", [], *HOURLY, lazy=False)
    new = ask(odoo, "sale.order", "formatted_read_group", [], ["write_date:hour"], ["id:sum", "__count"])

    assert [(group["id:sum"], group["__count"]) for group in new] == [(group["ids"], group["__count"]) for group in old]
    assert new[0]["write_date:hour"] == [
        old[0]["__range"]["write_date:hour"]["from"],
        old[0]["write_date:hour"],
    ]


def test_odoorpc_reads_groups(odoo16: OdooSandbox) -> None:
    """An independent client gets the same buckets."""
    orders = connect(odoo16).env["sale.order"].with_context(tz="UTC")

    assert orders.read_group([], *HOURLY, lazy=False) == ask(
        odoo16, "sale.order", "read_group", [], *HOURLY, lazy=False
    )
