"""The log of the budgets on PostgreSQL: an unlogged table, by the server's clock, on a connection of its own.

Two statements for a round, each a transaction by itself, so a pooler per transaction is as good as any, and no
lock outlives a statement. After a crash the server empties such a table. So a budget that is not there may have
been lost with all that was sent: it begins by waiting a span. A lost connection is made again once; a database
that cannot be reached is an error of the request that asks, never a licence to send.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import psycopg

from comporta.ledger.budget_log import Row
from comporta.ledger.postgres_address import Address
from comporta.ledger.postgres_cut import cut_after
from comporta.ledger.postgres_errors import explained, is_connection_lost
from comporta.ledger.postgres_schema import connect

LOOK = """
SELECT asked.key, budget.version, budget.state, extract(epoch FROM comporta.cmp_now())::float8
FROM unnest(%s::text[]) AS asked(key) LEFT JOIN comporta.cmp_budget AS budget ON budget.key = asked.key
"""
PUT = """
INSERT INTO comporta.cmp_budget AS budget (key, version, state)
SELECT * FROM unnest(%s::text[], %s::bigint[], %s::bytea[]) AS told(key, version, state) ORDER BY told.key
ON CONFLICT (key) DO UPDATE SET version = excluded.version, state = excluded.state
WHERE budget.version = excluded.version - 1
RETURNING budget.key
"""
"""In the order of the keys, so that two processes never wait for each other."""
ANSWER_MAX = timedelta(seconds=20)
"""What takes so long waits for something that is stopped, at the server or beside it: the connection is cut."""
T = TypeVar("T")
Connection = psycopg.Connection[Any]


class BudgetTable:
    """The table; see ``ledger.budget_log.Shelf``."""

    is_forgetful = True

    def __init__(self, address: Address, *, longest: timedelta = ANSWER_MAX) -> None:
        self.connection = connect(address)
        self._address = address
        self._longest = longest

    def look(self, keys: Sequence[str]) -> tuple[Mapping[str, Row], float]:
        """Return the rows that are there, and the instant by the server's clock."""
        found = self._done(lambda connection: connection.execute(LOOK, (list(keys),)).fetchall())
        return {key: Row(version, bytes(state)) for key, version, state, _ in found if version}, max(
            now for *_, now in found
        )

    def put(self, rows: Mapping[str, Row]) -> Iterable[str]:
        """Write those rows whose version follows the present one, and return their keys.

        Where a connection is lost it may have been written: then the repetition writes nothing, the state is
        decided anew, and at worst one place is wasted.
        """
        values = (list(rows), [row.version for row in rows.values()], [row.state for row in rows.values()])
        return [key for (key,) in self._done(lambda connection: connection.execute(PUT, values).fetchall())]

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def _done(self, work: Callable[[Connection], T]) -> T:
        try:
            try:
                with cut_after(self.connection, self._longest):
                    return work(self.connection)
            except psycopg.Error as error:
                if not is_connection_lost(error) and not self.connection.closed:
                    raise
            self.connection.close()
            self.connection = connect(self._address)
            with cut_after(self.connection, self._longest):
                return work(self.connection)
        except psycopg.Error as error:
            raise explained(error, self._address) from error
