"""Notifications: sent to who subscribed, again if not taken in time, dropped, and in the end no longer made.

A notice must be answered 200 within half a second. After eight attempts it is dropped, and for two days
``/missed_feeds`` still lists it. A topic of which so many in a row were dropped is switched off: what happens
from then on is kept nowhere, until somebody subscribes again. Several threads send, so order is not promised.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from heapq import heappop, heappush
from http.client import HTTPConnection, HTTPException
from itertools import count
from random import Random
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import urlsplit

import msgspec

from comporta.errors import BadValue
from comporta.sandbox.clock import SourceClock
from comporta.sandbox.exchange import Answer, json_answer
from comporta.sandbox.faults import Faults
from comporta.sandbox.mercadolivre_errors import Refused, bad_request, forbidden, limit_exceeded
from comporta.sandbox.mercadolivre_logins import APPLICATION, OURS
from comporta.sandbox.mercadolivre_records import milliseconds, universal
from comporta.sandbox.mercadolivre_search import natural
from comporta.sandbox.reality import Reality

ATTEMPTS_MAX = 8
PATIENCE_S = 0.5
RETRY_S = 3600 / (ATTEMPTS_MAX - 1)
"""Eight attempts in an hour."""
DROPS_MAX = 10
"""Dropped in a row until a topic is switched off; the vendor tells no number."""
MISSED_LIFE = timedelta(days=2)
MISSED_DEFAULT = 10
SENDERS = 4
POLL_S = 0.01
CLOSE_PATIENCE_S = 2.0
TOPICS = ("orders_v2", "items", "items_prices", "shipments")
STRANGE = ("vis_leads", "/vis/leads/7", "MLB")


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that happened, and how often its telling was tried."""

    body: Mapping[str, Any]
    received: datetime
    attempts: int = 0
    response: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Subscription:
    """Where notices go, which ones, and how patient the sender is."""

    url: str
    topics: frozenset[str]
    retry_s: float
    drops_max: int


class Notices:
    """The sender. Every method may be called from any thread."""

    def __init__(self, clock: SourceClock, faults: Faults, rng: Random, reality: Reality) -> None:
        self._clock, self._faults, self._rng, self._reality = clock, faults, rng, reality
        self._lock = Lock()
        self._stopping = Event()
        self._threads: list[Thread] = []
        self._subscription: Subscription | None = None
        self._is_out = False
        self._waiting: list[tuple[datetime, int, Notice]] = []
        self._places = count()
        self._missed: list[tuple[datetime, Notice]] = []
        self._drops: dict[str, int] = {}
        self._disabled: set[str] = set()
        self._reads: dict[int, int] = {}
        self._counts = dict.fromkeys(("told", "attempts", "delivered", "dropped", "lost", "in_hand"), 0)

    def subscribe(
        self, url: str, topics: Iterable[str] = TOPICS, *, retry_s: float = RETRY_S, drops_max: int = DROPS_MAX
    ) -> None:
        """Send notices of these topics there from now on; topics that were switched off are on again."""
        if urlsplit(url).scheme != "http":
            raise BadValue(f"subscribe: {url!r}; expected an address that begins with http://")
        with self._lock:
            self._subscription = Subscription(url, frozenset(topics), retry_s, drops_max)
            self._disabled.clear()
            self._drops.clear()
            missing = SENDERS - len(self._threads)
            fresh = [Thread(target=self._work, name="sandbox-notices", daemon=True) for _ in range(missing)]
            self._threads += fresh
        for thread in fresh:
            thread.start()

    def set_outage(self, *, is_out: bool) -> None:
        """Let every delivery fail, or no longer."""
        self._is_out = is_out

    def close(self) -> None:
        """Stop sending."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(CLOSE_PATIENCE_S)

    def tell(self, topic: str, resource: str, seller: int) -> None:
        """Note that something happened, if anybody wants to know."""
        with self._lock:
            wanted = self._subscription
            if wanted is None or topic not in wanted.topics:
                return
            if topic in self._disabled:
                self._counts["lost"] += 1
                return
            if resource.startswith("/orders/"):
                self._reads[int(resource.rpartition("/")[2])] = 0
            notice = self._new(topic, resource, seller)
            for _ in range(1 + self._faults.happens("duplicate_notifications", topic)):
                self._push(notice, self._clock.now())
            if self._faults.happens("unknown_topics", topic):
                self._push(self._new(STRANGE[0], STRANGE[1], seller), self._clock.now())

    def is_too_soon(self, order: int, reads: int) -> bool:
        """Tell whether an order was told of so recently that its first reads do not find it; count this one."""
        with self._lock:
            if self._reads.get(order, reads) >= reads:
                return False
            self._reads[order] += 1
            return True

    def missed(self, query: dict[str, str]) -> Answer:
        """Return what was dropped in the last two days."""
        if query.get("app_id") not in OURS:
            raise Refused(forbidden())
        topic = query.get("topic", "")
        if topic == "items" and not query.get("site_id"):
            raise Refused(bad_request("site_id is required for topic items"))
        offset, limit = natural(query, "offset", 0), natural(query, "limit", MISSED_DEFAULT)
        most = self._faults.strikes("missed_limit")
        if most and limit > most.number:
            raise Refused(limit_exceeded(int(most.number)))
        with self._lock:
            since = self._clock.now() - MISSED_LIFE
            self._missed = [entry for entry in self._missed if entry[0] >= since]
            chosen = [notice for _, notice in self._missed if topic in {"", notice.body["topic"]}]
        return json_answer({"messages": [self._missed_row(notice) for notice in chosen[offset : offset + limit]]})

    def as_json(self) -> dict[str, Any]:
        """Return what was told, sent, taken, dropped, and never told because its topic is off."""
        with self._lock:
            return {**self._counts, "waiting": len(self._waiting), "disabled": sorted(self._disabled)}

    def _new(self, topic: str, resource: str, seller: int) -> Notice:
        digits = f"{self._rng.getrandbits(128):032x}"
        known = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
        self._counts["told"] += 1
        head = {"_id": known, "resource": resource, "user_id": seller, "topic": topic}
        return Notice({**head, "application_id": APPLICATION}, self._clock.now())

    def _push(self, notice: Notice, due: datetime) -> None:
        heappush(self._waiting, (due, next(self._places), notice))

    def _work(self) -> None:
        while not self._stopping.is_set():
            taken = self._take()
            if taken is None:
                self._reality.wait(self._stopping, POLL_S)
                continue
            wanted, notice = taken
            response = self._send(wanted, notice)
            self._settle(wanted, replace(notice, response=response), is_taken=response["http_code"] == 200)

    def _take(self) -> tuple[Subscription, Notice] | None:
        """Return what is to be sent now; sometimes a later one first."""
        with self._lock:
            if self._subscription is None or not self._waiting or self._waiting[0][0] > self._clock.now():
                return None
            first = heappop(self._waiting)
            if self._waiting and self._faults.happens("shuffled_notifications"):
                second = heappop(self._waiting)
                heappush(self._waiting, first)
                first = second
            self._counts["attempts"] += 1
            self._counts["in_hand"] += 1
            return self._subscription, replace(first[2], attempts=first[2].attempts + 1)

    def _send(self, wanted: Subscription, notice: Notice) -> dict[str, Any]:
        """Return what came back: no code at all, if nothing did within the time there is."""
        began = self._reality.monotonic()
        code, said = 0, ""
        parts = urlsplit(wanted.url)
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        if not self._is_out and parts.hostname:
            connection = HTTPConnection(parts.hostname, parts.port or 80, timeout=PATIENCE_S)
            try:
                body = msgspec.json.encode(self._body(notice))
                connection.request("POST", target, body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                code, said = answer.status, answer.read(1_000).decode("utf-8", "replace")
            except (OSError, HTTPException) as error:
                said = type(error).__name__
            finally:
                connection.close()
        seconds = self._reality.monotonic() - began
        return {
            "req_time": int(seconds * 1000),
            "http_code": 0 if seconds > PATIENCE_S else code,
            "body": said,
            "headers": {},
        }

    def _body(self, notice: Notice) -> dict[str, Any]:
        body = dict(notice.body)
        received = "received"
        if self._faults.happens("odd_notifications", body["topic"]):
            body["user_id"] = str(body["user_id"])
            received = "recieved"
        stamps = {"sent": _stamp(self._clock.now()), received: _stamp(notice.received)}
        return {**body, "attempts": notice.attempts, **stamps}

    def _settle(self, wanted: Subscription, notice: Notice, *, is_taken: bool) -> None:
        """Be done with a notice that was taken, or tried too often; keep any other for later."""
        topic = notice.body["topic"]
        with self._lock:
            self._counts["in_hand"] -= 1
            if is_taken:
                self._counts["delivered"] += 1
                self._drops[topic] = 0
            elif notice.attempts < ATTEMPTS_MAX:
                self._push(notice, self._clock.now() + timedelta(seconds=wanted.retry_s))
            else:
                self._counts["dropped"] += 1
                self._missed.append((self._clock.now(), notice))
                self._drops[topic] = self._drops.get(topic, 0) + 1
                if self._drops[topic] >= wanted.drops_max:
                    self._disabled.add(topic)

    def _missed_row(self, notice: Notice) -> dict[str, Any]:
        body = {**notice.body, "attempts": notice.attempts}
        stamps = {"sent": _stamp(notice.received), "received": _stamp(notice.received)}
        url = self._subscription.url if self._subscription else ""
        request = {"url": url, "headers": {"Content-Type": "application/json"}, "data": body}
        return {**body, **stamps, "request": request, "response": notice.response}


def _stamp(instant: datetime) -> str:
    return universal(milliseconds(instant))
