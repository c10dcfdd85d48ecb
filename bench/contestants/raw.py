"""The least that any load must do: fetch, decode, write. Nothing is compared, so it can run only once."""

import sqlite3
import sys
from itertools import chain

from bench.contestants.bare import AT_ONCE, PRAGMAS
from bench.contestants.loop import FIELDS, Pages, postgres_table


def into_sqlite(url: str, path: str) -> None:
    database = sqlite3.connect(path, isolation_level=None)
    database.executescript(PRAGMAS)
    sqlite3.register_adapter(type(None), {}.get)  # type: ignore[arg-type]  # as in the bare loop
    sqlite3.register_adapter(bool, int)
    database.execute(f"CREATE TABLE sale_order ({', '.join(FIELDS)})")
    mark = f"({', '.join('?' * len(FIELDS))})"
    one, many = (f"INSERT INTO sale_order VALUES {', '.join([mark] * size)}" for size in (1, AT_ONCE))
    step = len(FIELDS) * AT_ONCE
    for rows in Pages(url).decoded([]):
        full = len(rows) // AT_ONCE * AT_ONCE
        flat = list(chain.from_iterable(rows[:full]))
        database.execute("BEGIN")
        database.executemany(many, (flat[start : start + step] for start in range(0, len(flat), step)))
        database.executemany(one, rows[full:])
        database.execute("COMMIT")


def into_postgres(url: str, address: str) -> None:
    import psycopg  # noqa: PLC0415  as in the bare loop

    with psycopg.connect(address) as database:
        database.execute("CREATE SCHEMA IF NOT EXISTS bench")
        database.execute(postgres_table().replace(" PRIMARY KEY", ""))
        for rows in Pages(url).decoded([]):
            with database.cursor().copy("COPY bench.sale_order FROM STDIN") as into:
                for row in rows:
                    into.write_row(row)
            database.commit()


def main(url: str, _: str, __: str, database: str) -> None:
    if database.startswith("sqlite"):
        into_sqlite(url, database.removeprefix("sqlite:///"))
    else:
        into_postgres(url, database)


if __name__ == "__main__":
    main(*sys.argv[1:])
