"""Which of our errors an answer of ActiveCampaign is: by its status, and by what it says in one of its many forms.

A wrong key and a missing right are the same 403 there, and both come now and then for no reason; whoever asks says
what was asked for, and repeats it a few times first.
"""

import json
from collections.abc import Mapping
from datetime import datetime

from comporta.errors import (
    AccessRefused,
    ComportaError,
    FilterIgnored,
    LoginRefused,
    SourceRefused,
    SourceTruncated,
    UnknownStream,
)
from comporta.sources.answers import Answer, describe, quote, refusal

NOT_FOUND = 404
SAID_MAX = 2_000
"""Bytes of a refusal that are read for what it says."""

REFUSALS_TRIED: Mapping[type[ComportaError], int] = {LoginRefused: 5, AccessRefused: 5}
"""How often a refused request is sent: as any other, for the service answers 403 without a reason now and then."""

_KEY = "Check api_key of the account: in ActiveCampaign it stands under Settings, Developer; each user has a key."
_RIGHT = "Give the key's user the right to see this at ActiveCampaign, or set `paused = true` for the stream."
_PAYMENT = "Look at the account's subscription: it is suspended, or its plan has no deals."
_MISTAKE = "Run `comporta check`; if the API has changed, look for a newer Comporta."


def refuse(answer: Answer, *, subject: str, now: datetime, is_login: bool = False) -> None:
    """Raise what an answer stands for that brings no data; ``is_login``: only the key can be at fault."""
    if answer.status < 300 and not answer.body.strip():
        # The service answers a list with nothing at times: that is no empty list.
        message = f"{subject} answered {answer.status} with an empty body; expected JSON"
        raise SourceTruncated(message, next_step="It usually passes, and is tried again by itself.")
    error = _own(answer, subject, is_login=is_login) or refusal(answer, subject=subject, expected="JSON", now=now)
    if error is not None:
        raise error


def ignored(message: str, *, scope: str) -> FilterIgnored:
    """Return the error of an answer that is not what was asked for; nobody's proxy stands before this service."""
    step = f"Nothing was claimed. Run `comporta sync {scope} --full`, which asks without filters, and please report it."
    return FilterIgnored(message, next_step=step)


def said(answer: Answer) -> str:
    """Return what a refusal says, in whichever of its forms; an empty object says nothing.

    >>> said(Answer(422, {}, b'{"errors": [{"title": "Bad", "detail": "", "code": 422}]}'))
    'Bad'
    """
    try:
        told = json.loads(answer.beginning(SAID_MAX))
    except ValueError:
        return describe(answer)
    if not isinstance(told, Mapping):
        return describe(answer)
    errors = told.get("errors")
    texts = [told.get("message"), told.get("error")]
    for each in errors if isinstance(errors, list) else []:
        if isinstance(each, Mapping):
            texts += [each.get("title"), each.get("detail")]
    words = [str(text).rstrip(".") for text in texts if text]
    return quote("; ".join(words)) if words else describe(answer)


def _own(answer: Answer, subject: str, *, is_login: bool) -> ComportaError | None:
    """Return the error of a status that this API gives a meaning of its own; what a proxy says is none of it."""
    if answer.is_page or not 400 <= answer.status < 500 or answer.status in {408, 429}:
        return None
    seen = f"{subject} answered {answer.status}: {said(answer)}"
    if answer.status == 401 or (answer.status == 403 and is_login):
        return LoginRefused(f"{seen}; expected the key to be accepted", next_step=_KEY)
    if answer.status == 403:
        return AccessRefused(f"{seen}; expected the key's user to have the right", next_step=_RIGHT)
    if answer.status == 402:
        return SourceRefused(f"{seen}; expected the account to be in order", next_step=_PAYMENT)
    if answer.status == NOT_FOUND:
        return UnknownStream(f"{seen}; expected such a list", next_step="Check `url` of the account, and its plan.")
    return SourceRefused(f"{seen}; expected the request to be understood", next_step=_MISTAKE)
