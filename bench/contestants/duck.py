"""Print the only row of a query on a DuckDB file, as JSON: ``python -m bench.contestants.duck FOLDER QUERY``."""

import json
import sys

import duckdb


def main(folder: str, query: str) -> None:
    with duckdb.connect(f"{folder}/copy.duckdb", read_only=True) as connection:
        found = connection.execute(query)
        names = [column[0] for column in found.description]
        values = found.fetchone()
    row = dict(zip(names, values, strict=True))
    print(json.dumps({name: str(value) if name == "latest" else int(value) for name, value in row.items()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
