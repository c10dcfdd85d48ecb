"""Odoo's errors, and the form each protocol gives them.

JSON-RPC answers HTTP 200 with ``error.data.name``; XML-RPC a fault numbered 1 to 4; JSON-2 a true
HTTP status. The name is the Python class inside Odoo and the only part that is alike everywhere.
"""

from typing import Any

ACCESS_DENIED = "odoo.exceptions.AccessDenied"
ACCESS_ERROR = "odoo.exceptions.AccessError"
MISSING_ERROR = "odoo.exceptions.MissingError"
USER_ERROR = "odoo.exceptions.UserError"
VALIDATION_ERROR = "odoo.exceptions.ValidationError"
VALUE_ERROR = "builtins.ValueError"
TYPE_ERROR = "builtins.TypeError"
ATTRIBUTE_ERROR = "builtins.AttributeError"
NO_DATABASE = "psycopg2.OperationalError"
SERIALIZATION = "psycopg2.errors.SerializationFailure"
UNAUTHORIZED = "werkzeug.exceptions.Unauthorized"
NOT_FOUND = "werkzeug.exceptions.NotFound"
UNPROCESSABLE = "werkzeug.exceptions.UnprocessableEntity"
BAD_REQUEST = "werkzeug.exceptions.BadRequest"
NOT_ALLOWED = "werkzeug.exceptions.MethodNotAllowed"

_FAULT_CODES = {
    USER_ERROR: 2,
    MISSING_ERROR: 2,
    VALIDATION_ERROR: 2,
    ACCESS_DENIED: 3,
    ACCESS_ERROR: 4,
}
_STATUSES = {
    UNAUTHORIZED: 401,
    ACCESS_DENIED: 403,
    ACCESS_ERROR: 403,
    MISSING_ERROR: 404,
    NOT_FOUND: 404,
    NOT_ALLOWED: 405,
    BAD_REQUEST: 400,
    UNPROCESSABLE: 422,
    USER_ERROR: 422,
    VALIDATION_ERROR: 422,
}
# JSON-2 knows a missing model or method before any model code runs, and says so with a plain 404.
UNKNOWN_NAME = "unknown name"


class OdooError(Exception):
    """An exception as Odoo would raise it inside, with its class name."""

    def __init__(self, name: str, message: str, *, kind: str = "") -> None:
        super().__init__(message)
        self.name = name
        self.message = message
        self.kind = kind

    @property
    def traceback(self) -> str:
        """Return the text of an invented traceback that ends as Python's would."""
        return (
            "Traceback (most recent call last):\n"
            '  File "/opt/odoo/odoo/http.py", line 1788, in _serve_db\n'
            "    return service_model.retrying(self._serve_ir_http, self.env)\n"
            f"{self.name}: {self.message}\n"
        )

    def as_data(self) -> dict[str, Any]:
        """Return the five keys that JSON-RPC and JSON-2 share."""
        return {
            "name": self.name,
            "message": self.message,
            "arguments": [self.message],
            "context": {},
            "debug": self.traceback,
        }

    def as_jsonrpc(self, version: int) -> dict[str, Any]:
        """Return the ``error`` member of a JSON-RPC answer."""
        return {
            "code": 0 if version >= 19 else 200,
            "message": "Odoo Server Error",
            "data": self.as_data(),
        }

    def as_fault(self) -> tuple[int, str]:
        """Return code and text of an XML-RPC fault: anything unforeseen shows its whole traceback."""
        code = _FAULT_CODES.get(self.name, 1)
        return code, self.traceback if code == 1 else self.message

    def as_json2(self) -> tuple[int, dict[str, Any]]:
        """Return HTTP status and body of a JSON-2 answer."""
        if self.kind == UNKNOWN_NAME:
            return 404, OdooError(NOT_FOUND, self.message).as_json2()[1]
        status = _STATUSES.get(self.name, 500)
        data = self.as_data()
        if self.name.startswith("werkzeug."):
            data["arguments"] = [self.message, status]
        return status, data


def unknown_field(model: str, name: str, *, place: str = "") -> OdooError:
    """Return what Odoo says about a field the model does not have."""
    where = f"Invalid field {model}.{name} {place}" if place else f"Invalid field {name!r} on model {model!r}"
    return OdooError(VALUE_ERROR, where)


def unknown_model(name: str) -> OdooError:
    """Return what Odoo says about a model that is not installed."""
    return OdooError(USER_ERROR, f"Object {name} doesn't exist", kind=UNKNOWN_NAME)


def unknown_method(model: str, name: str) -> OdooError:
    """Return what Odoo says about a method the model does not have."""
    return OdooError(ATTRIBUTE_ERROR, f"The method '{model}.{name}' does not exist", kind=UNKNOWN_NAME)


def no_access(model: str, label: str) -> OdooError:
    """Return what Odoo says to a user who may not read a model."""
    message = (
        f"You are not allowed to access '{label}' ({model}) records.\n\n"
        "This operation is allowed for the following groups:\n\t- Sales/User: All Documents\n\n"
        "Contact your administrator to request access if necessary."
    )
    return OdooError(ACCESS_ERROR, message)


def missing_record(model: str, ids: list[int]) -> OdooError:
    """Return what Odoo says about records that were deleted."""
    listed = ",".join(str(known) for known in ids)
    return OdooError(
        MISSING_ERROR, f"Record does not exist or has been deleted.\n(Record: {model}({listed},), User: 2)"
    )
