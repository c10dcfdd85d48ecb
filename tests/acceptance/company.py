"""The simulated company as a test sees it: over HTTP only, like any other client of the server."""

import json
import time
from threading import Event
from typing import Any
from urllib.request import Request, urlopen

from tests.acceptance.databases import Database

TIMEOUT_S = 30
HANG_S = 60
STREAMS = ("sale.order", "sale.order.line", "res.partner", "product.product", "product.template")
# What travels: anything JSON can say.
Json = Any


class Company:
    """One simulator behind its address: acts, faults, statistics and the truth."""

    def __init__(self, url: str, released: Event | None = None) -> None:
        self.url = url
        self._released = released or Event()

    def act(self, do: str, **values: Json) -> Json:
        """Make one change, or set a scene, and return what it answers."""
        return _ask(f"{self.url}/_act", {"do": do, **values})["results"][0]

    def fault(self, name: str, value: Json = None, *, times: int | None = None, label: str = "") -> None:
        """Spoil answers from now on."""
        valued = {} if value is None else {"value": str(value)}
        _ask(f"{self.url}/_faults", {"name": name, "times": times, "label": label, **valued})

    def hang(self, label: str) -> None:
        """Hold the next page back until ``release``, so that nobody has to guess how long the others take."""
        self._released.clear()
        self.fault("slow_page", HANG_S, label=label)

    def release(self) -> None:
        """Answer what hangs."""
        self._released.set()

    def heal(self) -> None:
        """End every fault."""
        _ask(f"{self.url}/_faults", method="DELETE")

    def struck(self, name: str) -> int:
        """Return how many answers a fault has spoilt."""
        return int(self._stats()["faults"].get(name, 0))

    def calls(self, label: str) -> int:
        """Return how many requests ``model/method`` were answered."""
        return int(self._stats()["calls"].get(label, 0))

    def truth(self, stream: str) -> dict[int, dict[str, Json]]:
        """Return every committed record of a stream, by id."""
        return {record["id"]: record for record in self.truths(stream)}

    def truths(self, stream: str) -> list[dict[str, Json]]:
        """Return every committed record of a stream."""
        records: list[dict[str, Json]] = _ask(f"{self.url}/_truth/{stream}")["records"]
        return records

    def limit(self) -> dict[str, Json]:
        """Return what the limit saw, of a simulator that has one."""
        seen: dict[str, Json] = self._stats()["limit"]
        return seen

    def _stats(self) -> dict[str, Json]:
        answer: dict[str, Json] = _ask(f"{self.url}/_stats")
        return answer


def wait_or_release(released: Event, closing: Event, seconds: float) -> bool:
    """Wait as a simulator does; what hangs ends when it is released. Return whether the simulator closes."""
    if seconds < HANG_S:
        return closing.wait(seconds)
    deadline = time.monotonic() + seconds
    while not closing.wait(0.01):
        if released.is_set() or time.monotonic() > deadline:
            return False
    return True


def table_of(stream: str) -> str:
    """Return the mirrored table of an Odoo stream."""
    return f"odoo_{stream.replace('.', '_')}"


def mirror(database: Database, stream: str, account: str = "matriz") -> dict[int, dict[str, Json]]:
    """Return the living rows of a mirrored table, each value as the source would say it, by id.

    Read by name and declared type, with nothing of the product's: what any other program would see.
    """
    table = table_of(stream)
    columns = database.kinds(table)
    named = [name for name in columns if name != "account" and not name.startswith("_cmp_")]
    query = f"SELECT {', '.join(named)} FROM {table} WHERE account = ? AND _cmp_deleted_at IS NULL"
    rows = database.ask(query, account)
    return {
        row[named.index("id")]: {name: _said(value, columns[name]) for name, value in zip(named, row, strict=True)}
        for row in rows
    }


def differences(company: Company, database: Database, stream: str, account: str = "matriz") -> list[str]:
    """Return every way in which the mirrored rows are not the source's, field by field; none is the aim."""
    theirs, ours = company.truth(stream), mirror(database, stream, account)
    found = [f"{stream} {known}: absent here" for known in theirs if known not in ours]
    found += [f"{stream} {known}: gone at the source" for known in ours if known not in theirs]
    for known in theirs.keys() & ours.keys():
        for name in ours[known].keys() | _kept(theirs[known]):
            there, here = theirs[known].get(name, "no such field"), ours[known].get(name, "no such column")
            if there != here:
                found.append(f"{stream} {known} {name}: {there!r} at the source, {here!r} here")
    return sorted(found)


def all_differences(company: Company, database: Database, account: str = "matriz") -> list[str]:
    """Return the differences of the five streams."""
    return [each for stream in STREAMS for each in differences(company, database, stream, account)]


def _kept(record: dict[str, Json]) -> set[str]:
    """Return the fields that must have a column: all but lists that come as a stream of their own."""
    return {name for name, value in record.items() if not name.startswith("_") and not isinstance(value, list)}


def _said(value: Json, kind: str) -> Json:
    if value is None:
        return None
    match kind:
        case "BOOLEAN":
            return bool(value)
        case "TIMESTAMP":
            return value.replace("T", " ").removesuffix(".000000Z")
        case "JSON":
            return json.loads(value)
        case _:
            return value


def _ask(url: str, body: Json = None, *, method: str | None = None) -> Json:
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url, data, {"Content-Type": "application/json"}, method=method), timeout=TIMEOUT_S) as answer:
        return json.loads(answer.read())
