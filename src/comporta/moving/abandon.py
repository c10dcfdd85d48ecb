"""Taking a move back: the old database is as before, and the unfinished copy goes.

The copy is disowned first: from then on the move that made it, should it still run somewhere, can neither
write to it nor open it. Then the old database is opened, and only then the copy is dropped. So it may be
killed anywhere and given again, and there is no moment at which both databases are open.
"""

from dataclasses import replace

from comporta.errors import WrongUse
from comporta.ledger.seal import Seal, State
from comporta.ledger.session import Session
from comporta.moving.move import seal_of
from comporta.moving.sides import Side, mirrored_begun, settled

DISOWNED = " taken back"
"""What the number of a move ends with whose copy is to be dropped."""
ENDED_STEP = "To go back, move the other way: `comporta migrate-database TO NEW`, where NEW is another, empty database."


def abandon(source: Side, target: Side) -> None:
    """Take a move back; ``refuse_abandon`` says whether it may be."""
    ours, theirs = seal_of(source), seal_of(target)
    refuse_abandon(ours, theirs, source.database.where, target.database.where)
    if theirs is not None:
        settled(target.database, lambda session: _disown(target, session, theirs))
    if ours is not None:
        reopen(source, ours)
    if theirs is not None:
        settled(target.database, lambda session: _drop(target, session))


def reopen(source: Side, seal: Seal) -> None:
    """Lift the seal of the old database."""
    settled(source.database, lambda session: _lift(source, session, seal.move))


def refuse_abandon(ours: Seal | None, theirs: Seal | None, source: str, target: str) -> None:
    """Raise unless the two seals are of one unfinished move, or what is left of one."""
    if ours is None and theirs is None:
        raise WrongUse(f"{source} is not being moved to {target}", next_step="Nothing needs to be taken back.")
    if theirs is None:
        refuse_reopen(ours, source, target)
    elif theirs.state is not State.INCOMPLETE or (ours is not None and ours.state is State.INCOMPLETE):
        raise WrongUse(f"{target} is not an unfinished copy of {source}", next_step="Give FROM and TO as for the move.")
    elif ours is None and theirs.other != source:
        raise WrongUse(f"{target}: {theirs.words}, not of {source}", next_step="Give FROM and TO as for the move.")
    elif ours is not None and ours.move != theirs.move.removesuffix(DISOWNED):
        raise WrongUse(f"{source}: {ours.words}; {target}: {theirs.words}", next_step="Give the two of one move.")


def refuse_reopen(ours: Seal | None, source: str, target: str) -> None:
    """Raise unless the old database may be opened without a look at the new one: it was never finished."""
    if ours is None or ours.state is State.INCOMPLETE:
        raise WrongUse(f"{source} is not being moved to {target}", next_step="Give FROM and TO as for the move.")
    if ours.state is State.MOVED:
        message = f"{source}: {ours.words}; the move has ended, and the other database may have been written since"
        raise WrongUse(message, next_step=ENDED_STEP)
    if ours.other != target:
        raise WrongUse(f"{source}: {ours.words}, not to {target}", next_step="Give FROM and TO as for the move.")


def _disown(target: Side, session: Session, seal: Seal) -> None:
    target.seals.wait_for_writers(session.connection)
    present = target.seals.seal_of(session.connection)
    if present is None or present.move.removesuffix(DISOWNED) != seal.move.removesuffix(DISOWNED):
        raise WrongUse(f"{target.database.where}: the move has ended meanwhile", next_step=ENDED_STEP)
    disowned = replace(present, move=present.move.removesuffix(DISOWNED) + DISOWNED)
    target.seals.put_seal(session.connection, disowned)


def _lift(source: Side, session: Session, move: str) -> None:
    source.seals.wait_for_writers(session.connection)
    present = source.seals.seal_of(session.connection)
    if present is not None and present.move == move:
        source.seals.lift_seal(session.connection)


def _drop(target: Side, session: Session) -> None:
    if target.seals.seal_of(session.connection) is None:
        return
    tables = mirrored_begun(target, session)
    target.seals.lift_seal(session.connection)
    target.drop(session.connection, tables)
