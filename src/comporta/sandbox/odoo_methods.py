"""The model methods a client may call, each over one search, read or transaction.

Positional and named arguments are bound by the signatures below, as Python binds them inside Odoo.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from comporta.sandbox.odoo_errors import (
    ACCESS_ERROR,
    TYPE_ERROR,
    UNPROCESSABLE,
    OdooError,
    unknown_method,
    unknown_model,
)
from comporta.sandbox.odoo_fields import Field
from comporta.sandbox.odoo_groups import formatted_read_group, read_group
from comporta.sandbox.odoo_query import Search, company_rule, count, find, read_rows
from comporta.sandbox.odoo_world import World

Arguments = dict[str, Any]
Method = Callable[["Call"], Any]
PARAMETERS = "ir.config_parameter"
SINCE = {"has_access": 18, "formatted_read_group": 19}
USER_CONTEXT = {"lang": "pt_BR", "tz": "America/Sao_Paulo", "uid": 2}


@dataclass(frozen=True, slots=True)
class Address:
    """Which method of which model of which world is called."""

    world: World
    model: str
    method: str

    @property
    def label(self) -> str:
        """Return ``model/method``, by which faults and statistics know the call."""
        return f"{self.model}/{self.method}"


class Call:
    """One call of one method: the world, the model, the arguments by name, the context."""

    def __init__(self, world: World, model: str, arguments: Arguments) -> None:
        self.world = world
        self.model = model
        self.context: Mapping[str, Any] = arguments.pop("context", None) or {}
        self.arguments = arguments

    def get(self, name: str, default: Any = None) -> Any:
        """Return an argument; absent, null and false mean the default."""
        return self.arguments.get(name) or default

    def ids(self) -> list[int]:
        """Return the record ids the method is called on."""
        ids = self.arguments.get("ids") or []
        return [ids] if isinstance(ids, int) else list(ids)

    def search(self) -> Search:
        """Return the search that domain, offset, limit and order describe."""
        return Search(
            self.model,
            self.get("domain", ()),
            self.get("offset", 0),
            self.get("limit"),
            self.get("order", ""),
            self.context,
        )

    def with_labels(self) -> bool:
        """Tell whether many2one fields carry their label: always, unless ``load`` says otherwise."""
        return bool(self.arguments.get("load", "_classic_read") == "_classic_read")


def search(call: Call) -> list[int]:
    """Return ids."""
    return [row[0] for row in find(call.world, call.search())]


def search_count(call: Call) -> int:
    """Return how many records match."""
    return count(call.world, call.search())


def search_read(call: Call) -> list[dict[str, Any]]:
    """Return records that match."""
    rows = find(call.world, call.search())
    return read_rows(call.world, call.model, rows, call.get("fields", ()), with_labels=call.with_labels())


def read(call: Call) -> list[dict[str, Any]]:
    """Return records by id: missing ones are left out, but for ``["id"]`` alone, which is echoed (measured)."""
    fields = call.get("fields", ())
    if list(fields) == ["id"]:
        return [{"id": known} for known in call.ids()]
    stored = call.world.table(call.model).rows
    rows = [stored[known] for known in call.ids() if known in stored]
    for condition in company_rule(call.world, call.model, call.context):
        if not all(condition.test(row) for row in rows):
            raise OdooError(ACCESS_ERROR, "Due to security restrictions, you are not allowed to access these records.")
    return read_rows(call.world, call.model, rows, fields, with_labels=call.with_labels())


def fields_get(call: Call) -> dict[str, dict[str, Any]]:
    """Return the model's fields with the attributes asked for."""
    wanted = set(call.get("allfields", ()))
    attributes = set(call.get("attributes", ()))
    described = {
        name: _describe(known)
        for name, known in call.world.table(call.model).model.fields.items()
        if not wanted or name in wanted
    }
    if not attributes:
        return described
    return {
        name: {key: value for key, value in known.items() if key in attributes} for name, known in described.items()
    }


def get_param(call: Call) -> Any:
    """Return a system parameter; there is only the database's identity."""
    return call.world.uuid if call.get("key") == "database.uuid" else call.get("default", False)


def create(call: Call) -> int | list[int]:
    """Create one record, or several in one transaction."""
    values = call.arguments.get("vals_list")
    if isinstance(values, Mapping):
        return call.world.create(call.model, values)
    return call.world.create_many(call.model, values or [])


def write(call: Call) -> bool:
    """Write the same values to records."""
    call.world.write(call.model, call.ids(), call.get("vals", {}))
    return True


def unlink(call: Call) -> bool:
    """Delete records."""
    call.world.unlink(call.model, call.ids())
    return True


def set_cell(name: str, *, value: Any) -> Method:
    """Return a method that writes one fixed value, as Odoo's buttons do."""

    def press(call: Call) -> bool:
        call.world.write(call.model, call.ids(), {name: value})
        return True

    return press


def bind(call: Address, positional: Sequence[Any], named: Mapping[str, Any]) -> Arguments:
    """Return the arguments by name, or raise as Python would inside Odoo."""
    names = signature(call)
    method = call.method
    if len(positional) > len(names):
        raise OdooError(TYPE_ERROR, f"{method}() takes {len(names)} positional arguments but more were given")
    arguments = dict(zip(names, positional, strict=False))
    unknown = set(named) - set(names) - {"context", "load"}
    if unknown and method != "message_post":
        raise OdooError(TYPE_ERROR, f"{method}() got an unexpected keyword argument {min(unknown)!r}")
    return arguments | dict(named)


def bind_json2(call: Address, named: Mapping[str, Any]) -> Arguments:
    """Return JSON-2's named arguments: 422 for those the signature lacks, 500 where ``**kwargs`` let them in."""
    names = signature(call)
    method = call.method
    if "ids" in named and "ids" not in names:
        raise OdooError(UNPROCESSABLE, f"cannot call {call.model}.{method} with ids")
    required = {
        "create": ("vals_list",),
        "write": ("vals",),
        "get_param": ("key",),
        "read_group": ("fields", "groupby"),
    }
    missing = [name for name in required.get(method, ()) if name not in named]
    unknown = sorted(set(named) - set(names) - {"context"})
    if missing or (unknown and method != "search_read"):
        raise OdooError(UNPROCESSABLE, f"missing or unexpected argument: {[*missing, *unknown][0]!r}")
    return bind(call, (), named)


def signature(call: Address) -> tuple[str, ...]:
    """Return a method's argument names, or raise as Odoo does for a model or method it does not have."""
    model, method = call.model, call.method
    if model not in call.world.models and model != PARAMETERS:
        raise unknown_model(model)
    if method.startswith("_"):
        raise OdooError(ACCESS_ERROR, f"Private methods (such as {model}.{method}) cannot be called remotely.")
    is_there = method in METHODS and call.world.version >= SINCE.get(method, 0)
    if not is_there or (model == PARAMETERS) != (method == "get_param"):
        raise unknown_method(model, method)
    return METHODS[method][1]


def invoke(call: Address, arguments: Arguments) -> Any:
    """Run one method whose arguments are bound; what Python itself refuses has its builtin's name."""
    try:
        with call.world.lock:
            return METHODS[call.method][0](Call(call.world, call.model, arguments))
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError) as error:
        raise OdooError(f"builtins.{type(error).__name__}", str(error)) from error


def _describe(known: Field) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": known.name,
        "type": known.type,
        "string": known.label,
        "store": known.is_stored,
        "required": known.is_required,
        "readonly": not known.is_stored or known.name in {"id", "create_date", "write_date"},
        "searchable": known.is_stored or bool(known.inherited_through),
        "sortable": known.has_cell,
        "company_dependent": False,
        "depends": [],
    }
    if known.relation:
        described["relation"] = known.relation
        described["domain"] = []
        described["context"] = {}
    if known.selection:
        described["selection"] = [[option, option.replace("_", " ").title()] for option in known.selection]
    if known.inherited_through:
        described["related"] = f"{known.inherited_through}.{known.name}"
    return described


# A posted message moves no stamp (measured), so there is nothing to do for message_post. Rights are
# looked at before a method is reached: whoever gets here may do all.
_SEARCH = ("domain", "offset", "limit", "order")
METHODS: dict[str, tuple[Method, tuple[str, ...]]] = {
    "search": (search, _SEARCH),
    "search_count": (search_count, ("domain", "limit")),
    "search_read": (search_read, ("domain", "fields", "offset", "limit", "order", "load")),
    "read": (read, ("ids", "fields", "load")),
    "fields_get": (fields_get, ("allfields", "attributes")),
    "read_group": (
        lambda call: read_group(call.world, call.model, call.arguments, call.context),
        ("domain", "fields", "groupby", "offset", "limit", "orderby", "lazy"),
    ),
    "formatted_read_group": (
        lambda call: formatted_read_group(call.world, call.model, call.arguments, call.context),
        ("domain", "groupby", "aggregates", "having", "offset", "limit", "order"),
    ),
    "check_access_rights": (lambda call: True, ("operation", "raise_exception")),
    "has_access": (lambda call: True, ("ids", "operation")),
    "context_get": (lambda call: dict(USER_CONTEXT), ()),
    "get_param": (get_param, ("key", "default")),
    "create": (create, ("vals_list",)),
    "write": (write, ("ids", "vals")),
    "unlink": (unlink, ("ids",)),
    "action_archive": (set_cell("active", value=False), ("ids",)),
    "action_unarchive": (set_cell("active", value=True), ("ids",)),
    "action_confirm": (set_cell("state", value="sale"), ("ids",)),
    "action_cancel": (set_cell("state", value="cancel"), ("ids",)),
    "action_draft": (set_cell("state", value="draft"), ("ids",)),
    "message_post": (lambda call: 1, ("ids", "body")),
}
