"""An account under another name, or gone: its rows, its ledger and its secrets.

A rename is one transaction. Of what is removed the ledger goes first, in one, so that no coverage speaks of rows that
are gone; the rows follow in portions, since a million in one would keep SQLite's only writer for a minute, and
PostgreSQL ends a statement that takes longer. Each portion sees to it that nobody has worked with the account since;
who was cut short finds the rest when the command is given again.

Which tables of the ledger have something of an account is read from their columns, so that a table that comes later
is not forgotten. A scope that is renamed takes its epoch along: who held it under the old name finds no row to write
under. One that is removed keeps its epoch, or an old holder could pass for a new one. Alerts are not renamed: what is
still so is told anew.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from comporta.bootstrap.databases import ledger_key, open_database
from comporta.core.instant import instant_text
from comporta.destinations.account_views import DEALS
from comporta.errors import Busy, WrongUse
from comporta.ledger.rows import instant_from
from comporta.ledger.secrets import get_secret, put_secret
from comporta.ledger.session import Session
from comporta.ledger.tables import ledger_tables
from comporta.moving.looks import ALIVE
from comporta.moving.opening import side_of
from comporta.moving.parts import Cells, Part
from comporta.moving.sides import Side, settled
from comporta.ports.clock import Clock
from comporta.settings.tree import Settings

T = TypeVar("T")
Standing = Sequence[tuple[Any, ...]]
"""The scopes of an account with their epochs and commits."""
SCOPED = tuple(table.name for table in ledger_tables() if "scope" in table.columns)
NAMED = tuple(table.name for table in ledger_tables() if "account" in table.columns and table.name != "cmp_alert")
KEPT = frozenset({"cmp_scope", "cmp_run"})
"""What stays of an account that is removed: epochs for ever, history until its retention."""
OF_SCOPES = "substr(scope, 1, ?) = ?"
PORTION_ROWS = 2_000
"""Rows that one transaction deletes: a fraction of a second, for which a click of somebody else can wait."""


@dataclass(frozen=True, slots=True)
class Touched:
    """How many mirrored rows were renamed, deleted or left, by table; tables without any are left out."""

    rows: dict[str, int]

    @property
    def total(self) -> int:
        """Return the rows of all tables."""
        return sum(self.rows.values())


def rows_of(settings: Settings, account: str, clock: Clock) -> Touched:
    """Return how many mirrored rows an account has."""
    with closing(open_database(settings, clock)) as database:
        side = side_of(settings, database)
        return database.read(lambda session: _rows(side, session, account))


def is_known(settings: Settings, account: str, clock: Clock) -> bool:
    """Say whether the database has anything of an account."""
    with closing(open_database(settings, clock)) as database:
        side = side_of(settings, database)
        return database.read(lambda session: _known(side, session, account) or bool(_rows(side, session, account).rows))


def rename(settings: Settings, old: str, new: str, clock: Clock) -> Touched:
    """Give an account another name; refuse one that is taken, and while anybody works with the account."""

    def work(side: Side, session: Session) -> Touched:
        if not _known(side, session, old) and old not in settings.accounts and _known(side, session, new):
            return _rows(side, session, new)  # done by a transaction whose COMMIT was not answered
        _refuse_busy(side, session, old)
        _refuse_taken(side, session, new)
        touched = _rows(side, session, old)
        length = len(old) + 1
        for table in SCOPED:
            statement = f"UPDATE {table} SET scope = ? || substr(scope, ?) WHERE {OF_SCOPES}"
            side.ask(session, statement, new, length, length, f"{old}/")
        for table in NAMED:
            side.ask(session, f"UPDATE {table} SET account = ? WHERE account = ?", new, old)
        side.ask(session, "UPDATE cmp_account SET name = ? WHERE name = ?", new, old)
        side.ask(session, "DELETE FROM cmp_alert WHERE account = ?", old)
        _rename_secrets(side, session, settings, old, new)
        for part in _parts(side, session):
            side.ask(session, f"UPDATE {side.called(part)} SET account = ? WHERE account = ?", new, old)
        _renew_views(side, session, old)
        return touched

    return _done(settings, clock, work)


def remove(settings: Settings, account: str, clock: Clock, *, is_with_rows: bool) -> Touched:
    """Forget an account: what was typed in, its keys, its coverage; with its rows, or without.

    Where it is cut short, rows are left, and the same again deletes them.
    """

    def work(side: Side, session: Session) -> Standing:
        standing = _standing(side, session, account)
        _refuse_busy(side, session, account)
        side.ask(session, "DELETE FROM cmp_run WHERE account = ? AND state = 'queued'", account)
        # The run of a stream's newest tick is kept for ever; of a stream that is gone it shall not be.
        side.ask(session, "UPDATE cmp_run SET scheduled_for = NULL WHERE account = ?", account)
        for table in SCOPED:
            if table not in KEPT:
                side.ask(session, f"DELETE FROM {table} WHERE {OF_SCOPES}", len(account) + 1, f"{account}/")
        for table in (*NAMED, "cmp_alert"):
            if table not in KEPT:
                side.ask(session, f"DELETE FROM {table} WHERE account = ?", account)
        side.ask(session, "DELETE FROM cmp_account WHERE name = ?", account)
        side.ask(session, "DELETE FROM cmp_secret WHERE substr(id, 1, ?) = ?", len(account) + 1, f"{account}/")
        if is_with_rows:
            side.forget_views(session.connection, account)
        return standing

    with closing(open_database(settings, clock)) as database:
        side = side_of(settings, database)
        touched = database.read(lambda session: _rows(side, session, account))  # a while, in which others may write
        standing = settled(database, lambda session: work(side, session))
        if is_with_rows:
            _Deletion(side, account, standing).carry_out()
    return touched


@dataclass(frozen=True, slots=True)
class _Deletion:
    """The rows of an account, which go in portions for as long as nobody begins the account anew."""

    side: Side
    account: str
    standing: Standing

    def carry_out(self) -> None:
        """Delete the rows, and then what shows them."""
        for part in self.side.database.read(lambda session: _parts(self.side, session)):
            after: Cells = ()
            while bound := settled(self.side.database, partial(self._portion, part, after)):
                after = bound
        settled(self.side.database, self._end)

    def _portion(self, part: Part, after: Cells, session: Session) -> Cells:
        """Delete rows that follow a key, and return the key of the last; nothing when there were none left."""
        self._refuse_anew(session)
        table, key = self.side.called(part), self.side.column(part.key[-1])
        where, values = "account = ?", (self.account, *after)
        if after:  # what was deleted before is not walked over again
            where += f" AND {key} > ?"
        keys = f"SELECT {key} FROM {table} WHERE {where} ORDER BY {key} LIMIT {PORTION_ROWS:d}"
        (last,) = self.side.ask(session, f"SELECT max({key}) FROM ({keys}) AS portion", *values)
        if last == (None,):
            return ()
        self.side.ask(session, f"DELETE FROM {table} WHERE {where} AND {key} <= ?", *values, *last)
        return last

    def _end(self, session: Session) -> None:
        self._refuse_anew(session)
        _renew_views(self.side, session, self.account)

    def _refuse_anew(self, session: Session) -> None:
        _refuse_busy(self.side, session, self.account)
        if _standing(self.side, session, self.account) != self.standing:
            name = self.account
            message = f"account {name!r}: a run of it has begun while its rows were being deleted; some are still there"
            step = f"Take the account out of the settings, then give `comporta account remove {name}` again."
            raise Busy(message, next_step=step)


def _standing(side: Side, session: Session, account: str) -> Standing:
    """Return what changes with every run that begins, and every batch; no run can begin for the transaction's time."""
    lock = " FOR UPDATE" if side.is_postgres else ""
    query = f"SELECT scope, epoch, commits FROM cmp_scope WHERE {OF_SCOPES} ORDER BY scope{lock}"
    return side.ask(session, query, len(account) + 1, f"{account}/")


def _done(settings: Settings, clock: Clock, work: Callable[[Side, Session], T]) -> T:
    with closing(open_database(settings, clock)) as database:
        side = side_of(settings, database)
        return settled(database, lambda session: work(side, session))


def _parts(side: Side, session: Session) -> list[Part]:
    return side.mirrored(session.connection).parts


def _rows(side: Side, session: Session, account: str) -> Touched:
    counted = {
        part.table: side.ask(session, f"SELECT count(*) FROM {side.called(part)} WHERE account = ?", account)[0][0]
        for part in _parts(side, session)
    }
    return Touched({table: count for table, count in counted.items() if count})


def _known(side: Side, session: Session, account: str) -> bool:
    """Say whether the ledger has anything of an account."""
    found = side.ask(session, f"SELECT 1 FROM cmp_scope WHERE {OF_SCOPES} LIMIT 1", len(account) + 1, f"{account}/")
    return bool(found or side.ask(session, "SELECT 1 FROM cmp_account WHERE name = ?", account))


def _refuse_taken(side: Side, session: Session, name: str) -> None:
    if _known(side, session, name) or _rows(side, session, name).total:
        message = f"account {name!r}: the database has data under that name already; two accounts are not merged"
        raise WrongUse(message, next_step="Choose another name, or remove that account first.")


def _refuse_busy(side: Side, session: Session, account: str) -> None:
    """Raise while a run of the account lives, or a server that would start one; its scopes are locked meanwhile."""
    lock = " FOR UPDATE" if side.is_postgres else ""
    query = f"SELECT scope, expires_at FROM cmp_scope WHERE {OF_SCOPES} AND holder IS NOT NULL ORDER BY scope{lock}"
    held = side.ask(session, query, len(account) + 1, f"{account}/")
    living = [f"{scope} is held by a run" for scope, at in held if (until := instant_from(at)) and until > session.now]
    seen = instant_text(session.now - ALIVE)
    query = "SELECT instance FROM cmp_instance WHERE ended_at IS NULL AND seen_at > ? ORDER BY instance"
    living += [f"{instance} is at work" for (instance,) in side.ask(session, query, seen)]
    if living:
        step = "Stop `comporta serve` and what starts runs, or let them end; then give the command again."
        raise Busy(f"account {account!r}: somebody works with it: {'; '.join(living)}", next_step=step)


def _rename_secrets(side: Side, session: Session, settings: Settings, old: str, new: str) -> None:
    """Close each secret anew: its id is a part of what it is closed with."""
    found = side.ask(session, "SELECT id FROM cmp_secret WHERE substr(id, 1, ?) = ?", len(old) + 1, f"{old}/")
    if not found:
        return
    key = ledger_key(settings, create=False)
    for (name,) in found:
        text = get_secret(session, key, secret_id=name)
        put_secret(session, key, secret_id=new + name.removeprefix(old), secret=text)
        side.ask(session, "DELETE FROM cmp_secret WHERE id = ?", name)


def _renew_views(side: Side, session: Session, account: str) -> None:
    """Drop the views of a name that has no rows any more; make those of the names that have."""
    side.forget_views(session.connection, account)
    for part in _parts(side, session):
        if part.table == DEALS:
            side.settle(session.connection, part)
