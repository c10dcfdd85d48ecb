"""A COMMIT is told from what only looks like one."""

import pytest
from tests.servers.wire import Ending, Message, Talk


@pytest.mark.parametrize(
    ("statement", "is_commit"),
    [
        (b"COMMIT", True),
        (b" commit ; ", True),
        (b"BEGIN; INSERT INTO notes VALUES (1); COMMIT", True),
        (b"END TRANSACTION", True),
        (b"CREATE FUNCTION f() ... BEGIN x := 1; END $$ LANGUAGE plpgsql", False),
        (b"INSERT INTO notes VALUES ('COMMIT')", False),
        (b"BEGIN READ ONLY; SELECT 1; COMMIT", False),
    ],
)
def test_only_what_ends_a_writing_transaction_counts(statement: bytes, is_commit: bool) -> None:
    """A function's END, a word in a value and a reading transaction are none of it."""
    assert Talk().is_commit(Message(b"Q", statement + b"\0", b"")) is is_commit


@pytest.mark.parametrize(
    ("answers", "is_over"),
    [
        ([(b"2", b""), (b"C", b"INSERT 0 1\0"), (b"Z", b"T")], [False, False, False]),
        ([(b"C", b"COMMIT\0"), (b"Z", b"I")], [False, True]),
        ([(b"E", b"SERROR\0"), (b"Z", b"I")], [False, True]),
        ([(b"C", b"ROLLBACK\0"), (b"Z", b"I")], [False, True]),
    ],
)
def test_a_transaction_has_ended_when_the_server_is_ready_after_saying_so(
    answers: list[tuple[bytes, bytes]], is_over: list[bool]
) -> None:
    """Answers to what was sent before the COMMIT are not its own."""
    ending = Ending()

    assert [ending.is_over(Message(kind, body, b"")) for kind, body in answers] == is_over
