"""Clients that know nothing of the simulator: odoorpc, xmlrpc.client and bare urllib; and a clock that stands.

Nothing here reaches into the simulator; what the tests claim, these clients saw.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import odoorpc

from comporta.sandbox.odoo import OdooSandbox
from comporta.sandbox.simulator import Simulator

START = datetime(2026, 3, 10, 12, 0, 0, 250_000, tzinfo=UTC)
TIMEOUT_S = 5
Open = Callable[..., OdooSandbox]
# What travels: anything JSON can say.
Json = Any


@dataclass
class StandingClock:
    """A clock that moves when told to."""

    instant: datetime = START

    def __call__(self) -> datetime:
        return self.instant

    def advance(self, **span: float) -> None:
        self.instant += timedelta(**span)


@dataclass(frozen=True)
class Reply:
    """What came back over HTTP."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        return json.loads(self.body)


def fetch(url: str, body: Json = None, *, method: str | None = None, **headers: str) -> Reply:
    """Make one HTTP request; a dict or list is sent as JSON."""
    data = json.dumps(body).encode() if isinstance(body, dict | list) else body
    named = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    try:
        with urlopen(Request(url, data, named, method=method), timeout=TIMEOUT_S) as answer:
            return Reply(answer.status, dict(answer.headers), answer.read())
    except HTTPError as error:
        with error:
            return Reply(error.code, dict(error.headers), error.read())


def jsonrpc(sandbox: OdooSandbox, service: str, method: str, *arguments: Json) -> dict[str, Json]:
    """Call JSON-RPC and return the whole envelope."""
    params = {"service": service, "method": method, "args": arguments}
    reply = fetch(f"{sandbox.url}/jsonrpc", {"jsonrpc": "2.0", "method": "call", "params": params, "id": 7})
    envelope: dict[str, Json] = reply.json
    return envelope


def ask(sandbox: OdooSandbox, model: str, method: str, *arguments: Json, **named: Json) -> Json:
    """Call a model method over JSON-RPC and return its result."""
    envelope = jsonrpc(sandbox, "object", "execute_kw", "demo", 2, "demo", model, method, list(arguments), named)
    assert "result" in envelope, envelope["error"]["data"]["name"]
    return envelope["result"]


def error_of(sandbox: OdooSandbox, model: str, method: str, *arguments: Json, **named: Json) -> dict[str, Json]:
    """Call a model method that must fail and return the ``error`` member."""
    envelope = jsonrpc(sandbox, "object", "execute_kw", "demo", 2, "demo", model, method, list(arguments), named)
    error: dict[str, Json] = envelope["error"]
    return error


def json2(sandbox: OdooSandbox, model: str, method: str, *, key: str = "demo", **named: Json) -> Reply:
    """Call JSON-2."""
    return fetch(f"{sandbox.url}/json/2/{model}/{method}", named, Authorization=f"bearer {key}")


def connect(sandbox: OdooSandbox, key: str = "demo") -> odoorpc.ODOO:
    """Log in with odoorpc."""
    parts = urlsplit(sandbox.url)
    client = odoorpc.ODOO(parts.hostname, protocol="jsonrpc", port=parts.port, timeout=TIMEOUT_S)
    client.login("demo", "demo", key)
    return client


def act(sandbox: Simulator, do: str, **details: Json) -> Json:
    """Set a scene through the control route and return what the act returned."""
    reply = fetch(f"{sandbox.url}/_act", {"do": do, **details})
    assert reply.status == 200, reply.body
    return reply.json["results"][0]


def truth(sandbox: Simulator, model: str) -> list[dict[str, Json]]:
    """Return every committed record of a model."""
    records: list[dict[str, Json]] = fetch(f"{sandbox.url}/_truth/{model}").json["records"]
    return records
