"""One request to one account, answered: rights, routes, lists, single rows, and the forms of refusal.

The vendor has no one form for errors; each here is one that the fact sheet knows or holds for likely.
"""

from datetime import datetime, timedelta
from email.utils import format_datetime
from hmac import compare_digest
from typing import Any

from comporta.sandbox.activecampaign_lists import LISTINGS, OF_DEAL, BadQuery, listed, shown
from comporta.sandbox.activecampaign_world import Row, World
from comporta.sandbox.exchange import JSON, Answer, Request, html_answer, json_answer
from comporta.sandbox.faults import Faults
from comporta.sandbox.meter import Verdict

FAILURES = {402: "Payment Required", 500: "Internal Server Error", 503: "Service Unavailable"}


def answer(world: World, faults: Faults, request: Request, *, label: str, route: str, key: str) -> Answer:
    """Return what the API says to a request that is within the limit."""
    if not compare_digest(request.headers.get("api-token", "").encode(), key.encode()):
        return json_answer({"message": "You are not authorized: the API token is not valid."}, 403)
    if faults.happens("forbidden", label):
        return json_answer({"message": "You do not have permission to view this resource."}, 403)
    for status, title in FAILURES.items():
        if faults.happens(f"error_{status}", label):
            return json_answer({"message": title}, status)
    if request.method != "GET":
        return json_answer({"errors": [{"title": "This simulator is read only.", "detail": "", "code": 422}]}, 422)
    if faults.happens("empty_200", label):
        return Answer(200, b"", JSON)
    return _found(world, faults, request.query, route)


def refusal(verdict: Verdict, faults: Faults, label: str, now: datetime) -> Answer:
    """Return the 429 of a request over the limit, in the form that the faults choose."""
    form = faults.strikes("body_429", label)
    body = json_answer({"message": "Too many requests."}, 429)
    if form and form.value == "empty":
        body = Answer(429, b"", JSON)
    if form and form.value == "html":
        body = html_answer(429, "429 Too Many Requests")
    hint = faults.strikes("retry_after", label)
    seconds = int(hint.number) if hint and hint.value not in {"none", "date"} else verdict.wait_s
    if hint and hint.value == "none":
        return body
    # A date has whole seconds only; cut off, it would lie before the room there will be.
    until = format_datetime((now + timedelta(seconds=seconds + 1)).replace(microsecond=0), usegmt=True)
    text = until if hint and hint.value == "date" else str(seconds)
    return Answer(429, body.body, body.content_type, {"Retry-After": text})


def _found(world: World, faults: Faults, query: dict[str, str], route: str) -> Answer:
    match route.split("/"):
        case [""]:
            return json_answer({"message": "ActiveCampaign API v3 (simulated)"})
        case ["users", "me"]:
            return json_answer({"user": next(iter(world.rows("users")))})
        case [stream] if stream in LISTINGS:
            return _list_answer(world, faults, stream, query)
        case ["deals", known, "dealCustomFieldData"] if known.isdigit():
            return _values_answer(world, faults, query, int(known))
        case [stream, known] if stream in LISTINGS and known.isdigit():
            return _single_answer(world, faults, stream, int(known))
    return _missing(faults, route, "")


def _list_answer(world: World, faults: Faults, stream: str, query: dict[str, str]) -> Answer:
    try:
        return json_answer(listed(world, stream, query, faults))
    except BadQuery:
        return json_answer({}, 400)


def _values_answer(world: World, faults: Faults, query: dict[str, str], known: int) -> Answer:
    if known not in world.table("deals"):
        return _missing(faults, "deals", str(known))
    return _list_answer(world, faults, "dealCustomFieldData", {**query, OF_DEAL: str(known)})


def _single_answer(world: World, faults: Faults, stream: str, known: int) -> Answer:
    row = world.table(stream).get(known)
    if row is None:
        return _missing(faults, stream, str(known))
    alone = shown(world, stream, row, {}, faults)
    if stream == "contacts":
        # The one column that has another name in the single read.
        alone = {"emailDomain" if name == "email_domain" else name: value for name, value in alone.items()}
    return json_answer({LISTINGS[stream].singular: alone})


def _missing(faults: Faults, stream: str, known: str) -> Answer:
    """Return a 404: deals have a form of their own, until a fault gives them that of the others."""
    other: dict[str, Any] = {"errors": [{"status": 404, "title": "Not Found"}]}
    if stream != "deals" or faults.happens("other_404", stream):
        return json_answer(other, 404)
    said: Row = {"message": f"No Result found for Deal with id {known}"}
    return json_answer(said, 404)
