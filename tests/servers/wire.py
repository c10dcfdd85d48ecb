"""As much of PostgreSQL's wire protocol as it takes to see a COMMIT go by and its answer come back.

A message is a letter, a length and a body; only the first one of a client has no letter. A statement
comes either as a simple Query, or is parsed first and bound later, perhaps under a name.
"""

import re
from asyncio import StreamReader
from dataclasses import dataclass, field

CANCEL, SSL, GSS = 80877102, 80877103, 80877104

# Not just any END: that of a function's body is no COMMIT.
_COMMIT = re.compile(rb"(?:^|;)\s*(?:COMMIT|END)(?:\s+(?:WORK|TRANSACTION))?\s*;?\s*$", re.IGNORECASE)
_BEGIN = re.compile(rb"(?:^|;)\s*(?:BEGIN|START)\b([^;]*)", re.IGNORECASE)
_READ_ONLY = re.compile(rb"READ\s+ONLY", re.IGNORECASE)


@dataclass(frozen=True)
class Message:
    """One message: its letter (none for a client's first), its body, and its bytes as they came."""

    kind: bytes
    body: bytes
    raw: bytes


async def read_message(reader: StreamReader) -> Message:
    """Read one message; raise ``IncompleteReadError`` at the end of the stream."""
    head = await reader.readexactly(5)
    body = await reader.readexactly(int.from_bytes(head[1:], "big") - 4)
    return Message(head[:1], body, head + body)


async def read_first(reader: StreamReader) -> tuple[int, bytes]:
    """Read a client's first message and return its code (the version, or a request) and its bytes."""
    head = await reader.readexactly(8)
    rest = await reader.readexactly(int.from_bytes(head[:4], "big") - 8)
    return int.from_bytes(head[4:], "big"), head + rest


@dataclass
class Talk:
    """What a client has said that is needed to tell a COMMIT from anything else."""

    parsed: dict[bytes, bytes] = field(default_factory=dict)
    is_reading: bool = False

    def is_commit(self, message: Message) -> bool:
        """Take in a client's message and tell whether it ends a transaction that may have written."""
        statement = self._statement(message)
        if begun := _BEGIN.search(statement):
            self.is_reading = _READ_ONLY.search(begun[1]) is not None
        return not self.is_reading and _COMMIT.search(statement) is not None

    def _statement(self, message: Message) -> bytes:
        if message.kind == b"Q":
            return message.body.rstrip(b"\0")
        if message.kind == b"P":
            name, statement, _ = message.body.split(b"\0", 2)
            self.parsed[name] = statement
        if message.kind == b"B":
            _, name, _ = message.body.split(b"\0", 2)
            return self.parsed.get(name, b"")
        return b""


@dataclass
class Ending:
    """What a server has answered since a COMMIT was sent."""

    is_decided: bool = False

    def is_over(self, message: Message) -> bool:
        """Take in a server's message and tell whether the transaction has ended, one way or the other."""
        if message.kind == b"E" or (message.kind == b"C" and message.body.startswith((b"COMMIT", b"ROLLBACK"))):
            self.is_decided = True
        return self.is_decided and message.kind == b"Z"
