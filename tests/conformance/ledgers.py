"""A ledger on PostgreSQL whose clock is the test's: the suites move it, and no server waits for real time.

The server reads the hour from a setting of the transaction, which takes nothing but another body for the
function that production asks.
"""

from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

from comporta.core.instant import instant_text
from comporta.destinations.postgres import PostgresDestination
from comporta.ledger.postgres import PoolLimits, PostgresDatabase
from comporta.ledger.postgres_address import Address
from comporta.ledger.postgres_schema import connect, migrate
from comporta.ledger.store import LedgerStore
from comporta.ports.clock import Clock

if TYPE_CHECKING:
    from tests.servers.postgres import PostgresServer

CLOCK = """
CREATE OR REPLACE FUNCTION comporta.cmp_now() RETURNS timestamptz LANGUAGE sql VOLATILE
AS $$ SELECT current_setting('comporta.now')::timestamptz $$
"""
_templates: dict[str, str] = {}


def ledger_template(server: "PostgresServer") -> str:
    """Return the name of a database with a ledger, made once for each worker and server."""
    if server.root_url not in _templates:
        name = server.create()
        address = Address.parse(server.url(name))
        with closing(connect(address)) as connection:
            migrate(connection, address)
            connection.execute(CLOCK)
        _templates[server.root_url] = name
    return _templates[server.root_url]


def open_postgres(url: str, clock: Clock, *, ttl: timedelta) -> LedgerStore:
    """Open the database once more, as another process would."""
    database = PostgresDatabase(
        Address.parse(url),
        PoolLimits(size=4, wait=timedelta(seconds=5)),
        clock,
        local=lambda: {"comporta.now": instant_text(clock.now())},
    )
    return LedgerStore(database, PostgresDestination(), ttl=ttl)
