"""The faults that lie inside Odoo: rights, missing models, and answers that are wrong but well formed.

They wrap the call of a model method; the connection-level ones are in ``server``.
"""

import re
from collections.abc import Sequence
from typing import Any

from comporta.sandbox.faults import Faults
from comporta.sandbox.odoo_errors import no_access, unknown_model
from comporta.sandbox.odoo_methods import Address, Arguments, invoke
from comporta.sandbox.server import TRANSPORT_FAULTS

ODOO_FAULTS = {
    **TRANSPORT_FAULTS,
    "wrong_login": "1",
    "access_error": "sale.order.line",
    "deny_model": "ir.config_parameter",
    "missing_model": "sale.order.line",
    "short_page": "1",
    "empty_page": "1",
    "lying_count": "1.1",
    "shrinking_total": "0.1",
    "ignore_filter": "1",
    "other_database": "1",
}
READS = frozenset({"search", "search_read", "search_count", "read", "read_group", "formatted_read_group"})


def invoke_with_faults(call: Address, faults: Faults, arguments: Arguments) -> Any:
    """Run one method as ``invoke`` does, spoilt as the active faults demand."""
    label, method = call.label, call.method
    is_asking = method in {"check_access_rights", "has_access"}
    if is_asking and not arguments.get("raise_exception", method == "check_access_rights"):
        return not faults.names("deny_model", call.model)
    _check_rights(faults, call.model, method)
    if "domain" in arguments and faults.happens("ignore_filter", label):
        arguments["domain"] = without_stamp(arguments["domain"] or ())
    answer = invoke(call, arguments)
    if method == "get_param" and faults.happens("other_database", label):
        return f"{answer}"[::-1]
    if method == "search_count":
        return _miscounted(faults, label, answer)
    if method in {"search", "search_read"} and answer:
        return _shortened(faults, label, answer)
    return answer


def without_stamp(domain: Sequence[Any]) -> list[Any]:
    """Return the domain with every condition on ``write_date`` made true.

    >>> without_stamp([["write_date", ">=", "2026-01-01 00:00:00"], ["id", ">", 3]])
    [[1, '=', 1], ['id', '>', 3]]
    """
    return [[1, "=", 1] if not isinstance(item, str) and item[0] == "write_date" else item for item in domain]


def _check_rights(faults: Faults, model: str, method: str) -> None:
    label = re.sub(r"[._]", " ", model).title()
    if faults.names("missing_model", model):
        raise unknown_model(model)
    if faults.names("deny_model", model):
        raise no_access(model, label)
    if method in READS and faults.names("access_error", model):
        raise no_access(model, label)


def _miscounted(faults: Faults, label: str, counted: int) -> int:
    lie = faults.strikes("lying_count", label)
    if lie is not None:
        return int(counted * lie.number) + (lie.number > 1)
    shrink = faults.strikes("shrinking_total", label)
    if shrink is not None:
        lost = faults.struck.get("shrinking_total", 1) - 1
        return int(counted * max(0.0, 1 - shrink.number * lost))
    return counted


def _shortened(faults: Faults, label: str, rows: list[Any]) -> list[Any]:
    if faults.happens("empty_page", label):
        return []
    if faults.happens("short_page", label):
        return rows[: max(0, len(rows) * 2 // 3 - 1)]
    return rows
