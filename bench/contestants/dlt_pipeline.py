"""dlt doing the same work: a generator over its own requests, merged by id, incremental by write_date."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
from dlt.sources.helpers import requests

FIELDS = json.loads((Path(__file__).parent / "fields.json").read_text())
BOOLEANS = {"locked", "require_signature"}
PAGE = int(os.environ.get("BENCH_PAGE", "1000"))


def pages(url: str, since: str | None) -> Iterator[list[dict[str, object]]]:
    session = requests.Client().session

    def call(service: str, method: str, *args: object) -> Any:  # noqa: ANN401  JSON
        params: Any = {"service": service, "method": method, "args": args}
        answer = session.post(f"{url}/jsonrpc", json={"jsonrpc": "2.0", "method": "call", "params": params, "id": 1})
        answer.raise_for_status()
        return answer.json()["result"]

    uid = call("common", "authenticate", "prod", "sync@example.com", "key", {})
    domain = [["write_date", ">=", since]] if since else []
    after = 0
    while True:
        options = {"fields": FIELDS, "limit": PAGE, "order": "id", "load": False}
        asked = [[*domain, ["id", ">", after]]]
        rows = call("object", "execute_kw", "prod", uid, "key", "sale.order", "search_read", asked, options)
        for row in rows:
            for name, value in row.items():
                if value is False and name not in BOOLEANS:
                    row[name] = None
        if rows:
            yield rows
        if len(rows) < PAGE:
            return
        after = rows[-1]["id"]


def main(url: str, folder: str, mode: str, database: str) -> None:
    @dlt.resource(name="sale_order", primary_key="id", write_disposition="merge", max_table_nesting=0)
    def whole() -> Iterator[list[dict[str, object]]]:
        yield from pages(url, None)

    @dlt.resource(name="sale_order", primary_key="id", write_disposition="merge", max_table_nesting=0)
    def incremental(
        stamp: dlt.sources.incremental[str] = dlt.sources.incremental("write_date"),  # noqa: B008  as dlt is used
    ) -> Iterator[list[dict[str, object]]]:
        yield from pages(url, stamp.last_value)

    is_sqlite = database.startswith("sqlite")
    pipeline = dlt.pipeline(
        "odoo",
        pipelines_dir=f"{folder}/dlt",
        destination=dlt.destinations.sqlalchemy(database) if is_sqlite else dlt.destinations.postgres(database),
        dataset_name="main" if is_sqlite else "bench",
    )
    pipeline.run(whole if mode == "full" else incremental).raise_on_failed_jobs()


if __name__ == "__main__":
    main(*sys.argv[1:])
