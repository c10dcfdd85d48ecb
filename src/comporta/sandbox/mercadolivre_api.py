"""One request to the API: whose token it carries, whether it is within the limit, and who answers it.

A token is taken from the header, or from the query, where old clients put it. The limit, if there is one,
is of each seller, and judged as a request arrives; the API tells nobody about it.
"""

from collections.abc import Callable
from re import sub
from threading import Lock
from typing import Any

from comporta.sandbox.exchange import Answer, Plan, Request
from comporta.sandbox.faults import Faults
from comporta.sandbox.mercadolivre_errors import Refused, missing, refused, standard, too_many, unauthorized
from comporta.sandbox.mercadolivre_logins import Logins
from comporta.sandbox.meter import Meter

Router = Callable[[int, list[str], Request, str], Answer]
"""Answers a seller's request for a path, under a label."""


class Api:
    """Everything but OAuth and the simulator's own routes."""

    def __init__(self, logins: Logins, faults: Faults, limit: int | None, router: Router) -> None:
        self.logins = logins
        self.faults = faults
        self._limit = limit
        self._router = router
        self._lock = Lock()
        self._meters: dict[int, Meter] = {}

    def plan(self, request: Request, count: Callable[[str], None]) -> Plan:
        """Return what a request asks for; ``count`` is told once it is answered."""
        path = request.path.strip("/")
        seller = self.logins.bearer(token_of(request))
        label = f"{seller or 'unknown'}/{path}"
        is_allowed = self._arrive(seller, request.arrived, label)

        def run() -> Answer:
            answer = too_many(self.faults, label) if not is_allowed else self._answer(seller, path, request, label)
            count(label)
            return answer

        return Plan(run, label, route="/" + sub(r"(?<=/)(MLB)?\d+", "{id}", path))

    def meters(self) -> dict[str, Any]:
        """Return what the limit of each seller saw."""
        with self._lock:
            return {str(seller): meter.as_json() for seller, meter in self._meters.items()}

    def _arrive(self, seller: int | None, now: float, label: str) -> bool:
        is_throttled = self.faults.happens("throttled", label)
        if self._limit is None or seller is None:
            return not is_throttled
        with self._lock:
            meter = self._meters.setdefault(seller, Meter(self._limit))
        return meter.arrive(now, is_throttled=is_throttled).is_allowed

    def _answer(self, seller: int | None, path: str, request: Request, label: str) -> Answer:
        if seller is None or self.faults.happens("unauthorized", label):
            return unauthorized()
        if self.faults.happens("error_500", label):
            return standard(500, "internal_server_error", "Internal server error")
        if self.faults.happens("forbidden", label):
            return refused(self.faults, label)
        if request.method != "GET":
            return standard(405, "method_not_allowed", "This simulator is read only")
        try:
            answer = self._router(seller, path.split("/"), request, label)
        except Refused as refusal:
            return refusal.answer
        is_part = answer.status == 200 and self.faults.happens("partial_206", label)
        return Answer(206, answer.body) if is_part else answer


def token_of(request: Request) -> str:
    """Return the access token of a request, wherever it is."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else request.query.get("access_token", "")


def no_route(path: list[str]) -> Answer:
    """Return the 404 of a path nobody answers."""
    return missing(f"resource /{'/'.join(path)}")
