"""A mirrored table in which every type has the values that are easiest to get wrong."""

from tests.moving.stage import opened, settings_of

from comporta.bootstrap.databases import open_store
from comporta.core.record import Column, ColumnType, Row, Shape
from comporta.ledger.session import Session
from comporta.ports.destination import Written
from comporta.ports.store import Batch

KINDS = {
    "id": ColumnType.INTEGER,
    "parent_id": ColumnType.INTEGER,
    "stamp": ColumnType.TIMESTAMP,
    "flag": ColumnType.BOOLEAN,
    "amount": ColumnType.NUMERIC,
    "words": ColumnType.TEXT,
    "day": ColumnType.DATE,
    "tree": ColumnType.JSON,
    "select": ColumnType.TEXT,
    'odd "name"': ColumnType.TEXT,
}
SAMPLES = Shape(
    "shop",
    "sample.line",
    tuple(Column(name, kind, name) for name, kind in KINDS.items()),
    key="id",
    stamp="stamp",
    parent="parent_id",
)
TEXTS = (
    "",
    " ",
    "ação",
    "\\N",
    "\\",
    "a\tb\nc\r\n",
    "'; DROP",
    '"',
    "{}",
    "7",
    "1e3",
    "\x01\x7f",
    "𝄞",
    "x" * 9_000,
    "%s $1 ?",
)
NUMBERS = (
    0,
    1,
    -1,
    7.5,
    0.1,
    1 / 3,
    1e300,
    -1e-300,
    2**63 - 1,
    -(2**63),
    1e18,
    123456789.123456789,
    5e-324,
    1e20,
    None,
)
TREES = (
    '{"b":1,"a":[1,2.50,{"z":null,"ab":true}]}',
    "[]",
    "7",
    '"text"',
    "null",
    "[1e2, 1.0, 0.1, -0.0, 12345678901234567890123, 1E-7]",
    '{ "a" : "b : c, d" }',
    '"ç \\u00e7 \\ud834\\udd1e \\" \\\\ \\n"',
    '{"a":1,"a":2}',
    None,
)
INSTANTS = (
    "0001-01-01T00:00:00.000000Z",
    "1969-12-31T23:59:59.999999Z",
    "2026-03-01T08:00:00.000005Z",
    "9999-12-31T23:59:59.999999Z",
    None,
)
DAYS = ("0001-01-01", "2024-02-29", "9999-12-31", None)


def rows() -> list[Row]:
    """Return the rows, each with another mixture."""
    return [
        (
            key,
            key % 3 or None,
            INSTANTS[key % len(INSTANTS)],
            (True, False, None)[key % 3],
            NUMBERS[key % len(NUMBERS)],
            TEXTS[key % len(TEXTS)],
            DAYS[key % len(DAYS)],
            TREES[key % len(TREES)],
            TEXTS[-key % len(TEXTS)],
            None if key % 2 else "x",
        )
        for key in (-(2**63), -7, 0, *range(1, 120), 2**63 - 1)
    ]


def batch() -> Batch:
    """Return them as a source would give them, some with what no column can hold."""
    return Batch(SAMPLES, rows(), {0: '{"more":{"b":[1.50],"a":"x"}}', 3: "[1,2]"})


def put(address: str, what: Batch | None = None) -> Written:
    """Write them into the mirrored table of a database, beside its ledger, and return what was counted."""
    with opened(address) as database:
        destination = open_store(database, settings_of(address))._destination

        def work(session: Session) -> Written:
            return destination.write(
                session.connection, "loja", what or batch(), run="r1", now="2026-03-01T09:00:00.000000Z"
            )

        return database.write(work).result()
