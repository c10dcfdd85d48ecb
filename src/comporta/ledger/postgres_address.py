"""How to reach a PostgreSQL database: what libpq is told, and whether a pooler lends connections per transaction.

What is told is only what concerns the way there. A parameter for the server (``options``, a time zone) is
refused by poolers or, worse, kept for the pooler's next client: sessions are set up by ``SET LOCAL``.
Whether there is a pooler is known from the address or the settings, or is tried out on a connection.
"""

from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from comporta.core.postgres_url import PostgresUrl, shown_database, split_url
from comporta.errors import BadValue

if TYPE_CHECKING:
    import psycopg

CONNECT_TIMEOUT_S = 10
"""For each number that the host's name stands for."""
TCP_USER_TIMEOUT_MS = 30_000
"""How long sent data may stay unconfirmed: as long as a lease lives, for then another run takes over."""
KEEPALIVES_IDLE_S = 10
KEEPALIVES_INTERVAL_S = 5
KEEPALIVES_COUNT = 3
"""A server that vanished while we wait for its answer is noticed after 10 + 3 x 5 seconds, not after two hours."""
NOTICE = "SELECT {} WHERE pg_catalog.pg_backend_pid() = %s"
"""Set where the process that let us in answers, and nowhere else: a pooler would keep it for its next client."""
TRANSACTION_PORT = 6543
"""Where Supabase and those who copy it run their transaction pooler."""
SESSION_PORT = 5432
SUPABASE = (".supabase.co", ".supabase.com")


@dataclass(frozen=True, slots=True)
class Address:
    """Where the database is. ``pooler`` is what the settings say about what stands between."""

    url: PostgresUrl
    pooler: str = "auto"

    @classmethod
    def parse(cls, url: str, pooler: str = "auto") -> "Address":
        """Return the address that a URL stands for."""
        try:
            return cls(split_url(url), pooler)
        except ValueError as error:
            raise BadValue(f"database is {shown_database(url)!r}; expected {error}") from error

    @property
    def shown(self) -> str:
        """Return the address for messages, its password masked."""
        return self.url.shown

    @property
    def is_local(self) -> bool:
        """Say whether the server is this machine, so that nobody can listen between."""
        if self.url.is_socket:
            return True
        try:
            return ip_address(self.url.host.partition("%")[0]).is_loopback
        except ValueError:
            return self._name == "localhost" or self._name.endswith(".localhost")

    @property
    def is_supabase(self) -> bool:
        """Say whether it is one of Supabase's own host names."""
        return self._name.endswith(SUPABASE)

    @property
    def is_supabase_direct(self) -> bool:
        """Say whether it is the name that Supabase gives to one project's own server, which has IPv6 only."""
        return self.is_supabase and self._name.startswith("db.")

    @property
    def is_transaction_pooled(self) -> bool | None:
        """Say whether each transaction may meet another server process; ``None``: ask ``is_pooled`` when connected."""
        if self.pooler != "auto":
            return self.pooler == "transaction"
        if self.url.is_socket:
            return None
        if self.url.port == TRANSACTION_PORT:
            return True
        return False if self.is_supabase and self.url.port == SESSION_PORT else None

    @property
    def sslmode(self) -> str:
        """Return what libpq is told about TLS: required where somebody could listen, unless the URL says otherwise."""
        if mode := self.url.parameters.get("sslmode"):
            return mode
        if "sslrootcert" in self.url.parameters and not self.url.is_socket:
            return "verify-full"
        return "prefer" if self.is_local else "require"

    def conninfo(self) -> dict[str, Any]:
        """Return the arguments of ``psycopg.connect``."""
        url = self.url
        who = {"user": url.user, "password": url.password}
        return {
            "host": url.host,
            "port": url.port,
            "dbname": url.database,
            **{key: value for key, value in who.items() if value is not None},
            **url.parameters,
            "sslmode": self.sslmode,
            "application_name": "comporta",
            "connect_timeout": CONNECT_TIMEOUT_S,
            "tcp_user_timeout": TCP_USER_TIMEOUT_MS,
            "keepalives": 1,
            "keepalives_idle": KEEPALIVES_IDLE_S,
            "keepalives_interval": KEEPALIVES_INTERVAL_S,
            "keepalives_count": KEEPALIVES_COUNT,
        }

    @property
    def _name(self) -> str:
        return self.url.host.lower().rstrip(".")


def let_the_server_notice(connection: "psycopg.Connection[Any]") -> None:
    """Let the server notice as soon as we do that the other end is gone; behind a pooler that is the pooler's affair.

    By itself it keeps the connections of a machine that vanished for two hours, and after a few such cuts it has none
    left for anybody.
    """
    from psycopg import ProgrammingError

    told = {
        "tcp_keepalives_idle": KEEPALIVES_IDLE_S,
        "tcp_keepalives_interval": KEEPALIVES_INTERVAL_S,
        "tcp_keepalives_count": KEEPALIVES_COUNT,
        "tcp_user_timeout": TCP_USER_TIMEOUT_MS,
    }
    calls = ", ".join(f"pg_catalog.set_config('{name}', '{value}', false)" for name, value in told.items())
    with suppress(ProgrammingError):  # what only speaks as PostgreSQL does knows no such settings, and goes without
        connection.execute(NOTICE.format(calls), (connection.pgconn.backend_pid,), prepare=False)


def is_pooled(connection: "psycopg.Connection[Any]") -> bool:
    """Say whether a pooler stands between: the process that answers is not the one that let us in.

    A pooler lets clients in itself, and invents the process number that it names then. One that keeps a
    server connection for each client (session mode) is pooled too: it cannot be told from outside, and
    what works per transaction works there.
    """
    from psycopg.rows import tuple_row

    with connection.cursor(row_factory=tuple_row) as cursor:
        answering = cursor.execute("SELECT pg_catalog.pg_backend_pid()", prepare=False).fetchone()
    return answering is None or answering[0] != connection.pgconn.backend_pid
