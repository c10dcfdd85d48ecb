"""What a PostgreSQL server, a pooler or the way to them answered, in words that say what to do next.

A server's error has a state of five letters, by which it is known. Whatever happens while connecting comes
without one, and poolers put their own words under general states: those are known by their text. The text is
the server's, in its language: English and Portuguese are known here, and what is not is shown as it is.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from comporta.core.postgres_url import MASK, is_postgres, shown_database
from comporta.errors import ComportaError, DatabaseSealed, DestinationBusy, DestinationRefused
from comporta.errors_postgres import (
    CertificateRefused,
    ConnectionBroken,
    DatabaseLoginRefused,
    DatabaseMissing,
    DatabaseReadOnly,
    DatabaseRestarting,
    DatabaseUnreachable,
    EncodingUnfit,
    LockTimedOut,
    PermissionMissing,
    PoolerUnrecognised,
    PoolExhausted,
    ServerDiskFull,
    StatementTimedOut,
    TlsMismatch,
    TooManyConnections,
    TransactionConflict,
    TransactionIdle,
    UnknownProject,
)
from comporta.ledger.postgres_address import Address
from comporta.ledger.seal import UNFINISHED_STEP

if TYPE_CHECKING:
    import psycopg

Kind = type[DestinationBusy] | type[DestinationRefused]

TEXT_LETTERS = 300
SECRET_LETTERS_LEAST = 3
"""A shorter password is in any text by chance: to mask it would only spoil the message."""
SPEAKING = frozenset({"", "08P01", "28000", "57014", "XX000", "22023"})
"""States that say little: none while connecting, and those under which poolers put words of their own."""
REPEATABLE = (
    ConnectionBroken,
    DatabaseRestarting,
    DatabaseUnreachable,
    PoolExhausted,
    TooManyConnections,
    TransactionConflict,
    TransactionIdle,
)
LOST = (ConnectionBroken, DatabaseRestarting, TransactionIdle)
IPV6_ONLY = (
    "This name of Supabase's leads to IPv6 only. From a network with IPv4, use the session pooler's address:"
    " …pooler.supabase.com:5432 with the user postgres.PROJECT, from the project's Connect page."
    " A paused project has no name at all: resume it."
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that goes wrong: how it is known (a state, or a text where states say little) and what is said."""

    kind: Kind
    said: str
    text: str | None = None
    states: tuple[str, ...] = ()
    step: str | None = None
    step_supabase: str | None = None
    """For a project's own server at Supabase."""

    def fits(self, state: str, text: str) -> bool:
        """Say whether this is what went wrong. A state of two letters is a whole class of them."""
        if state and state.startswith(self.states):
            return True
        return self.text is not None and state in SPEAKING and re.search(self.text, text, re.IGNORECASE) is not None


WHO = (
    Rule(
        UnknownProject,
        "the pooler knows no such project or user",
        r"tenant or user not found|tenant/user \S+ not found|ENOTFOUND|ENOIDENTIFIER|no tenant identifier",
    ),
    Rule(
        DatabaseLoginRefused,
        "the pooler lets nobody in for a while, after too many wrong passwords",
        r"ECIRCUITBREAKER|too many authentication",
        step="Correct the password in `database`, stop other programs that use the old one, and wait some minutes.",
    ),
    Rule(
        DatabaseLoginRefused,
        "the pooler does not let this machine in",
        r"EADDRNOTALLOWED|not in tenant allow_list|EBANNED|tenant is banned",
        step="See network restrictions and bans in the project's database settings.",
    ),
    Rule(
        TlsMismatch,
        "the server lets nobody in whose connection is not encrypted",
        r"SSL connection is required|ESSLREQUIRED|pg_hba\.conf.*(no encryption|SSL off)|SSL required",
        step=(
            "Take sslmode out of `database`, or write sslmode=require. If it says so already, pg_hba.conf of the server"
            " must let this machine and user in."
        ),
    ),
    Rule(
        DatabaseLoginRefused,
        "the server's pg_hba.conf lets nobody in who comes like this",
        r"pg_hba\.conf",
        step="Add a line to pg_hba.conf for this user, database and machine, or come from one that it allows.",
    ),
    Rule(
        DatabaseLoginRefused,
        "the server asks for a password, and `database` has none",
        r"no password supplied",
        step="Write it into the address: postgresql://USER:PASSWORD@…, or refer to one with env:NAME or file:PATH.",
    ),
    Rule(
        DatabaseMissing,
        "the server has no such database",
        r'database "[^"]*" does not exist|no such database|banco de dados "[^"]*" n\S+ existe',
        ("3D", "57P04"),
    ),
    Rule(
        DatabaseLoginRefused,
        "the server does not let this user in: the password or the user is wrong",
        r"authentication failed|auth failed|not permitted to log in|role \"[^\"]*\" does not exist|no such user|EAUTH"
        r"|user not found|do tipo senha falhou|role \"[^\"]*\" n\S+ existe",
        ("28",),
    ),
    Rule(
        DestinationRefused,
        "a pooler refuses a setting that this process sends along",
        r"unsupported startup parameter|EINVALIDSTARTUPOPTION",
        step="Unset the environment variable PGOPTIONS (and other PG… variables): Comporta itself sends none.",
    ),
)
ENCRYPTION = (
    Rule(
        TlsMismatch,
        "the server cannot encrypt, and `database` asks for it",
        r"server does not support SSL",
        step=(
            "Give the server a certificate (ssl = on). Only where nobody can listen between here and there, end"
            " `database` with ?sslmode=disable."
        ),
    ),
    Rule(
        CertificateRefused,
        "the file that sslrootcert names cannot be used",
        r"root certificate file|certificate file|private key file",
        step="Check the path (it is relative to comporta.toml) and that the file holds a certificate (PEM).",
    ),
    Rule(
        CertificateRefused,
        "the server's certificate is for another name",
        r"does not match host name",
        step="Write into `database` the host that the certificate is for, not its number; or sslmode=verify-ca.",
    ),
    Rule(
        CertificateRefused,
        "the system's certificates check everything, or nothing",
        r"weak sslmode",
        step="With sslrootcert=system, leave sslmode out or write sslmode=verify-full.",
    ),
    Rule(
        CertificateRefused,
        "the server's certificate is not signed by the authority in sslrootcert",
        r"certificate verify failed|tlsv1 alert|sslv3 alert",
        step="Get the authority's certificate from whoever runs the server (Supabase: Database > Settings > SSL).",
    ),
)
FULL = (
    Rule(
        PoolExhausted,
        "no connection of this process came free within pool_wait",
        r"couldn't get a connection after|pool initialization incomplete|requests waiting",
    ),
    Rule(DestinationRefused, "the database was closed", r"the pool '.*' is (already )?closed"),
    Rule(
        TooManyConnections,
        "the pooler has no connection left",
        r"EMAXC|ECHECKOUTTIMEOUT|checkout timeout|max client|max clients reached|max_client_conn|query_wait_timeout",
        step=(
            "Lower pool_size in [postgres] to less than the pooler's own, close other programs' connections, or raise"
            " the pooler's (Supabase: Database > Settings > Connection pooling)."
        ),
    ),
    Rule(
        TooManyConnections,
        "the server has no connection left",
        r"remaining connection slots|too many (clients|connections)|muitos clientes",
        ("53300",),
    ),
    Rule(ServerDiskFull, "the server has no space left on its disk", None, ("53100",)),
    Rule(
        DestinationBusy,
        "the server has no memory left",
        None,
        ("53",),
        "Give the server more memory, or lower workers; it is tried again by itself.",
    ),
)
REFUSED = (
    # The states of postgres_seal, which must not be imported here: it imports the driver.
    Rule(DatabaseSealed, "nothing is written here", None, ("CMP01",)),
    Rule(DatabaseSealed, "nothing is written here", None, ("CMP02",), UNFINISHED_STEP),
    Rule(
        PoolerUnrecognised,
        "a pooler gave this transaction another server process than the one before",
        r"not allowed in transaction mode|ESETNOTALLOWED|ESESSIONLEAK",
        ("42P05", "26000"),
    ),
    Rule(DatabaseReadOnly, "the server takes no writes", None, ("25006",)),
    Rule(PermissionMissing, "this user may not do that", None, ("42501",)),
    Rule(EncodingUnfit, "the database is not in UTF-8 and has no place for a letter of this text", None, ("22P05",)),
    Rule(
        DestinationRefused,
        "a table or schema of Comporta's is not there",
        None,
        ("42P01", "3F000"),
        "Run `comporta migrate`; if somebody dropped tables, restore the backup.",
    ),
)
PASSING = (
    Rule(
        StatementTimedOut,
        "somebody cancelled the statement",
        r"due to user request|pedido do usu",
        step="Nothing to do: it is tried again by itself.",
    ),
    Rule(StatementTimedOut, "a statement took longer than is allowed", None, ("57014",)),
    Rule(LockTimedOut, "another transaction keeps locked what this one needs", None, ("55P03",)),
    Rule(
        TransactionIdle,
        "the server ended a transaction in which nothing was said for too long",
        None,
        ("25P03", "25P04"),
    ),
    Rule(TransactionConflict, "two transactions stood in each other's way", None, ("40001", "40P01")),
    Rule(
        DatabaseRestarting,
        "the server is starting up, shutting down, or ended the connection",
        r"the database system is|o sistema de banco de dados est|EPOOLTERMINATING",
        ("57P01", "57P02", "57P03"),
    ),
)
WAY = (
    Rule(
        DatabaseUnreachable,
        "what answers there is not PostgreSQL",
        r"invalid response to SSL negotiation|expected authentication request from server",
        step="Check host and port in `database`: a web server, a proxy or another database listens there.",
    ),
    Rule(DestinationRefused, "the server does not let us in", "FATAL", step="Its own words say why."),
    Rule(
        DatabaseUnreachable,
        "the host's name leads nowhere",
        r"failed to resolve|could not translate host name",
        step="Check the host in `database` and this machine's network. A paused Supabase project has no name either.",
        step_supabase=IPV6_ONLY,
    ),
    Rule(
        DatabaseUnreachable,
        "there is no way from this machine to the server's network",
        r"network is unreachable|no route to host|cannot assign requested address|address family not supported",
        step="Check this machine's network. If the server has IPv6 only, so must this machine.",
        step_supabase=IPV6_ONLY,
    ),
    Rule(
        DatabaseUnreachable,
        "nobody listens there",
        r"connection refused|no such file or directory",
        step="Start the server, or correct host and port in `database`.",
    ),
    Rule(
        DatabaseUnreachable,
        "no answer in time",
        r"timeout expired|connection (failed|is bad).*timed out",
        step="Check host and port in `database`; a firewall that lets nothing through says nothing either.",
    ),
    Rule(
        ConnectionBroken,
        "the connection was lost",
        r"closed the connection|connection (is|was|has been) (closed|lost)|connection not open|unexpected eof"
        r"|could not (send|receive) data|SSL SYSCALL|consuming input failed|flushing failed|sending .*query"
        r"|connection reset|broken pipe|timed out|DbHandler exited|connection to database closed|server conn crashed",
        ("08", "57P05"),
    ),
    Rule(DatabaseUnreachable, "no connection could be made", r"^connection (failed|is bad)"),
)
UNKNOWN = Rule(
    DestinationRefused,
    "the database refused what was asked of it",
    step="If the message does not say what to do, please report it with the run's log (`comporta log ID`).",
)
RULES = (*WHO, *ENCRYPTION, *FULL, *REFUSED, *PASSING, *WAY)


def explained(error: "psycopg.Error", where: Address | str) -> ComportaError:
    """Return the error to raise in the place of a driver's, with the next step. No password is in it."""
    rule = _rule(error)
    place = (
        shown_database(where) if isinstance(where, str) and is_postgres(where) else str(getattr(where, "shown", where))
    )
    return rule.kind(f"{place}: {rule.said} ({_told(error, where)})", next_step=_step(rule, error, where))


def is_repeatable(error: "psycopg.Error") -> bool:
    """Say whether the same transaction, run again from its start, may succeed.

    Nothing of it was kept, provided that its COMMIT was not sent yet: after that, a lost connection says nothing.
    """
    return issubclass(_rule(error).kind, REPEATABLE)


def is_connection_lost(error: "psycopg.Error") -> bool:
    """Say whether the connection is gone with it, and perhaps the others to the same server."""
    return issubclass(_rule(error).kind, LOST)


def _rule(error: "psycopg.Error") -> Rule:
    state, text = error.sqlstate or "", str(error)
    return next((rule for rule in RULES if rule.fits(state, text)), UNKNOWN)


def _told(error: "psycopg.Error", where: Address | str) -> str:
    """Return the server's own words, without their details, which quote rows, and without the password."""
    said = error.diag.message_primary or str(error).partition("\n")[0]
    secret = where.url.password if isinstance(where, Address) else None
    if secret and len(secret) >= SECRET_LETTERS_LEAST:
        said = said.replace(secret, MASK)
    state = f", state {error.sqlstate}" if error.sqlstate else ""
    return said[:TEXT_LETTERS] + state


def _step(rule: Rule, error: "psycopg.Error", where: Address | str) -> str | None:
    if not isinstance(where, Address):
        return rule.step
    if rule.kind is PermissionMissing and where.url.user and "for database" in (error.diag.message_primary or ""):
        return f'As its owner run: GRANT CREATE ON DATABASE "{where.url.database}" TO "{where.url.user}";'
    return rule.step_supabase if rule.step_supabase and where.is_supabase_direct else rule.step
