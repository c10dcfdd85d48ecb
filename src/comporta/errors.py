"""Every error Comporta raises on purpose, grouped by what the catcher does next.

========================  ======================================================================
base class                what the catcher does
========================  ======================================================================
``Retryable``             end the attempt, try again later (``core.retry``)
``StopRun``               fail the run, tell a person; coverage stays as it was
``RecordRejected``        put the record in quarantine, go on
``StandDown``             write nothing more: another run holds, or will hold, the lease
``SettingsError``         refuse to start, say the key, the value seen, the values allowed
========================  ======================================================================

A message says what was attempted, on what, what was seen and what was expected. A leaf class has a stable ``code`` and
a ``next_step``; both are listed in docs/reference/errors.md, and a test compares. Those that only one source or a
PostgreSQL server causes are in modules of their own, under the same base classes; those answered over HTTP in
``errors_web``.
"""

from datetime import timedelta


class ComportaError(Exception):
    """An error with a code and a next step."""

    code = ""
    next_step = ""
    is_of_one = False
    """Of a record that was asked for by key: it may be that one's own. Else it is about all of them."""

    def __init__(self, message: str, *, next_step: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if next_step is not None:
            self.next_step = next_step

    def as_json(self) -> dict[str, str]:
        """Return the error as the object that CLI, API, log and page all show."""
        anchor = self.code.lower()
        return {
            "code": self.code,
            "message": self.message,
            "next_step": self.next_step,
            "docs": f"docs/reference/errors.md#{anchor}",
        }


class Retryable(ComportaError):
    """It may work later, unchanged."""


class SourceUnavailable(Retryable):
    """The source could not be reached or did not answer properly."""

    code = "CMP-NET-001"
    next_step = "Check that the address is right and the server is up; the run is tried again by itself."


class SourceTimedOut(SourceUnavailable):
    """No answer within the time allowed for one request."""

    code = "CMP-NET-002"
    is_of_one = True
    next_step = "The server is slow or overloaded: try a smaller page_size for the account, or another hour."


class SourceBadGateway(SourceUnavailable):
    """A 5xx of the server or of a proxy before it."""

    code = "CMP-NET-003"
    is_of_one = True
    next_step = "It is tried again by itself. If the server is yours, see its log: a worker may lack time or memory."


class SourceTruncated(SourceUnavailable):
    """The answer ended early or is not valid in its own format."""

    code = "CMP-NET-004"
    is_of_one = True
    next_step = "A proxy or the server cut the answer: try a smaller page_size for the account."


class SourceAnsweredPage(SourceUnavailable):
    """A web page where data was expected: a proxy, a login wall or a maintenance page."""

    code = "CMP-NET-005"
    is_of_one = True
    next_step = "Open the account's url in a browser: a proxy, a maintenance page or a wrong path answers there."


class RateLimited(SourceUnavailable):
    """The source asks for fewer requests; ``retry_after`` is its own wish, if it gave one."""

    code = "CMP-NET-006"
    next_step = "Wait until the pause is over: a server goes on by itself, without one the next `comporta sync` does."

    def __init__(self, message: str, *, retry_after: timedelta | None = None, next_step: str | None = None) -> None:
        super().__init__(message, next_step=next_step)
        self.retry_after = retry_after


class AnswerLost(SourceUnavailable):
    """A request that may not be repeated was sent, and its answer never came: nobody knows what it did."""

    code = "CMP-NET-007"
    next_step = "Nothing to do: it is tried once more by itself."


class SourceIncomplete(SourceUnavailable):
    """What was read is not provably everything, so the window stays open."""

    code = "CMP-SRC-005"
    next_step = "The run is tried again by itself; if it goes on, see `comporta reconcile ACCOUNT/STREAM`."


class UnconfirmedEmpty(SourceIncomplete):
    """An empty answer that the source's own count contradicts."""

    code = "CMP-SRC-006"
    next_step = "Check the account's permissions and domain at the source: it counts records that it does not list."


class TotalShrank(SourceIncomplete):
    """The source's total fell while it was read, and deletions do not explain it."""

    code = "CMP-SRC-007"
    next_step = "Check whether the account lost access to a company or team; the run is tried again by itself."


class DestinationBusy(Retryable):
    """The database is locked by another program for longer than we wait."""

    code = "CMP-DB-001"
    next_step = "Close programs that keep the database open for writing (a database browser, a backup), then try again."


class CommitOutcomeUnknown(Retryable):
    """The connection was lost while COMMIT was under way; epoch and commits tell what happened."""

    code = "CMP-DB-008"
    next_step = "Nothing to do: the outcome is read back from the ledger before anything is written again."


class StopRun(ComportaError):
    """Trying again unchanged cannot help."""


class SourceRefused(StopRun):
    """The source knows us and says no."""

    code = "CMP-AUTH-004"
    is_of_one = True
    next_step = "Check at the source what this user may do."


class LoginRefused(SourceRefused):
    """Wrong login, password or API key."""

    code = "CMP-AUTH-001"
    is_of_one = False
    next_step = "Check login and api_key of the account; a key may have expired (Odoo 19: at most 3 months)."


class AccessRefused(SourceRefused):
    """Logged in, but without permission for what was asked."""

    code = "CMP-AUTH-002"
    next_step = "Give this user read access to the model at the source, or set `paused = true` for the stream."


class LoginNeeded(SourceRefused):
    """The account's tokens are no longer good: only a person can grant access again."""

    code = "CMP-AUTH-005"
    is_of_one = False
    next_step = "Grant access again: `comporta connect mercadolivre NAME`. Nothing is lost; the next run goes on."


class SourceChangedShape(StopRun):
    """The source answers in a form we do not know."""

    code = "CMP-SRC-001"
    is_of_one = True
    next_step = "Run `comporta check`; if the source was upgraded, look for a newer Comporta."


class UnknownStream(SourceChangedShape):
    """The source has no such model."""

    code = "CMP-SRC-002"
    next_step = "Check the stream's name, and that the application that brings it is installed at the source."


class UnknownField(SourceChangedShape):
    """The source's model has no such field."""

    code = "CMP-SRC-003"
    next_step = "Check `fields` and `domain` of the stream against the field list at the source."


class FilterIgnored(SourceChangedShape):
    """Rows came back that the filter we asked for excludes."""

    code = "CMP-SRC-004"
    is_of_one = False
    next_step = "A module or proxy at the source changes the query; nothing was claimed. Ask its maintainer."


class OtherDatabase(SourceChangedShape):
    """Behind the same URL and name there is another database than before."""

    code = "CMP-SRC-008"
    next_step = "If it was replaced on purpose, add it as a new account, or first `comporta account remove NAME`."


class TooManyRejected(StopRun):
    """More records than the allowed share cannot be written."""

    code = "CMP-ROW-002"
    next_step = "See `comporta quarantine` for the reasons; the rows that could be written are kept."


class TooManyDeleted(StopRun):
    """More rows than the allowed share are gone at the source; a person should confirm."""

    code = "CMP-ROW-003"
    next_step = "Look at the source. If the rows are really gone: `comporta reconcile ACCOUNT/STREAM --repair --yes`."


class DestinationRefused(StopRun):
    """The database cannot take what we write."""

    code = "CMP-DB-002"
    next_step = "Check the disk and the database (`comporta doctor`), then `comporta sync`, or wait for the next tick."


class NewerSchema(DestinationRefused):
    """The database was migrated by a newer Comporta."""

    code = "CMP-DB-003"
    next_step = "Install the newer Comporta on this machine too; the database is untouched."


class NetworkFileSystem(DestinationRefused):
    """SQLite on a network share would lose data."""

    code = "CMP-DB-004"
    next_step = "Put the SQLite file on a local disk, or use PostgreSQL."


class UnwritablePath(DestinationRefused):
    """The database file or its folder cannot be written."""

    code = "CMP-DB-005"
    next_step = "Create the folder, or give this user write permission on the file and on its folder."


class NameTaken(DestinationRefused):
    """A table or view of the user's stands where ours would."""

    code = "CMP-DB-006"
    next_step = "Rename your table or view; Comporta replaces only what it made itself."


class NotADatabase(DestinationRefused):
    """The file is not an SQLite database, or is damaged."""

    code = "CMP-DB-007"
    next_step = "Check `database`; if the file is damaged, put the last backup back: `comporta restore FILE`."


class DatabaseSealed(DestinationRefused):
    """The data was moved to another database; nothing is written here any more."""

    code = "CMP-DB-009"
    next_step = "Write the other database's address as `database` in comporta.toml, on every machine."


class RecordRejected(ComportaError):
    """One record cannot be written."""

    code = "CMP-ROW-001"
    next_step = "Mend the record at the source, then `comporta quarantine retry ACCOUNT/STREAM`."


class RecordAbsent(RecordRejected):
    """Other records name a record that the source does not show."""

    code = "CMP-ROW-004"
    is_of_one = True
    next_step = "Look whether this user may see it at the source; it is looked for again by itself, and by `reconcile`."


class StandDown(ComportaError):
    """This run may not go on."""


class LeaseLost(StandDown):
    """Another run took over, or may have: nothing of ours is written any more."""

    code = "CMP-RUN-001"
    next_step = "Nothing to do: the successor goes on where this run's last committed batch ended."


class RunCancelled(StandDown):
    """A person cancelled the run."""

    code = "CMP-RUN-002"
    next_step = "Start it again with `comporta sync` when wanted; it goes on where it stopped."


class RunStalled(StandDown):
    """No progress for longer than stall_timeout."""

    code = "CMP-RUN-003"
    next_step = "The source hangs: look at it; the run is tried again by itself. stall_timeout sets the patience."


class DeadlinePassed(StandDown):
    """The run took longer than its timeout."""

    code = "CMP-RUN-004"
    next_step = "The next run goes on where this one stopped; raise `timeout` of the stream if it always needs longer."


class RunInterrupted(StandDown):
    """Handed over at a shutdown."""

    code = "CMP-RUN-005"
    next_step = "Nothing to do: the next `comporta sync` goes on where this run stopped."


class RunLost(StandDown):
    """The lease ran out: the process died, froze or was cut off."""

    code = "CMP-RUN-006"
    next_step = "Nothing to do: the next run goes on where the last committed batch ended."


class Busy(StandDown):
    """Another run holds the stream."""

    code = "CMP-BUSY-001"
    next_step = "Wait for it (--wait), or look at `comporta leases`."


class SettingsError(ComportaError):
    """Something in comporta.toml, the environment or the command cannot be used."""

    code = "CMP-SET-001"
    next_step = "See `comporta settings` and docs/reference/settings.md."


class UnknownKey(SettingsError):
    """A key that does not exist."""

    code = "CMP-SET-002"
    next_step = "Correct the key; docs/reference/settings.md lists them all."


class BadValue(SettingsError):
    """A value that cannot be used."""

    code = "CMP-SET-003"
    next_step = "Correct the value; docs/reference/settings.md shows the form."


class SecretMissing(SettingsError):
    """A secret that a setting refers to is not there."""

    code = "CMP-SET-004"
    next_step = "Set the environment variable or file it names, or store it with `comporta connect`."


class UnknownAccount(SettingsError):
    """No such account or stream."""

    code = "CMP-SET-005"
    next_step = "`comporta status` lists the accounts and their streams."


class MasterKeyWrong(SettingsError):
    """A stored secret cannot be opened with this master key."""

    code = "CMP-SET-006"
    next_step = "Restore the master key that belongs to this database, or store the secret again: `comporta connect`."


class WrongUse(SettingsError):
    """Options that do not go together, or an argument that cannot be read."""

    code = "CMP-SET-007"
    next_step = "See --help of the command."


class Unforeseen(ComportaError):
    """A fault of Comporta itself."""

    code = "CMP-BUG-001"
    next_step = "This is a fault of Comporta: please report it with the run's log (`comporta log ID`)."
