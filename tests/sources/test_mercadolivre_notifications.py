"""Notifications of Mercado Livre: how they read, where they point, and how missed ones are asked for."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from comporta.core.notification import Pointer
from comporta.errors import AccessRefused, SourceChangedShape, SourceRefused, SourceUnavailable
from comporta.errors_mercadolivre import SearchTooFar
from comporta.errors_web import BadNotification
from comporta.ports.progress import Progress
from comporta.sources.mercadolivre_config import MercadoLivreConfig
from comporta.sources.mercadolivre_notifications import (
    MISSED_SIZE,
    TEXT_MAX,
    TOPICS,
    missed_notifications,
    parse_notification,
    point,
)
from comporta.testing import FakeClock

RECEIVED = datetime(2026, 3, 2, 13, 40, 6, 101_000, tzinfo=UTC)
BODY: Mapping[str, Any] = {
    "_id": "00000000-0000-4000-8000-000000000001",
    "resource": "/orders/2000010000000123",
    "user_id": 700100200,
    "topic": "orders_v2",
    "application_id": 5000000000000001,
    "attempts": 1,
    "sent": "2026-03-02T13:40:06.129Z",
    "received": "2026-03-02T13:40:06.101Z",
}


def parsed(**changes: object) -> Any:  # noqa: ANN401  a notification
    """Return what a body reads as, without the fields that are ``None``."""
    body = {name: value for name, value in {**BODY, **changes}.items() if value is not None}
    return parse_notification(json.dumps(body).encode())


def test_a_notification_is_read() -> None:
    """Numbers become text: what they are to us is names."""
    told = parsed()

    assert (told.source, told.user_id, told.topic) == ("mercadolivre", "700100200", "orders_v2")
    assert (told.resource, told.application_id) == ("/orders/2000010000000123", "5000000000000001")
    assert told.sent_at == RECEIVED


@pytest.mark.parametrize(
    "changes",
    [
        {"user_id": "700100200"},
        {"received": None, "recieved": BODY["received"]},
        {"sent": "2026-03-02T14:40:00.000Z", "attempts": 8},
        {"sent": None},
        {"actions": ["created"], "something": {"new": 1}},
    ],
)
def test_every_spelling_is_the_same_notification(changes: Mapping[str, object]) -> None:
    """An attempt an hour later tells nothing that the first did not."""
    assert parsed(**changes) == parsed()


@pytest.mark.parametrize(
    "changes",
    [
        {"sent": None, "received": None},
        {"received": "yesterday"},
        {"sent": "2026-03-02"},
        {"sent": 1_772_458_806_129, "received": {"at": "now"}},
    ],
)
def test_a_time_that_cannot_be_read_is_none(changes: Mapping[str, object]) -> None:
    """The notification counts all the same, and is looked at whatever is known."""
    assert parsed(**changes).sent_at is None


@pytest.mark.parametrize("known", [{"id": 7}, True, 1.5])
def test_an_application_that_cannot_be_read_is_none(known: object) -> None:
    """It is told to people; the pointer is all that counts."""
    assert parsed(application_id=known).application_id is None


@pytest.mark.parametrize("changes", [{"topic": "x" * (TEXT_MAX + 1)}, {"user_id": ""}, {"resource": None}])
def test_what_is_no_notification_is_refused(changes: Mapping[str, object]) -> None:
    """Also what is too long to be one."""
    with pytest.raises(BadNotification, match="expected resource, user_id and topic"):
        parsed(**changes)


@pytest.mark.parametrize(
    ("topic", "resource", "found"),
    [
        ("orders_v2", "/orders/2000010000000123", Pointer("orders", "2000010000000123")),
        ("orders", "/orders/1", Pointer("orders", "1")),
        ("items", "/items/MLB1234567890", Pointer("items", "MLB1234567890")),
        ("items_prices", "/items/MLA1/prices", Pointer("items", "MLA1")),
        ("items_prices", "/items/MLA1/prices?x=1", Pointer("items", "MLA1")),
        ("shipments", "/shipments/44", Pointer("shipments", "44")),
        ("orders_v2", "/orders/12/feedback", None),
        ("orders_v2", "/orders/abc", None),
        ("orders_v2", "/orders/\uff11\uff12", None),
        ("orders_v2", "/orders/007", None),
        ("orders_v2", "/orders/" + "1" * 19, None),
        ("orders_v2", "/shipments/44", None),
        ("items", "/items/../orders/1", None),
        ("items", "items/MLB1", None),
        ("payments", "/collections/1", None),
        ("stock-location", "/user-products/MLBU1/stock", Pointer("items", "user_product_id=MLBU1")),
        ("stock-locations", "/user-products/MLBU1/stock", Pointer("items", "user_product_id=MLBU1")),
        ("stock-location", "/user-products/MLBU1=2/stock", None),
        ("questions", "/questions/1", None),
        ("", "", None),
    ],
)
def test_a_topic_points_at_a_record_of_ours_or_at_none(topic: str, resource: str, found: Pointer | None) -> None:
    """What comes from outside is taken only in the form that is known."""
    assert point(topic, resource) == found


@dataclass
class Seller:
    """Answers as a session does, from lists by topic."""

    config: MercadoLivreConfig = field(default_factory=lambda: MercadoLivreConfig("demo", "secret"))
    missed: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    refuses_limit: Exception | None = None
    asked: list[Mapping[str, object]] = field(default_factory=list)

    async def get(self, path: str, query: Mapping[str, object], **_: object) -> Any:  # noqa: ANN401  JSON
        assert path == "missed_feeds"
        self.asked.append(query)
        topic, offset = str(query["topic"]), int(str(query["offset"]))
        answer = self.answers.get(topic)
        if isinstance(answer, Exception):
            raise answer
        if self.refuses_limit is not None and "limit" in query:
            raise self.refuses_limit
        messages = self.missed.get(topic, [])[offset : offset + 10]  # fewer than were asked for, as it may choose
        return answer or {"messages": messages}


async def read(seller: Seller, found: list[str] | None = None) -> list[str]:
    """Return the resources of what was missed; ``found`` has them also where it does not end well."""
    found = [] if found is None else found
    async for page in missed_notifications(seller, Progress(FakeClock())):
        found += [told.resource for told in page]
    return found


async def test_all_that_was_missed_is_read_topic_by_topic() -> None:
    """To the first page that is empty, however long pages are."""
    orders: list[Mapping[str, Any]] = [
        {**BODY, "resource": f"/orders/{number}", "request": {}, "response": {}} for number in range(25)
    ]
    seller = Seller(missed={"orders_v2": orders, "shipments": [{**BODY, "resource": "/shipments/1"}]})

    found = await read(seller)

    assert found == [*(f"/orders/{number}" for number in range(25)), "/shipments/1"]
    assert [query["offset"] for query in seller.asked if query["topic"] == "orders_v2"] == [0, 10, 20, 25]
    assert {query["topic"] for query in seller.asked} == set(TOPICS)
    assert {(query["app_id"], query["limit"]) for query in seller.asked} == {("demo", MISSED_SIZE)}
    assert {query.get("site_id") for query in seller.asked if query["topic"] == "items"} == {"MLB"}


@pytest.mark.parametrize("refusal", [SourceRefused("limit"), SearchTooFar("limit")])
async def test_where_the_limit_is_refused_the_sources_own_will_do(refusal: Exception) -> None:
    """What is the most that may be asked for at once is nowhere published."""
    orders: list[Mapping[str, Any]] = [{**BODY, "resource": f"/orders/{number}"} for number in range(25)]
    seller = Seller(missed={"orders_v2": orders}, refuses_limit=refusal)

    found = await read(seller)

    assert found == [f"/orders/{number}" for number in range(25)]
    assert [query.get("limit") for query in seller.asked if query["topic"] == "orders_v2"] == [MISSED_SIZE, *[None] * 4]


async def test_a_topic_that_is_refused_stops_none_of_the_others() -> None:
    """It is told at the end, so that a person hears of it."""
    seller = Seller(missed={"shipments": [{**BODY, "resource": "/shipments/1"}]})
    seller.answers["orders_v2"] = AccessRefused("not subscribed")
    found: list[str] = []

    with pytest.raises(AccessRefused, match="not subscribed"):
        await read(seller, found)

    assert found == ["/shipments/1"]


async def test_one_that_nobody_can_read_hides_none_of_the_others() -> None:
    """They are kept for two days only. It is told at the end."""
    told: list[Any] = [{**BODY, "resource": f"/orders/{number}"} for number in range(25)]
    told[3] = {**BODY, "resource": None}
    told[4] = "text"
    found: list[str] = []

    with pytest.raises(SourceChangedShape, match=r"2 of 10 messages .* expected a list of messages"):
        await read(Seller(missed={"orders_v2": told, "items": [{**BODY, "resource": "/items/MLB1"}]}), found)

    assert found == [*(f"/orders/{number}" for number in range(25) if number not in {3, 4}), "/items/MLB1"]


async def test_a_list_that_begins_anew_each_time_ends() -> None:
    """A source that passes over from where it was asked would be asked for ever."""
    seller = Seller(answers={topic: {"messages": [BODY]} for topic in TOPICS})

    with pytest.raises(SourceChangedShape, match="the same came again"):
        await read(seller)

    assert len(seller.asked) == 2 * len(TOPICS)


async def test_a_source_that_does_not_answer_ends_it() -> None:
    """It is asked again in an hour."""
    seller = Seller(answers={"orders_v2": SourceUnavailable("gone")})

    with pytest.raises(SourceUnavailable):
        await read(seller)

    assert len(seller.asked) == 1


@pytest.mark.parametrize("answer", [[1], {"messages": 3}, {"messages": [{"topic": "x"}]}, "text"])
async def test_an_answer_of_another_form_is_told(answer: object) -> None:
    """Nothing is guessed."""
    with pytest.raises(SourceChangedShape, match="expected a list of messages"):
        await read(Seller(answers=dict.fromkeys(TOPICS, answer)))


@pytest.mark.parametrize("answer", [{"messages": None}, {"paging": {}}])
async def test_an_answer_without_messages_is_the_end(answer: object) -> None:
    """And so is one without content."""
    assert await read(Seller(answers=dict.fromkeys(TOPICS, answer))) == []
