"""The seal: why a database takes no writes of any Comporta, and what is said then.

When data moves to another database there are two copies for a while, and one too many for ever; if both
were synced, each would be a little wrong. So the old one is sealed before the first row is copied, and the
new one until the last is compared. The seal is a table, ``cmp_seal``, and triggers on every table of the
ledger that refuse to write: the database itself keeps it, against versions of Comporta that know nothing of
it and processes that were running before. Rows cannot be synced either, as every batch ends with a write to
``cmp_scope``. Reading stays free, and other programs may do with mirrored rows what they like.

What differs between the databases is in ``sqlite_seal`` and ``postgres_seal``. Both fail closed: where a
trigger finds no row in ``cmp_seal`` it refuses. Only a move writes to a sealed ledger: its transaction opens
the gate (``is_shut``) first and shuts it before COMMIT, so that nobody else ever sees it open.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from comporta.core.instant import BEGINNING, short_text
from comporta.errors import DatabaseSealed

MARK = "comporta sealed"
"""How an SQLite trigger's refusal begins; the state follows, and the words."""
UNFINISHED_STEP = (
    "Give the same `comporta migrate-database FROM TO` again, which goes on with the move; with --abandon it is taken"
    " back, and the old database is as before."
)
_TOLD = re.compile(rf"{MARK} \((\w+)\): (.*)", re.DOTALL)


class State(StrEnum):
    """Which part a sealed database has in a move: the old one before and after its end, the new one before."""

    MOVING = "moving"
    MOVED = "moved"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True)
class Seal:
    """What is sealed for which move; ``other`` is the other database's address, its password masked."""

    state: State
    other: str
    move: str
    at: datetime

    @property
    def words(self) -> str:
        """Say what has happened, in a part of a sentence."""
        at = short_text(self.at)
        return {
            State.MOVING: f"its data is being moved to {self.other}, since {at}",
            State.MOVED: f"its data was moved to {self.other}, at {at}",
            State.INCOMPLETE: f"it holds an unfinished copy of {self.other}, begun at {at}",
        }[self.state]


UNREADABLE = Seal(State.MOVED, "another database (its seal was changed by hand)", "", BEGINNING)
"""What a seal counts as whose row is gone: it still holds."""


def seal_facts(seal: Seal | None) -> dict[str, object]:
    """Return what a person who looks at the database is told, nothing of an open one."""
    return {"sealed": seal.words} if seal is not None else {}


def seal_problems(seal: Seal | None) -> list[str]:
    """Return what a person should see to, nothing of an open database."""
    return [f"{seal.words}; nothing is written here. {_step(seal.state)}"] if seal is not None else []


def refusal(seal: Seal, where: str) -> DatabaseSealed:
    """Return the error that says why nothing is written here, and what to do."""
    return _refusal(seal.state, seal.words, where)


def refusal_from(text: str, where: str) -> DatabaseSealed | None:
    """Return the error that the words of an SQLite trigger stand for, ``None`` if they are somebody else's."""
    told = _TOLD.fullmatch(text)
    return _refusal(State(told[1]), told[2], where) if told else None


def trigger_text(seal: Seal) -> str:
    """Return what an SQLite trigger says."""
    return f"{MARK} ({seal.state}): {seal.words}"


def _refusal(state: State, words: str, where: str) -> DatabaseSealed:
    return DatabaseSealed(f"{where}: {words}; nothing is written here", next_step=_step(state))


def _step(state: State) -> str:
    return DatabaseSealed.next_step if state is State.MOVED else UNFINISHED_STEP
