"""A Singer target for SQLite made of the SDK's own SQL target: batches of rows, INSERT OR REPLACE by key.

The one published as target-sqlite needs an SQLAlchemy that no Python since 3.10 can import.
"""

import sqlite3
from decimal import Decimal
from typing import Any

from singer_sdk import typing as th
from singer_sdk.sql import SQLConnector, SQLSink, SQLTarget


class SqliteConnector(SQLConnector):
    allow_temp_tables = False
    allow_column_alter = False
    allow_merge_upsert = True

    def get_sqlalchemy_url(self, config: dict[str, Any]) -> str:
        return f"sqlite:///{config['path']}"


class SqliteSink(SQLSink[SqliteConnector]):
    connector_class = SqliteConnector
    max_size = 10_000

    @property
    def schema_name(self) -> None:
        return None

    def generate_insert_statement(self, full_table_name: Any, schema: dict[str, Any]) -> Any:  # noqa: ANN401  the SDK's
        return super().generate_insert_statement(full_table_name, schema).prefix_with("OR REPLACE")


class SqliteTarget(SQLTarget):
    name = "target-sqlite"
    config_jsonschema = th.PropertiesList(th.Property("path", th.StringType, required=True)).to_dict()
    default_sink_class = SqliteSink


if __name__ == "__main__":
    sqlite3.register_adapter(Decimal, float)
    SqliteTarget.cli()
