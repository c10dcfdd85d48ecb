"""Moving everything from one database to another, such that two copies are never synced at once.

    FROM   ── seal "moving" ──────────────────────────────────────── seal "moved" ──>
    TO          seal "incomplete" ── copy ── compare every row ────────── lift the seal ──>

At every moment one of the two is sealed: nobody syncs into half a copy, and nobody into the old one once it
was copied. The seals carry the move's number. A move that was killed anywhere goes on when it is called
again: what is copied of each table stands in the new database, written in the transactions that copy.
Everything said to a database here may be said twice, for the answer to a COMMIT may be lost.

Busy is judged in the transaction that seals FROM: with the seal in place no lease is ever taken again, so a
run either is seen there or never begins. TO loses its seal last, after FROM is sealed for good.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from secrets import token_hex

from comporta.core.instant import short_text
from comporta.errors import Busy, WrongUse
from comporta.ledger import leases
from comporta.ledger.rows import lease_row_from
from comporta.ledger.seal import Seal, State, refusal
from comporta.ledger.session import Session
from comporta.moving.compare import compare
from comporta.moving.copying import Teller, copy_part
from comporta.moving.parts import Part, ledger_parts
from comporta.moving.sides import Found, Side, make_progress, settled
from comporta.moving.values import Sum
from comporta.ports.clock import Clock

TAKE_BACK = "Take that back with `comporta migrate-database FROM TO --abandon`, or give TO another name."


@dataclass(frozen=True, slots=True)
class Moved:
    """What was moved: every table with its rows and sum, and what stayed behind, in words."""

    sums: dict[str, Sum]
    left_behind: list[str]
    took: timedelta

    @property
    def rows(self) -> int:
        """Return how many rows there are in all tables."""
        return sum(each.rows for each in self.sums.values())


def move(source: Side, target: Side, *, clock: Clock, tell: Callable[[str], None]) -> Moved:
    """Move everything, or go on with a move that was begun; return what was moved."""
    began_s = clock.monotonic()
    if source.is_same_as(target):
        raise WrongUse(f"{target.database.where} is {source.database.where} itself; expected two databases")
    number = agreed(seal_of(source), seal_of(target), source.database.where, target.database.where)
    _refuse_half_found(_mirrored(source), source, target)
    if number is None:
        target.database.read(lambda session: _refuse_used(target, session))
        number = token_hex(8)
    _begin(source, target, number)
    found = _mirrored(source)
    parts, teller = [*ledger_parts(), *found.parts], Teller(tell, clock)
    for part in parts:
        copy_part(source, target, part, number=number, teller=teller)
    settled(target.database, lambda session: _settle(target, session, parts))
    tell("Comparing every row of the two.")
    sums = compare(source, target, parts, teller)
    _finish(source, target, number)
    return Moved(sums, found.left_behind, timedelta(seconds=clock.monotonic() - began_s))


def seal_of(side: Side) -> Seal | None:
    """Return a side's seal."""
    return side.database.read(lambda session: side.seals.seal_of(session.connection))


def agreed(ours: Seal | None, theirs: Seal | None, source: str, target: str) -> str | None:
    """Return the number of the move that the two seals are of, ``None`` if there is none yet; refuse any other."""
    if ours is None and theirs is None:
        return None
    if ours is not None and ours.state is not State.INCOMPLETE:
        if theirs is not None and theirs.state is State.INCOMPLETE and theirs.move == ours.move:
            return ours.move
        if theirs is None and ours.state is State.MOVING and ours.other == target:
            return ours.move
        if ours.state is State.MOVED:
            raise refusal(ours, source)
        message = f"{source}: {ours.words}; this would be another move, to {target}"
        raise WrongUse(message, next_step=f"Go on with the move to {ours.other}, or take it back with --abandon.")
    if ours is not None:
        raise refusal(ours, source)
    assert theirs is not None, "not both are open"  # noqa: S101  for mypy
    if theirs.state is State.INCOMPLETE:
        raise WrongUse(f"{target}: {theirs.words}, which is not this move", next_step=TAKE_BACK)
    raise refusal(theirs, target)


def holders(session: Session) -> list[str]:
    """Return who holds a lease now, in words."""
    rows = [lease_row_from(row) for row in session.all("leases", {})]
    return [
        f"{each.scope} by run {each.holder} on {each.instance} until {short_text(each.expires_at)}"
        for each in rows
        if each.holder is not None and each.expires_at is not None and each.expires_at > session.now
    ]


def refuse_busy(session: Session, where: str) -> None:
    """Raise if anybody holds a lease."""
    living = holders(session)
    if living:
        raise Busy(
            f"{where}: {len(living)} running: {'; '.join(living)}",
            next_step="Let them end, or stop what starts them (cron, a timer, a service), then give the command again.",
        )


def _begin(source: Side, target: Side, number: str) -> None:
    """Seal both sides, whatever of it was not done before."""
    at_source, at_target = source.database.where, target.database.where

    def seal_source(session: Session) -> None:
        if _is_sealed(source, session, number):
            return
        leases.reap(session)
        refuse_busy(session, at_source)
        source.seals.put_seal(session.connection, Seal(State.MOVING, at_target, number, session.now))

    def seal_target(session: Session) -> None:
        if _is_sealed(target, session, number):
            return
        _refuse_used(target, session)
        target.seals.put_seal(session.connection, Seal(State.INCOMPLETE, at_source, number, session.now))
        make_progress(target, session)

    settled(source.database, seal_source)
    settled(target.database, seal_target)


def _is_sealed(side: Side, session: Session, number: str) -> bool:
    """Say whether this move has sealed a side already, nobody writing to it meanwhile; refuse another's seal."""
    side.seals.wait_for_writers(session.connection)
    present = side.seals.seal_of(session.connection)
    if present is not None and present.move != number:
        raise refusal(present, side.database.where)
    return present is not None


def _mirrored(side: Side) -> Found:
    return side.database.read(lambda session: side.mirrored(session.connection))


def _refuse_used(target: Side, session: Session) -> None:
    """Raise unless the new database has nothing of Comporta's but empty tables of the ledger."""
    used = [part.table for part in ledger_parts() if target.ask(session, f"SELECT 1 FROM {part.table} LIMIT 1")]
    found = target.mirrored(session.connection)
    used += [part.table for part in found.parts]
    if used:
        raise WrongUse(
            f"{target.database.where} has data of Comporta's already ({', '.join(used[:5])}); expected none",
            next_step="Give another database, or an empty file or schema: what is there is not merged.",
        )


def _refuse_half_found(found: Found, source: Side, target: Side) -> None:
    """Raise if there must be tables that were not found, or names that are not the whole ones."""
    covered = source.database.read(lambda session: source.ask(session, "SELECT 1 FROM cmp_coverage LIMIT 1"))
    if covered and not found.parts:
        raise WrongUse(
            f"{source.database.where}: there are streams, and no mirrored table was found",
            next_step="In PostgreSQL they stand in the schema that `schema` in comporta.toml names: correct it.",
        )
    if found.shortened and not target.is_postgres:  # where they would not be shortened again
        raise WrongUse(
            f"{source.database.where}: the whole names of these are not known: {', '.join(found.shortened)}",
            next_step=(
                "Say what they are: COMMENT ON COLUMN (or TABLE) … IS 'whole name: NAME', with the field's name at the"
                " source, or with the same name where it is the whole one. Then give the command again."
            ),
        )


def _settle(target: Side, session: Session, parts: list[Part]) -> None:
    for part in parts:
        target.settle(session.connection, part)


def _finish(source: Side, target: Side, number: str) -> None:
    """Seal the old database for good, and open the new one after that."""

    def is_ours(side: Side, session: Session) -> bool:
        present = side.seals.seal_of(session.connection)
        return present is not None and present.move == number

    def seal_source(session: Session) -> None:
        source.seals.wait_for_writers(session.connection)
        if not is_ours(source, session):
            raise _taken_back(source)
        moved = Seal(State.MOVED, target.database.where, number, session.now)
        source.seals.put_seal(session.connection, moved)

    def open_target(session: Session) -> None:
        target.seals.wait_for_writers(session.connection)
        if target.seals.seal_of(session.connection) is None:
            return
        if not is_ours(target, session):
            raise _taken_back(target)
        target.seals.lift_seal(session.connection)
        target.ask(session, "DROP TABLE cmp_move")

    settled(source.database, seal_source)
    settled(target.database, open_target)
    if not source.database.read(lambda session: is_ours(source, session)):
        raise _taken_back(source)  # and the copy, whose seal was not there any more, is dropped


def _taken_back(side: Side) -> WrongUse:
    return WrongUse(f"{side.database.where}: somebody took the move back meanwhile", next_step="Begin again if wanted.")
