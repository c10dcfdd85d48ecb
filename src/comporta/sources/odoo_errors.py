"""Which of our errors an Odoo error is, by the exception's name; by its text only where no name exists.

Texts of a server are translated and may quote what we sent. They are shown one line long, without
the traceback, and with the key masked.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from comporta.errors import (
    AccessRefused,
    ComportaError,
    LoginRefused,
    SourceBadGateway,
    SourceRefused,
    SourceUnavailable,
    UnknownField,
    UnknownStream,
)
from comporta.errors_odoo import ProtocolUnsupported, UnknownDatabase
from comporta.sources.answers import SECRET_LEAST, quote


class Attempt(Protocol):
    """What was attempted: the part of a call that errors are judged by."""

    @property
    def subject(self) -> str:
        """What in words."""

    @property
    def model(self) -> str:
        """Which model."""

    @property
    def method(self) -> str:
        """Which method."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A server's error: the exception's name without its module, its text, the HTTP status or fault code."""

    name: str
    text: str
    code: int = 0

    @property
    def short(self) -> str:
        """Return the name without its module."""
        return self.name.rpartition(".")[2]

    @staticmethod
    def of_json(error: object) -> "Trouble":
        """Read the ``error`` of a JSON-RPC envelope."""
        outer = error if isinstance(error, Mapping) else {"message": str(error)}
        data = outer.get("data")
        inner = data if isinstance(data, Mapping) else {}
        code = outer.get("code")
        text = inner.get("message") or outer.get("message") or ""
        return Trouble(str(inner.get("name", "")), str(text), code if isinstance(code, int) else 0)

    @staticmethod
    def of_json2(status: int, body: object) -> "Trouble":
        """Read the body of a JSON-2 answer that is not 2xx."""
        inner = body if isinstance(body, Mapping) else {}
        return Trouble(str(inner.get("name", "")), str(inner.get("message", "")), status)

    @staticmethod
    def of_fault(code: int, text: str) -> "Trouble":
        """Read an XML-RPC fault: code 1 holds a whole traceback, whose last line names the exception."""
        known = {2: "odoo.exceptions.UserError", 3: "odoo.exceptions.AccessDenied", 4: "odoo.exceptions.AccessError"}
        if code in known:
            return Trouble(known[code], text, code)
        tail = text[text.rfind('\n  File "') + 1 :]
        raised = [line for line in tail.splitlines() if line.strip() and not line.startswith((" ", "\t"))]
        found = _EXCEPTION_LINE.match(raised[0]) if raised else None
        if found is None:
            return Trouble("", raised[0] if raised else text, code)
        return Trouble(found[1], " ".join([raised[0][found.end() :], *raised[1:]]), code)


_EXCEPTION_LINE = re.compile(r"((?:[A-Za-z_]\w*\.)*[A-Z]\w*)(?::|$)")

_TRANSIENT = frozenset(
    {
        "SerializationFailure",
        "TransactionRollbackError",
        "DeadlockDetected",
        "LockNotAvailable",
        "QueryCanceled",
        "QueryCanceledError",
        "OperationalError",
        "InterfaceError",
        "AdminShutdown",
        "PoolError",
        "RegistryError",
        "SessionExpiredException",
        "MemoryError",
        "UndefinedColumn",
        "UndefinedTable",
        "ServiceUnavailable",
        "TooManyRequests",
    }
)
"""Exceptions that pass: another transaction won, the database restarts, a module is being upgraded."""

_NO_SUCH_DATABASE = re.compile(r"does not exist|não existe|no existe|n.existe pas|existiert nicht|non esiste")


def server_error(trouble: Trouble, *, call_of: Attempt, database: str, key: str) -> ComportaError:
    """Return the error that the server's answer to this call stands for."""
    text = quote(trouble.text.replace(key, "***") if len(key) >= SECRET_LEAST else trouble.text)
    name = trouble.name or f"code {trouble.code}"
    seen = f"{call_of.subject}: the server answered {name}: {text}"
    for is_it, make in _RULES:
        if is_it(trouble, call_of):
            return make(seen, call_of, database)
    if trouble.code >= 500 and not trouble.name:
        return SourceBadGateway(f"{seen}; expected a result")
    return SourceRefused(f"{seen}; expected a result")


Rule = tuple[Callable[[Trouble, Attempt], bool], Callable[[str, Attempt, str], ComportaError]]


def _is_denied(trouble: Trouble, _: Attempt) -> bool:
    return trouble.short in {"AccessDenied", "Unauthorized"} or (not trouble.name and trouble.code == 401)


def _is_forbidden(trouble: Trouble, _: Attempt) -> bool:
    return trouble.short in {"AccessError", "Forbidden"} or (not trouble.name and trouble.code == 403)


def _is_no_database(trouble: Trouble, call: Attempt) -> bool:
    is_connecting = trouble.short in {"OperationalError", "InvalidCatalogName"} and not call.model
    return is_connecting and _NO_SUCH_DATABASE.search(trouble.text) is not None


def _is_transient(trouble: Trouble, _: Attempt) -> bool:
    return trouble.short in _TRANSIENT


def _is_too_big(trouble: Trouble, _: Attempt) -> bool:
    return trouble.short == "OverflowError" and "XML-RPC" in trouble.text


def _is_no_method(trouble: Trouble, call: Attempt) -> bool:
    quoted = re.search(rf"\b{re.escape(call.method)}\b", trouble.text) is not None
    return bool(call.method) and quoted and (trouble.short in {"AttributeError", "NotFound"})


def _is_no_model(trouble: Trouble, call: Attempt) -> bool:
    """No exception of its own: UserError, KeyError or 404, told by the model's technical name in it."""
    is_named = bool(call.model) and call.model in trouble.text
    return is_named and trouble.short in {"UserError", "KeyError", "NotFound"}


def _is_nowhere(trouble: Trouble, _: Attempt) -> bool:
    """JSON-2 finds no database of that name, and with it neither model nor method."""
    return trouble.short == "NotFound"


def _is_no_field(trouble: Trouble, _: Attempt) -> bool:
    return trouble.short in {"ValueError", "KeyError"} and "field" in trouble.text.lower()


_RULES: tuple[Rule, ...] = (
    (_is_denied, lambda seen, _, __: LoginRefused(f"{seen}; expected the login and key to be accepted")),
    (_is_forbidden, lambda seen, call, __: AccessRefused(f"{seen}; expected read access to {call.model or 'it'}")),
    (_is_no_database, lambda seen, _, name: UnknownDatabase(f"{seen}; expected a database called {name!r}")),
    (_is_transient, lambda seen, _, __: SourceUnavailable(f"{seen}; expected a result", next_step=_PASSES)),
    (_is_too_big, lambda seen, _, __: ProtocolUnsupported(f"{seen}; expected a result", next_step=_OTHER_PROTOCOL)),
    (_is_no_method, lambda seen, call, __: ProtocolUnsupported(f"{seen}; expected {call.model} to have {call.method}")),
    (_is_no_model, lambda seen, call, __: UnknownStream(f"{seen}; expected a model called {call.model}")),
    (_is_nowhere, lambda seen, _, name: UnknownDatabase(f"{seen}; expected a database called {name!r}")),
    (_is_no_field, lambda seen, call, __: UnknownField(f"{seen}; expected fields of {call.model}")),
)

_OTHER_PROTOCOL = "XML-RPC carries no integers beyond 32 bits: set `protocol` of the account to jsonrpc or json2."
_PASSES = "It usually passes and is tried again by itself; if it stays, look at the Odoo server's own log."
