"""PyAirbyte with a declarative source that needs no Docker, into DuckDB (it has no SQLite) or PostgreSQL."""

import json
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import airbyte as ab
from airbyte.caches import DuckDBCache, PostgresCache
from airbyte.caches.base import CacheBase

FIELDS = json.loads((Path(__file__).parent / "fields.json").read_text())
FORMATS: dict[str, dict[str, object]] = {
    **{name: {"type": ["number", "null"]} for name in ("amount_tax", "amount_total", "amount_untaxed")},
    "currency_rate": {"type": ["number", "null"]},
    **{name: {"type": ["boolean", "null"]} for name in ("locked", "require_signature")},
    **{name: {"type": ["string", "null"], "format": "date-time"} for name in ("commitment_date", "create_date")},
    **{name: {"type": ["string", "null"], "format": "date-time"} for name in ("date_order", "write_date")},
    **{name: {"type": ["string", "null"]} for name in ("client_order_ref", "delivery_status", "invoice_status")},
    **{name: {"type": ["string", "null"]} for name in ("name", "note", "origin", "state")},
    "validity_date": {"type": ["string", "null"], "format": "date"},
}
PAGE = int(os.environ.get("BENCH_PAGE", "1000"))


def requested() -> dict[str, Any]:
    since = ["write_date", ">=", "{{ stream_interval['start_time'] }}"]
    after = ["id", ">", "{{ next_page_token['next_page_token'] or 0 }}"]
    options = {"fields": FIELDS, "limit": PAGE, "order": "id", "load": False}
    args = ["prod", 7, "key", "sale.order", "search_read", [[since, after]], options]
    params = {"service": "object", "method": "execute_kw", "args": args}
    return {"jsonrpc": "2.0", "method": "call", "params": params, "id": 1}


def manifest(url: str) -> dict[str, Any]:
    properties = {name: FORMATS.get(name, {"type": ["integer", "null"]}) for name in FIELDS}
    retriever = {
        "type": "SimpleRetriever",
        "requester": {
            "type": "HttpRequester",
            "url_base": url,
            "path": "/jsonrpc",
            "http_method": "POST",
            "request_body_json": requested(),
        },
        "record_selector": {
            "type": "RecordSelector",
            "extractor": {"type": "DpathExtractor", "field_path": ["result"]},
        },
        "paginator": {
            "type": "DefaultPaginator",
            "pagination_strategy": {
                "type": "CursorPagination",
                "cursor_value": "{{ last_record['id'] }}",
                "stop_condition": f"{{{{ last_page_size < {PAGE} }}}}",
            },
        },
    }
    stream = {
        "type": "DeclarativeStream",
        "name": "sale_order",
        "primary_key": ["id"],
        "schema_loader": {"type": "InlineSchemaLoader", "schema": {"type": "object", "properties": properties}},
        "transformations": [
            {"type": "CustomTransformation", "class_name": "bench.contestants.airbyte_parts.FalseIsNull"}
        ],
        "retriever": retriever,
        "incremental_sync": {
            "type": "DatetimeBasedCursor",
            "cursor_field": "write_date",
            "datetime_format": "%Y-%m-%d %H:%M:%S",
            "start_datetime": "2000-01-01 00:00:00",
        },
    }
    return {
        "version": "6.0.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": ["sale_order"]},
        "spec": {"type": "Spec", "connection_specification": {"type": "object", "properties": {}}},
        "streams": [stream],
    }


def cache(folder: str, database: str) -> CacheBase:
    if database.startswith("sqlite"):
        return DuckDBCache(db_path=f"{folder}/copy.duckdb", schema_name="main")
    url = urlsplit(database)
    return PostgresCache(
        host=url.hostname,
        port=url.port,
        username=url.username,
        password=url.password,
        database=url.path[1:],
        schema_name="bench",
    )


def main(url: str, folder: str, mode: str, database: str) -> None:
    source = ab.get_source("source-orders", config={}, source_manifest=manifest(url))
    source.select_all_streams()
    source.read(cache(folder, database), force_full_refresh=mode == "full")


if __name__ == "__main__":
    main(*sys.argv[1:])
