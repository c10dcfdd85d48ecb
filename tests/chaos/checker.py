"""Judge a history: every claim is a query that must find nothing, asked of one consistent state.

After Jepsen. The claims of ``claims.sql`` hold at any moment, also in the middle of the chaos; those of
``rest.sql`` once everything has come to rest.
"""

from collections.abc import Iterable
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from tests.chaos.clockwork import LATE_MAX_S, STREAMS, Clockwork
from tests.chaos.worker import ACCOUNT

from comporta import errors, errors_postgres
from comporta.core.instant import instant_text

Connection = psycopg.Connection[tuple[Any, ...]]
HERE = Path(__file__).parent
PLACES_SHOWN = 3
FIELDS = {"sale.order": ("name", "state"), "sale.order.line": ("name", "order_id"), "res.partner": ("name", "state")}
EXPLAINED = sorted(
    each.code
    for module in (errors, errors_postgres)
    for each in vars(module).values()
    if isinstance(each, type)
    and issubclass(each, (errors.DestinationBusy, errors.CommitOutcomeUnknown, errors.StandDown, errors.TotalShrank))
    and each.code
)
"""What a run may end by while servers fall and connections break, and records come and go unseen (``TotalShrank``).

Nothing else may come of it.
"""


def begin_history(url: str) -> None:
    """Record from now on, inside each transaction, who writes what and in which epoch."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute((HERE / "history.sql").read_bytes())


def broken_claims(url: str, diaries: Iterable[Path] = (), *, is_at_rest: bool = False) -> list[str]:
    """Return each claim that the history breaks, with the first places where it does."""
    # The diaries first: what is told committed meanwhile is then not missed in the database.
    told = [mark for diary in diaries for mark in acknowledged(diary)]
    with connected(url) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        with connection.cursor().copy("COPY chaos.acknowledged FROM STDIN") as copy:
            for mark in told:
                copy.write_row((mark,))
        found = {claim: places(connection, query) for claim, query in claims(is_at_rest=is_at_rest).items()}
        connection.rollback()
    return [f"NOT {claim}: {'; '.join(map(_shown, rows))}" for claim, rows in found.items() if rows]


def connected(url: str) -> Connection:
    """Connect, with dates in the form that the driver reads."""
    return psycopg.connect(url, options="-c TimeZone=UTC -c DateStyle=ISO")


def claims(*, is_at_rest: bool) -> dict[str, str]:
    """Return the query of every claim that must hold at any moment, or at rest also those that hold then."""
    return _named("claims.sql") | (_named("rest.sql") if is_at_rest else {})


def places(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    """Return the first places where a claim is broken."""
    return connection.execute(query.encode(), {"explained": EXPLAINED}).fetchmany(PLACES_SHOWN)


def differences(url: str, source: Clockwork) -> tuple[list[str], list[str]]:
    """Return how the mirrored rows differ from the source's: what is missing or wrong, and what is gone there."""
    wrong: list[str] = []
    gone: list[str] = []
    with connected(url) as connection:
        for stream in STREAMS:
            ours, theirs = _mirrored(connection, stream), source.truth(stream)
            wrong += [
                f"{stream} {key}: {ours.get(key)}, not {theirs[key]}" for key in theirs if _differs(key, ours, theirs)
            ]
            gone += [f"{stream} {key}: not at the source" for key in ours if key not in theirs]
    return wrong, gone


def unkept(url: str, source: Clockwork) -> list[str]:
    """Return the records that coverage claims and that are not here as they are at the source.

    A transaction that commits late shows its records under a stamp that may be covered by then; the next
    window finds them. So the last moments of each interval prove nothing.
    """
    late = timedelta(seconds=LATE_MAX_S + 1)
    found: list[str] = []
    for stream in STREAMS:
        with connected(url) as connection:
            query = "SELECT since, until FROM comporta.cmp_coverage WHERE scope = %s"
            covered = [
                (instant_text(since.replace(tzinfo=UTC)), instant_text(until - late))
                for since, until in connection.execute(query, [f"{ACCOUNT}/{stream}"])
            ]
            # A table is made by the first run, and nothing is covered before.
            ours, theirs = _mirrored(connection, stream) if covered else {}, source.truth(stream)
        stamps = {key: str(each["write_date"]) for key, each in theirs.items()}
        claimed = [key for key in theirs if any(since <= stamps[key] < end for since, end in covered)]
        wrong = [key for key in claimed if _differs(key, ours, theirs)]
        found += [f"{stream} {key}: {ours.get(key)}, not {theirs[key]}, covered {covered}" for key in wrong]
    return found


def acknowledged(diary: Path) -> list[str]:
    """Return the batches that a worker was told are committed; its last line may be cut short by its death."""
    lines = diary.read_text(encoding="utf-8").split("\n")[:-1] if diary.exists() else []
    return [line.split()[1] for line in lines if line.startswith("acknowledged ")]


def _named(file: str) -> dict[str, str]:
    blocks = (HERE / file).read_text(encoding="utf-8").split("-- name: ")[1:]
    return {name: query for name, _, query in (block.partition("\n") for block in blocks)}


def _shown(row: tuple[Any, ...]) -> str:
    return "(" + ", ".join(map(str, row)) + ")"


def _differs(key: object, ours: dict[object, dict[str, object]], theirs: dict[object, dict[str, object]]) -> bool:
    return key not in ours or any(ours[key][name] != theirs[key].get(name) for name in ours[key])


def _mirrored(connection: Connection, stream: str) -> dict[object, dict[str, object]]:
    """Return the living rows of a stream by key, as any other program would see them."""
    names = (*FIELDS[stream], "write_date")
    query = sql.SQL("SELECT id, {} FROM mirror.{} WHERE account = %s AND _cmp_deleted_at IS NULL").format(
        sql.SQL(", ").join(map(sql.Identifier, names)), sql.Identifier(f"fake_{stream.replace('.', '_')}")
    )
    rows = connection.execute(query, [ACCOUNT]).fetchall()
    return {row[0]: dict(zip(names, (*row[1:-1], instant_text(row[-1])), strict=True)) for row in rows}
