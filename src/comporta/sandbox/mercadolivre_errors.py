"""What the Mercado Livre simulator says when it refuses: the bodies of the fact sheet, and guesses where it has none.

Guesses, each marked below: the body of 401, of a limit or an offset out of range elsewhere than in the
orders, of a scroll that is over, of a missing item, of an unknown route, and of a parameter that cannot be read.
"""

from typing import Any

from comporta.sandbox.exchange import Answer, json_answer
from comporta.sandbox.faults import Faults

GRANT = "Error validating grant. Your authorization code or refresh token may be expired or it was already used"


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.body.decode())
        self.answer = answer


def standard(status: int, error: str, message: str, cause: Any = ()) -> Answer:
    """Return an error in the usual form."""
    said = list(cause) if isinstance(cause, tuple) else cause
    return json_answer({"message": message, "error": error, "status": status, "cause": said}, status)


def oauth_error(error: str, description: str = "", status: int = 400) -> Answer:
    """Return an error of the token call, which has a form of its own."""
    return json_answer({"error_description": description, "error": error, "status": status, "cause": []}, status)


def invalid_grant() -> Answer:
    """Return the refusal of a code or refresh token that does not work, or no longer."""
    return oauth_error("invalid_grant", GRANT)


def unauthorized() -> Answer:
    """Return the 401 of a token that is missing, unknown or expired; its body is a guess."""
    return standard(401, "not_found", "invalid access token")


def forbidden() -> Answer:
    """Return the 403 of somebody else's token."""
    said = {"status": 403, "error": "access_denied", "message": "access to the requested resource is forbidden"}
    return json_answer({**said, "code": "FORBIDDEN"}, 403)


def refused(faults: Faults, label: str) -> Answer:
    """Return a 403 in the form that the faults choose: about the data, or about what the application may do.

    That of a permission which is missing is a guess but for its code.
    """
    form = faults.strikes("body_403", label)
    if form and form.value == "scopes":
        return json_answer({"status": 403, "error": "Invalid scopes", "code": "FORBIDDEN"}, 403)
    if form and form.value == "policy":
        code = "PA_UNAUTHORIZED_RESULT_FROM_POLICIES"
        said = {"status": 403, "error": "forbidden", "message": "At least one policy returned UNAUTHORIZED."}
        return json_answer({**said, "code": code}, 403)
    return forbidden()


def order_missing() -> Answer:
    """Return the 404 of an order."""
    return standard(404, "order_not_found", "Order not found.", None)


def missing(what: str) -> Answer:
    """Return the 404 of anything else; a guess."""
    return standard(404, "not_found", f"{what} not found")


def item_missing(known: str) -> dict[str, Any]:
    """Return the body of a missing item, alone or in a multiget; a guess."""
    return {"message": f"Item with id {known} not found", "error": "not_found", "status": 404, "cause": []}


def odd_item(known: str, code: int) -> dict[str, Any]:
    """Return the body of an item that is not shown; a guess."""
    if code == 404:
        return item_missing(known)
    return {"message": f"Item with id {known} is not available", "error": f"status_{code}", "status": code, "cause": []}


def bad_request(message: str) -> Answer:
    """Return the 400 of a parameter that cannot be used; a guess."""
    return standard(400, "bad_request", message)


def limit_exceeded(most: int) -> Answer:
    """Return the 400 of a page too long or too far; whether it has status and cause is not known."""
    return json_answer(
        {"error": "limit.maximum_exceeded", "message": f"Limit must be a lower or equal than {most}"}, 400
    )


def too_many(faults: Faults, label: str) -> Answer:
    """Return a 429 without any hint of when to come back, in the form that the faults choose."""
    form = faults.strikes("body_429", label)
    if form and form.value == "json":
        return json_answer({"status": 429, "error": "local_rate_limited", "message": "too many requests"}, 429)
    if form and form.value == "text":
        return Answer(429, b"local_rate_limited", "text/plain; charset=utf-8")
    return Answer(429, b"")
