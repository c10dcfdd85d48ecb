"""The errors that only a PostgreSQL server, or the way to it, causes; grouped as in ``errors``.

Under ``DestinationBusy`` stands what may pass by itself, and is tried again; under ``DestinationRefused``
what a person must mend. Which answer of a server is which is decided in ``ledger.postgres_errors``, that
often knows a better next step than the usual one here.
"""

from comporta.errors import DestinationBusy, DestinationRefused


class DatabaseUnreachable(DestinationBusy):
    """No PostgreSQL server answers at the address."""

    code = "CMP-DB-010"
    next_step = "Check host and port in `database`, that the server runs, and that no firewall stands between."


class ConnectionBroken(DestinationBusy):
    """The connection to the server was lost; what was not committed is not kept."""

    code = "CMP-DB-011"
    next_step = "Nothing to do: it is tried again by itself. If it goes on, look at the server's log and the network."


class DatabaseRestarting(DestinationBusy):
    """The server is starting up, shutting down, or ended the connection."""

    code = "CMP-DB-012"
    next_step = "Nothing to do: it is tried again by itself when the server is back."


class TooManyConnections(DestinationBusy):
    """The server or its pooler has no connection left."""

    code = "CMP-DB-013"
    next_step = "Lower pool_size in [postgres], close other programs' connections, or raise the limit at the server."


class PoolExhausted(DestinationBusy):
    """For pool_wait, no connection of this process came free."""

    code = "CMP-DB-014"
    next_step = (
        "Run `comporta doctor` to see whether the server answers; if it does, raise pool_size, or lower workers."
    )


class TransactionConflict(DestinationBusy):
    """Two transactions stood in each other's way, and the server ended ours; nothing of it is kept."""

    code = "CMP-DB-015"
    next_step = "Nothing to do: it is tried again by itself."


class LockTimedOut(DestinationBusy):
    """Another transaction keeps a row or table locked for longer than we wait."""

    code = "CMP-DB-016"
    next_step = (
        "Look in pg_stat_activity for who holds it: an open transaction in an SQL tool, a long backup or VACUUM."
    )


class StatementTimedOut(DestinationBusy):
    """A statement took longer than the server allows, or somebody cancelled it."""

    code = "CMP-DB-017"
    next_step = (
        "It is tried again by itself; if it goes on, the server is overloaded or its statement_timeout too short."
    )


class TransactionIdle(DestinationBusy):
    """The server ended a transaction in which this process said nothing for too long; nothing of it is kept."""

    code = "CMP-DB-018"
    next_step = "Nothing to do: it is tried again by itself. It happens where a machine sleeps or is overloaded."


class DatabaseLoginRefused(DestinationRefused):
    """The server does not let this user in."""

    code = "CMP-DB-019"
    next_step = "Check user and password in `database`; @ : / ? # % and spaces in them are percent-encoded."


class UnknownProject(DestinationRefused):
    """The pooler knows no such project or user."""

    code = "CMP-DB-020"
    next_step = (
        "Copy the session pooler's address again from the project's Connect page: its host names the region, and the"
        " user is postgres.PROJECT. A paused project is unknown too: resume it."
    )


class DatabaseMissing(DestinationRefused):
    """The server has no database of that name."""

    code = "CMP-DB-021"
    next_step = "Correct the name after the last / in `database` (Supabase's is postgres), or create the database."


class TlsMismatch(DestinationRefused):
    """One side wants the connection encrypted, and the other cannot or may not."""

    code = "CMP-DB-022"
    next_step = "Set sslmode in `database` to what the server does: `require`, or `disable` in a network of your own."


class CertificateRefused(DestinationRefused):
    """The server's certificate, or the file to check it by, is not right."""

    code = "CMP-DB-023"
    next_step = "Check sslrootcert in `database`: the certificate of the authority that signed this server's."


class PoolerUnrecognised(DestinationRefused):
    """A pooler gives each transaction another server process, and was taken for the server itself."""

    code = "CMP-DB-024"
    next_step = "Comporta prepares no statements: please report this, and use the session pooler's address until then."


class DatabaseReadOnly(DestinationRefused):
    """The server takes no writes."""

    code = "CMP-DB-025"
    next_step = (
        "Supabase does this when the disk is full: see the project's dashboard. Elsewhere it is a replica (use the"
        " primary's address), or default_transaction_read_only is set for the server, database or user."
    )


class ServerDiskFull(DestinationRefused):
    """The server has no space left."""

    code = "CMP-DB-026"
    next_step = "Make room on the server's disk, or enlarge it; then run again: nothing half-written was kept."


class PermissionMissing(DestinationRefused):
    """This user may not do what Comporta must do in the database."""

    code = "CMP-DB-027"
    next_step = "Let the owner of the database grant the right, or use the owner's user in `database`."


class EncodingUnfit(DestinationRefused):
    """The database is not in UTF-8 and cannot hold all letters."""

    code = "CMP-DB-028"
    next_step = "Create a database with ENCODING 'UTF8' TEMPLATE template0 and name it in `database`."
