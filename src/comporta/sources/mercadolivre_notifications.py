"""Notifications of Mercado Livre: how one reads, what it points at, and the ones that could not be delivered.

A notification is believed to be a pointer and nothing more: there is no signature, and its fields come in several
spellings. Topics that mean nothing to us are kept all the same. What could not be delivered is kept by the source for
two days; the list is asked for by topic, from its beginning each time.
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from comporta.core.instant import parse_instant
from comporta.core.notification import Notification, Pointer
from comporta.errors import SourceChangedShape, SourceRefused, StopRun
from comporta.errors_mercadolivre import SearchTooFar
from comporta.errors_web import BadNotification
from comporta.ports.progress import Progress
from comporta.sources.mercadolivre_config import MercadoLivreConfig
from comporta.sources.mercadolivre_shape import USER_PRODUCT

SOURCE = "mercadolivre"
TOPICS = ("orders_v2", "items", "items_prices", "shipments")
"""What is asked for after downtime."""
MISSED_SIZE = 50
"""Notifications in one answer; the most is not published, so where this is refused the source's own 10 will do."""
ABOUT_THE_REQUEST = {SourceRefused, SearchTooFar}
"""Refusals that are not about a login or a right."""
MISSED_MAX = 100_000
"""Notifications of a topic that are read at once: twenty days of the busiest seller we know of."""
TEXT_MAX = 1_000
"""Letters of a topic or a resource: the longest resource we know of has sixty."""
NUMBER = "[1-9][0-9]{0,17}"
"""A key within 64 bits, and in the one form that a row's key has as text."""
_ORDER = (re.compile(rf"/orders/({NUMBER})"), "orders")
_ITEM = (re.compile(rf"/items/([A-Z]{{3}}{NUMBER})(?:/prices\b.*)?"), "items")
_SHIPMENT = (re.compile(rf"/shipments/({NUMBER})"), "shipments")
_STOCK = (re.compile(rf"/user-products/([A-Z]{{4}}{NUMBER})(?:/stock\b.*)?"), "items")
_PLACES = {
    "orders_v2": _ORDER,
    "orders": _ORDER,
    "items": _ITEM,
    "items_prices": _ITEM,
    "shipments": _SHIPMENT,
    "stock-location": _STOCK,
    "stock-locations": _STOCK,
}


class Session(Protocol):
    """What is needed of a session: one seller's requests."""

    config: MercadoLivreConfig

    async def get(
        self, path: str, query: Mapping[str, object], *, what: str, operation: str, progress: Progress
    ) -> Any:  # noqa: ANN401  JSON, which the caller looks at
        """Return the JSON of an answer."""


class _Told(msgspec.Struct):
    """A notification as it comes, without what we do not look at. What is no pointer may have any form, or none."""

    resource: str
    user_id: int | str
    topic: str
    application_id: object = None
    sent: object = None
    received: object = None
    recieved: object = None


class _Missed(msgspec.Struct):
    messages: list[Any] | None = None


def parse_notification(body: bytes) -> Notification:
    """Return the notification of a request's body; raise ``BadNotification`` when it is none."""
    try:
        return _notification(msgspec.json.decode(body, type=_Told))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        message = f"{SOURCE}: a notification came that cannot be read ({error}); expected resource, user_id and topic"
        raise BadNotification(message) from error


def point(topic: str, resource: str) -> Pointer | None:
    """Return the record that a topic and a resource mean, ``None`` where none of ours is.

    >>> point("orders_v2", "/orders/2000010000000123")
    Pointer(stream='orders', key='2000010000000123')
    >>> point("items_prices", "/items/MLB1234/prices"), point("payments", "/collections/1")
    (Pointer(stream='items', key='MLB1234'), None)
    >>> point("stock-location", "/user-products/MLBU1234/stock")
    Pointer(stream='items', key='user_product_id=MLBU1234')
    """
    if topic not in _PLACES:
        return None
    form, stream = _PLACES[topic]
    found = form.fullmatch(resource)
    if found is None:
        return None
    return Pointer(stream, f"{USER_PRODUCT}={found[1]}" if form is _STOCK[0] else found[1])


async def missed_notifications(session: Session, progress: Progress) -> AsyncIterator[Sequence[Notification]]:
    """Yield what could not be delivered, by page. A topic that is refused keeps none of the others from being read.

    Nor does a notification that nobody can read: it is told at the end, and the others are not kept for long.
    """
    refused: StopRun | None = None
    for topic in TOPICS:
        pages = _missed(session, progress, topic, {"site_id": session.config.site} if topic == "items" else {})
        try:
            async for page in pages:
                yield page
        except StopRun as error:
            refused = refused or error
    if refused is not None:
        raise refused


async def _missed(
    session: Session, progress: Progress, topic: str, more: Mapping[str, str]
) -> AsyncIterator[Sequence[Notification]]:
    offset, before, trouble = 0, list[Any](), None
    limit: Mapping[str, int] = {"limit": MISSED_SIZE}
    while offset < MISSED_MAX:
        query = {"app_id": session.config.client_id, "topic": topic, "offset": offset, **limit, **more}
        what = f"notifications of {topic} that were not delivered, from {offset}"
        try:
            answer = await session.get(
                "missed_feeds", query, what=what, operation=f"missed_feeds: {topic}", progress=progress
            )
        except SourceRefused as error:
            if not limit or type(error) not in ABOUT_THE_REQUEST:
                raise
            limit = {}
            continue
        messages = _messages(answer, what)
        if messages and messages == before:
            trouble = trouble or SourceChangedShape(f"{SOURCE}: {what}: the same came again; expected others, or none")
            break
        if not messages:
            break
        page, odd = _page(messages, what)
        trouble = trouble or odd
        yield page
        offset, before = offset + len(messages), messages
    if trouble is not None:
        raise trouble


def _messages(answer: object, what: str) -> list[Any]:
    """Return the messages of an answer; an answer without content has none."""
    try:
        return (msgspec.convert(answer, _Missed).messages or []) if answer is not None else []
    except msgspec.ValidationError as error:
        raise SourceChangedShape(f"{SOURCE}: {what}: {error}; expected a list of messages") from error


def _page(messages: Sequence[Any], what: str) -> tuple[Sequence[Notification], SourceChangedShape | None]:
    """Return the notifications that can be read, and what is to be told of those that cannot."""
    found, odd = list[Notification](), list[Exception]()
    for each in messages:
        try:
            found.append(_notification(msgspec.convert(each, _Told)))
        except (msgspec.ValidationError, ValueError) as error:
            odd.append(error)
    if not odd:
        return found, None
    seen = f"{len(odd)} of {len(messages)} messages cannot be read (first: {odd[0]})"
    return found, SourceChangedShape(f"{SOURCE}: {what}: {seen}; expected a list of messages")


def _notification(told: _Told) -> Notification:
    user_id = str(told.user_id)
    for name, text in (("resource", told.resource), ("topic", told.topic), ("user_id", user_id)):
        if not 0 < len(text) <= TEXT_MAX:
            message = f"{name} has {len(text)} letters; expected 1 to {TEXT_MAX}"
            raise ValueError(message)
    known = told.application_id
    application = str(known) if isinstance(known, int | str) and not isinstance(known, bool) else None
    return Notification(SOURCE, user_id, told.topic, told.resource, application, _first_sent(told))


def _first_sent(told: _Told) -> datetime | None:
    """Return when it was to be sent first: ``sent`` is of the last attempt, an hour later perhaps.

    Without a time that can be read, what it tells is looked at in any case.
    """
    texts = [each for each in (told.sent, told.received, told.recieved) if isinstance(each, str) and each]
    try:
        return min(parse_instant(each) for each in texts) if texts else None
    except (ValueError, OverflowError):
        return None
