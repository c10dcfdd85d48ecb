from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event

import pytest
from tests.sandbox.odoo_clients import Json, Open, StandingClock, act, ask, fetch, truth

from comporta.sandbox.odoo import OdooSandbox
from comporta.sandbox.stats import Stats


def test_truth_is_what_clients_can_read(odoo: OdooSandbox) -> None:
    """Stored fields only, bare ids, null for false; nothing hidden, nothing labelled."""
    described = ask(odoo, "res.partner", "fields_get", [], ["store", "type"])
    stored = [name for name, field in described.items() if field["store"] and field["type"] != "binary"]
    rows = ask(odoo, "res.partner", "search_read", [], stored, order="id", load=None, context={"active_test": False})
    booleans = {name for name in stored if described[name]["type"] == "boolean"}
    expected = [
        {name: None if value is False and name not in booleans else value for name, value in row.items()}
        for row in rows
    ]
    told = [
        {name: value for name, value in row.items() if name != "_write_date_exact"}
        for row in truth(odoo, "res.partner")
    ]

    assert told == expected


def test_truth_says_when_it_was_asked(odoo: OdooSandbox, clock: StandingClock) -> None:
    """``as_of`` is the source's clock."""
    clock.advance(seconds=1)

    assert fetch(f"{odoo.url}/_truth/sale.order").json["as_of"] == "2026-03-10T12:00:01.250000Z"
    assert fetch(f"{odoo.url}/_truth/no.such").status == 400


def test_truth_knows_only_what_is_committed(odoo: OdooSandbox) -> None:
    """An open transaction is nobody's truth yet."""
    late = act(odoo, "begin")
    act(odoo, "write", model="sale.order", ids=[1], values={"origin": "tarde"}, transaction=late)
    before = truth(odoo, "sale.order")[0]["origin"]
    act(odoo, "commit", transaction=late)

    assert before != "tarde"
    assert truth(odoo, "sale.order")[0]["origin"] == "tarde"


def test_scenes_are_set_over_http(odoo: OdooSandbox) -> None:
    """Create, write, archive, delete, one after another in one request."""
    acts = [
        {"do": "create", "model": "sale.order", "values": {"partner_id": 5}},
        {"do": "write", "model": "sale.order", "ids": [61], "values": {"origin": "cena"}},
        {"do": "archive", "model": "res.partner", "ids": [7]},
        {"do": "unarchive", "model": "res.partner", "ids": [7]},
        {"do": "write_unstamped", "model": "sale.order", "ids": [1], "values": {"origin": "sql"}},
        {"do": "unlink", "model": "sale.order", "ids": [61]},
    ]
    reply = fetch(f"{odoo.url}/_act", acts)

    assert reply.json == {"results": [61, None, None, None, None, None]}
    assert [row["id"] for row in truth(odoo, "sale.order")] == list(range(1, 61))
    assert odoo.world.value("sale.order", 1, "origin") == "sql"


@pytest.mark.parametrize(
    "body",
    [{"do": "dance"}, {"do": "commit", "transaction": 99}, {"do": "write", "model": "sale.order"}, {}, b"{broken"],
)
def test_an_act_that_cannot_be_played_is_refused(odoo: OdooSandbox, body: object) -> None:
    """With a reason and status 400."""
    reply = fetch(f"{odoo.url}/_act", body)

    assert reply.status == 400
    assert reply.json["error"]


def test_the_clock_moves_for_everyone(odoo: OdooSandbox) -> None:
    """Stamps and Date header follow the source's clock, forth and back."""
    act(odoo, "clock", advance_s=3600)
    reply = fetch(f"{odoo.url}/web/version")
    order = odoo.world.create("sale.order", {"partner_id": 5})
    odoo.clock.advance(timedelta(hours=-2))
    odoo.world.write("sale.order", 1, {"origin": "antes"})

    assert reply.headers["Date"] == "Tue, 10 Mar 2026 13:00:00 GMT"
    assert odoo.world.value("sale.order", order, "write_date") == "2026-03-10 13:00:00.250000"
    assert odoo.world.value("sale.order", 1, "write_date") == "2026-03-10 11:00:00.250000"


def test_people_make_every_kind_of_change(open_odoo: Open, clock: StandingClock) -> None:
    """Orders and lines come, change and go; partners and products change and are archived."""
    odoo = open_odoo(records=100, late_share=0.0)
    models = ("sale.order", "sale.order.line", "res.partner", "product.template", "product.product")
    before = {model: {row["id"]: row for row in truth(odoo, model)} for model in models}
    clock.advance(minutes=1)
    odoo.people.step(300)
    after = {model: {row["id"]: row for row in truth(odoo, model)} for model in models}

    assert odoo.people.changes > 150
    for model in models:
        kept = before[model].keys() & after[model].keys()
        assert any(before[model][known] != after[model][known] for known in kept), model
    for model in ("sale.order", "sale.order.line"):
        assert before[model].keys() - after[model].keys(), model
        assert after[model].keys() - before[model].keys(), model


def test_the_same_seed_makes_the_same_changes(open_odoo: Open) -> None:
    """Chance is the seed's; only time is not."""
    first, second = open_odoo(), open_odoo()
    for odoo in (first, second):
        odoo.people.step(100)

    assert truth(first, "sale.order.line") == truth(second, "sale.order.line")


def test_some_work_commits_late(open_odoo: Open, clock: StandingClock) -> None:
    """Long transactions stay open until their time has come, then show under their old stamp."""
    odoo = open_odoo(late_commit=timedelta(seconds=60), late_share=1.0)
    before = truth(odoo, "sale.order")
    odoo.people.step(20)
    unseen = truth(odoo, "sale.order")
    clock.advance(seconds=61)
    odoo.people.step()
    shown = truth(odoo, "sale.order")

    assert unseen == before
    assert shown != before
    assert max(row["_write_date_exact"] for row in shown) == "2026-03-10 12:00:00.250000"


def test_finishing_commits_what_is_open(open_odoo: Open) -> None:
    """After ``stop_activity`` nothing is pending and nothing is locked."""
    odoo = open_odoo(late_commit=timedelta(hours=1), late_share=1.0)
    act(odoo, "step", times=20)
    pending = len(odoo.world.locked)
    act(odoo, "stop_activity")

    assert pending > 0
    assert odoo.world.locked == {}
    assert not any(transaction.is_open for transaction in odoo.world.open.values())


def test_people_work_on_a_thread_of_their_own(open_odoo: Open) -> None:
    """``activity`` starts them with the server; they can be stopped and started again."""
    odoo = open_odoo(activity=500)
    while odoo.people.changes < 20:
        pass
    act(odoo, "stop_activity")
    stopped = odoo.people.changes
    act(odoo, "start_activity", rate=500)
    while odoo.people.changes < stopped + 5:
        pass
    act(odoo, "stop_activity")

    assert not odoo.people._workday.is_on


def test_headers_stay_the_sum_of_their_lines_while_people_work(open_odoo: Open) -> None:
    """No change leaves an order that does not add up."""
    odoo = open_odoo(late_share=0.3)
    odoo.people.step(300)
    odoo.people.finish()
    sums: dict[int, float] = {}
    for line in truth(odoo, "sale.order.line"):
        sums[line["order_id"]] = sums.get(line["order_id"], 0.0) + line["price_total"]

    for order in truth(odoo, "sale.order"):
        assert order["amount_total"] == pytest.approx(sums.get(order["id"], 0.0), abs=0.005), order["id"]


def test_statistics_count_requests_routes_and_calls(odoo: OdooSandbox) -> None:
    """What was asked, how often, how much at once; control routes do not count."""
    ask(odoo, "sale.order", "search_count", [])
    ask(odoo, "sale.order", "search_count", [])
    fetch(f"{odoo.url}/nowhere")
    stats = fetch(f"{odoo.url}/_stats").json

    assert stats["requests"] == 3
    assert stats["calls"] == {"sale.order/search_count": 2}
    assert stats["routes"]["/jsonrpc"]["requests"] == 2
    assert stats["routes"]["/nowhere"]["errors"] == 1
    assert stats["in_flight"] == 0


class WatchfulStats(Stats):
    """Statistics that see whether the client had its answer before the request was counted."""

    def __init__(self) -> None:
        super().__init__()
        self.answered = Event()
        self.is_late: list[bool] = []

    def leave(self, *call: Json, **details: Json) -> None:
        self.is_late.append(self.answered.wait(0.05))
        super().leave(*call, **details)


def test_who_has_the_answer_finds_it_counted(odoo: OdooSandbox) -> None:
    """A request is counted before its answer leaves, so a test may ask for the statistics at once."""
    odoo._server.stats = stats = WatchfulStats()
    fetch(f"{odoo.url}/nowhere")
    stats.answered.set()

    assert stats.is_late == [False]
    assert stats.routes["/nowhere"]["requests"] == 1


def test_many_clients_are_served_at_once(odoo: OdooSandbox) -> None:
    """Eight threads, all answers right."""
    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(lambda _: ask(odoo, "sale.order", "search_count", []), range(40)))

    assert counts == [60] * 40
