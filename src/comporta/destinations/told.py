"""What the log tells of a table or a view that was made, widened or left as it was.

The message is what is stored; the fields are what it is said of in other languages, and must say it all.
"""

from collections.abc import Iterable, Mapping

from comporta.ports.progress import LogLine


def table_made(table: str, columns: int) -> LogLine:
    """Tell of a new table."""
    return _changed(f"table {table} created with {columns} columns", {"table": table, "columns": columns})


def columns_made(table: str, names: Iterable[str]) -> LogLine:
    """Tell of new columns in a table that was there."""
    added = ", ".join(names)
    return _changed(f"table {table}: new columns {added}", {"table": table, "added": added})


def column_widened(table: str, name: str, kind: str) -> LogLine:
    """Tell of a column that takes more now."""
    return _changed(f"table {table}: {name} is {kind} now", {"table": table, "column": name, "type": kind})


def view_made(view: str, *, is_there: bool) -> LogLine:
    """Tell of a view that is new, or was there and is another now."""
    if is_there:
        return _changed(f"view {view} made again", {"made_again": view})
    return _changed(f"view {view} created", {"view": view})


def view_left(view: str, others: str) -> LogLine:
    """Tell of a view that could not be made again, because of what others built on it."""
    message = (
        f"view {view} stays as it was, without the latest custom fields: {others};"
        " drop what depends on it, and the next run makes it again"
    )
    return LogLine("warning", "schema_changed", message, {"left": view, "others": others})


def _changed(message: str, fields: Mapping[str, object]) -> LogLine:
    return LogLine("info", "schema_changed", message, fields)
