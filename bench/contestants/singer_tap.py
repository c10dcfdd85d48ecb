"""A Singer tap as its SDK wants it: one REST stream, paged by the last id, incremental by write_date."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import requests
from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.helpers.types import Context
from singer_sdk.pagination import BaseAPIPaginator

FIELDS = json.loads((Path(__file__).parent / "fields.json").read_text())
TEXTS = {"client_order_ref", "delivery_status", "invoice_status", "name", "note", "origin", "state"}
KINDS = {
    **dict.fromkeys(("amount_tax", "amount_total", "amount_untaxed", "currency_rate"), th.NumberType),
    **dict.fromkeys(("locked", "require_signature"), th.BooleanType),
    **dict.fromkeys(("commitment_date", "create_date", "date_order", "write_date"), th.DateTimeType),
    **dict.fromkeys(TEXTS, th.StringType),
    "validity_date": th.DateType,
}
NULLABLE = ("client_order_ref", "commitment_date", "origin")
PAGE = int(os.environ.get("BENCH_PAGE", "1000"))
Token = int


class LastId(BaseAPIPaginator[int | None]):
    """The next page begins after the last id of this one."""

    def get_next(self, response: requests.Response) -> int | None:
        rows = response.json()["result"]
        return rows[-1]["id"] if len(rows) == PAGE else None


class Orders(RESTStream[Token]):
    name = "sale_order"
    path = "/jsonrpc"
    http_method = "POST"
    records_jsonpath = "$.result[*]"
    primary_keys = ("id",)
    replication_key = "write_date"
    schema = th.PropertiesList(*(th.Property(name, KINDS.get(name, th.IntegerType)) for name in FIELDS)).to_dict()

    @property
    def url_base(self) -> str:
        return str(self.config["url"])

    def get_new_paginator(self) -> LastId:
        return LastId(None)

    def prepare_request_payload(self, context: Context | None, next_page_token: Token | None) -> dict[str, Any]:
        since = self.get_starting_replication_key_value(context)
        domain = [["write_date", ">=", since.replace("T", " ")[:19]]] if since else []
        options = {"fields": FIELDS, "limit": PAGE, "order": "id", "load": False}
        asked = [[*domain, ["id", ">", next_page_token or 0]]]
        args = ["prod", 7, "key", "sale.order", "search_read", asked, options]
        params = {"service": "object", "method": "execute_kw", "args": args}
        return {"jsonrpc": "2.0", "method": "call", "params": params, "id": 1}

    def post_process(self, row: dict[str, Any], context: Context | None = None) -> dict[str, Any]:  # noqa: ARG002  their signature
        for name in NULLABLE:
            if row[name] is False:
                row[name] = None
        return row


class OrdersTap(Tap):
    name = "tap-orders"
    config_jsonschema = th.PropertiesList(th.Property("url", th.StringType, required=True)).to_dict()

    def discover_streams(self) -> Iterable[Orders]:
        return [Orders(tap=self)]


if __name__ == "__main__":
    OrdersTap.cli()
