"""Which of our errors an answer is, in whichever of its forms."""

from datetime import UTC, datetime

import pytest

from comporta.errors import (
    AccessRefused,
    ComportaError,
    LoginRefused,
    RateLimited,
    SourceAnsweredPage,
    SourceBadGateway,
    SourceRefused,
    SourceTruncated,
)
from comporta.errors_mercadolivre import PolicyRefused, SearchTooFar
from comporta.sources.answers import Answer
from comporta.sources.mercadolivre_errors import refuse

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
PAGE = b"<!DOCTYPE html><html><head><title>Access denied</title></head></html>"


@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        (206, b"{}", SourceTruncated, "206, a part"),
        (200, b" ", SourceTruncated, "empty body"),
        (200, PAGE, SourceAnsweredPage, "Access denied"),
        (401, b'{"message":"invalid access token","error":"not_found","status":401,"cause":[]}', LoginRefused, "token"),
        (401, b"", LoginRefused, "401"),
        (403, b'{"status":403,"error":"access_denied","message":"no","code":"FORBIDDEN"}', AccessRefused, "FORBIDDEN"),
        (403, b'{"status":403,"error":"Invalid scopes","code":"FORBIDDEN"}', PolicyRefused, "Invalid scopes"),
        (403, b'{"code":"PA_UNAUTHORIZED_RESULT_FROM_POLICIES"}', PolicyRefused, "PA_UNAUTHORIZED"),
        (403, PAGE, SourceRefused, "Access denied"),
        (400, b'{"error":"limit.maximum_exceeded","message":"Limit must be lower"}', SearchTooFar, "Limit must be"),
        (400, b'{"message":"bad","error":"bad_request","status":400,"cause":null}', SourceRefused, "bad_request: bad"),
        (400, b'["what"]', SourceRefused, "what"),
        (404, b'{"message":"Order not found.","error":"order_not_found"}', SourceRefused, "order_not_found"),
        (429, b"", RateLimited, "empty body"),
        (429, b"local_rate_limited", RateLimited, "local_rate_limited"),
        (429, b'{"status":429,"error":"local_rate_limited"}', RateLimited, "local_rate_limited"),
        (500, b'{"message":"internal","error":"internal_server_error"}', SourceBadGateway, "internal"),
        (503, b"", SourceBadGateway, "503"),
    ],
)
def test_an_answer_without_data_is_named(status: int, body: bytes, error: type[ComportaError], words: str) -> None:
    """With what was attempted, what was seen, and a next step."""
    with pytest.raises(error, match="loja orders: a page answered ") as caught:
        refuse(Answer(status, {}, body), subject="mercadolivre/loja orders: a page", now=NOON)

    assert words in caught.value.message
    assert caught.value.next_step


def test_a_missing_right_says_where_to_give_it() -> None:
    """The functional permission is the application's, in the developer centre."""
    with pytest.raises(AccessRefused) as caught:
        refuse(Answer(403, {}, b'{"code":"PA_UNAUTHORIZED_RESULT_FROM_POLICIES"}'), subject="x", now=NOON)

    assert "functional permission" in caught.value.next_step


@pytest.mark.parametrize("answer", [Answer(200, {}, b"{}"), Answer(204, {}, b"")])
def test_an_answer_with_data_or_with_nothing_is_none_of_it(answer: Answer) -> None:
    """Nothing is an answer too, where it says so."""
    refuse(answer, subject="x", now=NOON)
