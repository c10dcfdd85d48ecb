"""Which of our errors an answer of Mercado Livre is: by its status, and by the code in its body.

A 401 is about the token, which is renewed once by whoever holds it; what is refused after that needs a person.
"""

import json
from collections.abc import Mapping
from datetime import datetime

from comporta.errors import (
    AccessRefused,
    ComportaError,
    SourceRefused,
    SourceTruncated,
)
from comporta.errors_mercadolivre import PolicyRefused, SearchTooFar, TokenRefused
from comporta.sources.answers import Answer, describe, quote, refusal

NOT_FOUND, FORBIDDEN, TOO_MANY = 404, 403, 429
NO_CONTENT, PARTIAL = 204, 206
TOO_FAR = "limit.maximum_exceeded"
POLICIES = (b"PA_UNAUTHORIZED", b"nvalid scopes")
"""What a 403 says that is about the application, and not about the record that was asked for."""
SAID_MAX = 2_000
"""Bytes of a refusal that are read for what it says."""

_POLICY = (
    "In Mercado Livre's developer centre, give the application the functional permission for this (sales and shipping,"
    " or publish and synchronise), then grant access again with `comporta connect mercadolivre NAME`."
)
RIGHT = "Check that the seller who granted access is an administrator, and that the application is not blocked."
_MISTAKE = "Run `comporta check`; if the API has changed, look for a newer Comporta."


def refuse(answer: Answer, *, subject: str, now: datetime) -> None:
    """Raise what an answer stands for that brings no data."""
    if answer.status == PARTIAL:
        message = f"{subject} answered 206, a part of the data; expected all of it"
        raise SourceTruncated(message, next_step="It usually passes, and is tried again by itself.")
    if answer.status < 300 and answer.status != NO_CONTENT and not answer.body.strip():
        message = f"{subject} answered {answer.status} with an empty body; expected JSON"
        raise SourceTruncated(message, next_step="It usually passes, and is tried again by itself.")
    error = _own(answer, subject) or refusal(answer, subject=subject, expected="JSON", now=now)
    if error is not None:
        raise error


def said(answer: Answer) -> str:
    """Return what a refusal says: its code and its message, in whichever of its forms.

    >>> said(Answer(400, {}, b'{"error": "limit.maximum_exceeded", "message": "Limit must be lower", "cause": null}'))
    'limit.maximum_exceeded: Limit must be lower'
    """
    told = body_of(answer)
    if told is None:
        return describe(answer)
    words = [str(told[name]) for name in ("error", "code", "message", "error_description") if told.get(name)]
    return quote(": ".join(dict.fromkeys(words))) if words else describe(answer)


def body_of(answer: Answer) -> Mapping[str, object] | None:
    """Return the JSON object of a refusal, ``None`` if it is none."""
    try:
        told = json.loads(answer.beginning(SAID_MAX))
    except ValueError:
        return None
    return told if isinstance(told, Mapping) else None


def _own(answer: Answer, subject: str) -> ComportaError | None:
    """Return the error of a status that this API gives a meaning of its own; what a proxy says is none of it."""
    if answer.is_page or not 400 <= answer.status < 500 or answer.status in {408, 429}:
        return None
    seen = f"{subject} answered {answer.status}: {said(answer)}"
    if answer.status == 401:
        return TokenRefused(f"{seen}; expected the access token to be accepted")
    if answer.status == FORBIDDEN:
        is_policy = any(word in answer.beginning(SAID_MAX) for word in POLICIES)
        kind = PolicyRefused if is_policy else AccessRefused
        return kind(f"{seen}; expected access", next_step=_POLICY if is_policy else RIGHT)
    if (body_of(answer) or {}).get("error") == TOO_FAR:
        return SearchTooFar(f"{seen}; expected a page")
    return SourceRefused(f"{seen}; expected the request to be understood", next_step=_MISTAKE)
