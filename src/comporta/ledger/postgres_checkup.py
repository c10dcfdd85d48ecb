"""Looking at a PostgreSQL database without changing it: for ``comporta doctor``.

Also at what a managed server shows to the internet: the ledger and the mirrored tables must not be in it.
"""

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import psycopg
from psycopg.rows import dict_row

from comporta.core.instant import BEGINNING
from comporta.ledger.accounts import accounts
from comporta.ledger.checkup import Checkup
from comporta.ledger.postgres import PostgresSession
from comporta.ledger.postgres_address import Address, is_pooled
from comporta.ledger.postgres_errors import explained
from comporta.ledger.postgres_schema import connect, looking, revision_of
from comporta.ledger.postgres_seal import seal_of
from comporta.ledger.seal import seal_facts, seal_problems
from comporta.ledger.secrets import closed_by

OLDEST = 15
"""The oldest PostgreSQL that is tested."""
# reserved_connections is there since version 16; a limit of -1 is none.
_SERVER = """
SELECT clock_timestamp() AS clock,
  current_setting('server_version') AS version, current_setting('server_version_num')::int / 10000 AS major,
  pg_database_size(current_database()) AS size, current_setting('server_encoding') AS encoding,
  current_setting('default_transaction_read_only') = 'on' OR pg_is_in_recovery() AS is_read_only,
  current_database() AS database, current_user AS who,
  has_database_privilege(current_database(), 'CREATE') AS may_create,
  has_database_privilege(current_database(), 'TEMPORARY') AS may_temporary,
  (SELECT count(*) FROM pg_stat_activity WHERE datid IS NOT NULL) AS connected,
  current_setting('max_connections')::int AS most,
  least(
    current_setting('max_connections')::int - CASE WHEN r.rolsuper THEN 0
      ELSE current_setting('superuser_reserved_connections')::int
        + coalesce(current_setting('reserved_connections', true), '0')::int END,
    nullif(r.rolconnlimit, -1), nullif(d.datconnlimit, -1)) AS for_us
FROM pg_roles r, pg_database d WHERE r.rolname = current_user AND d.datname = current_database()
"""
_SCHEMAS = """
SELECT wanted.name, n.oid IS NOT NULL AS is_there,
  n.oid IS NOT NULL AND has_schema_privilege(n.oid, 'USAGE') AND has_schema_privilege(n.oid, 'CREATE') AS is_usable
FROM unnest(%s::text[]) AS wanted(name) LEFT JOIN pg_namespace n ON n.nspname = wanted.name ORDER BY 1
"""
_EXPOSED = """
SELECT string_agg(DISTINCT split_part(setting, '=', 2), ',') AS schemas
FROM pg_db_role_setting, unnest(setconfig) AS setting
WHERE setting LIKE 'pgrst.db_schemas=%%'
"""
"""The schemas that Supabase's Data API shows to the internet, where they are kept with its own role."""
_READABLE = """
SELECT r.rolname AS role, n.nspname AS schema, count(*) AS tables, min(c.relname) AS example
FROM pg_roles r, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE r.rolname IN ('anon', 'authenticated') AND n.nspname = ANY(%s) AND c.relkind IN ('r', 'p', 'v', 'm')
  AND has_schema_privilege(r.oid, n.oid, 'USAGE') AND has_table_privilege(r.oid, c.oid, 'SELECT')
  AND NOT c.relrowsecurity
GROUP BY 1, 2 ORDER BY 1, 2
"""
"""What the roles of a Data API may read: they are there on Supabase, and everybody on the internet is one."""
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the settings want of the database: the schema of the mirrored tables, connections, runs at once."""

    schema: str
    pool_size: int
    workers: int

    @property
    def schemas(self) -> list[str]:
        """Return every schema of ours."""
        return [self.schema, "comporta"]


def examine(address: Address, wanted: Wanted) -> Checkup:
    """Look at the database at ``address``."""
    try:
        with closing(connect(address)) as connection:
            through_pooler = is_pooled(connection)
            with looking(connection):
                revision = revision_of(connection)
                seal = seal_of(connection)
                server = _rows(connection, _SERVER)[0] | {"through_pooler": through_pooler}
                exposed = _rows(connection, _EXPOSED)[0]["schemas"]
                return Checkup(
                    address.shown,
                    exists=True,
                    revision=revision,
                    facts=_facts(server, wanted)
                    | {"tls": connection.pgconn.ssl_in_use, "sslmode": address.sslmode}
                    | {"data_api_schemas": exposed or "none known"}
                    | seal_facts(seal),
                    problems=(
                        *_problems(server, wanted),
                        *_rights(server, _rows(connection, _SCHEMAS, wanted.schemas)),
                        *_shown(exposed or "", _rows(connection, _READABLE, wanted.schemas), wanted),
                        *seal_problems(seal),
                    ),
                    accounts=accounts(PostgresSession(connection, BEGINNING)) if revision is not None else {},
                    secrets=closed_by(PostgresSession(connection, BEGINNING)) if revision is not None else {},
                    clock=server["clock"].astimezone(UTC),
                )
    except psycopg.Error as error:
        raise explained(error, address) from error


def _rows(connection: "psycopg.Connection[Any]", query: str, *values: object) -> list[Row]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode(), values).fetchall()


def _facts(server: Row, wanted: Wanted) -> dict[str, object]:
    turns = "" if wanted.pool_size >= wanted.workers else ", which take turns"
    return {
        "postgresql": server["version"],
        "database_mb": round(server["size"] / 2**20, 3),
        "encoding": server["encoding"],
        "read_only": server["is_read_only"],
        "through_pooler": server["through_pooler"],
        "connections": f"{server['connected']} of {server['most']}; {server['for_us']} for {server['who']}",
        "pool_size": f"{wanted.pool_size} for {wanted.workers} runs at once{turns}",
    }


def _problems(server: Row, wanted: Wanted) -> list[str]:
    found = []
    if server["major"] < OLDEST:
        found.append(f"the server is PostgreSQL {server['version']}; expected {OLDEST} or newer")
    if server["encoding"] != "UTF8":
        found.append(f"the database's encoding is {server['encoding']}; expected UTF8: make one with ENCODING 'UTF8'")
    if server["is_read_only"]:
        found.append(
            "the server is read-only (a replica, a full disk, a paused project): nothing can be synced into it"
        )
    # What a pooler lets in it does not tell.
    if not server["through_pooler"] and wanted.pool_size > server["for_us"]:
        found.append(
            f"[postgres] pool_size is {wanted.pool_size}, but the server lets {server['who']} have"
            f" {server['for_us']} connections at most: lower pool_size, or raise the limit there"
        )
    return found


def _rights(server: Row, schemas: list[Row]) -> list[str]:
    """Return what the user is not allowed to do, each with the statement that allows it."""
    who, database = server["who"], server["database"]
    found = []
    missing = [each["name"] for each in schemas if not each["is_there"]]
    if missing and not server["may_create"]:
        found.append(
            f"{who} may not make the schema {' and '.join(missing)}: GRANT CREATE ON DATABASE {database} TO {who}"
        )
    found += [
        f"{who} may not make tables in the schema {name}: GRANT USAGE, CREATE ON SCHEMA {name} TO {who}"
        for name in (each["name"] for each in schemas if each["is_there"] and not each["is_usable"])
    ]
    if not server["may_temporary"]:
        found.append(
            f"{who} may not make temporary tables, through which changed rows pass:"
            f" GRANT TEMPORARY ON DATABASE {database} TO {who}"
        )
    return found


def _shown(exposed: str, readable: list[Row], wanted: Wanted) -> list[str]:
    """Return what a Data API shows of ours."""
    named = {name.strip() for name in exposed.split(",")} & set(wanted.schemas)
    found = [f"schema {name} is among those of the Data API: take it out there" for name in sorted(named)]
    found += [
        f"the Data API's role {each['role']} may read the schema {each['schema']}"
        f" ({each['tables']} of its tables and views, {each['example']} for one):"
        f" REVOKE USAGE ON SCHEMA {each['schema']} FROM {each['role']}"
        for each in readable
    ]
    return found
