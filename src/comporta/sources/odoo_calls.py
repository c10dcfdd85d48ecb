"""A call of a model's method, and the three protocols that carry it.

JSON-RPC and XML-RPC take the first arguments by position, because their names changed between
versions; JSON-2 takes names only. ``typed`` decodes straight into the wanted type and lets the
decoder's own error through; ``loose`` decodes anything valid and raises what the server said.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Generic, Protocol, TypeVar, cast

import msgspec

from comporta.errors import SourceChangedShape
from comporta.errors_odoo import ProtocolUnsupported
from comporta.sources.answers import Answer, Ask, describe, parse_json
from comporta.sources.odoo_errors import Trouble, server_error

T = TypeVar("T")

UNFIT = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What a decoder raises for an answer that is not of the wanted type, or not valid at all."""

_JSON = {"Content-Type": "application/json", "Accept": "application/json"}


@dataclass(frozen=True, slots=True)
class Call:
    """One method of one model. ``subject`` says in words what is attempted on what."""

    subject: str
    model: str
    method: str
    args: Mapping[str, object] = field(default_factory=dict)
    options: Mapping[str, object] = field(default_factory=dict)


class Dialect(Protocol):
    """One protocol with one login."""

    @property
    def name(self) -> str:
        """The protocol's name, as in comporta.toml."""

    def ask(self, call: Call) -> Ask:
        """Return the request that carries the call."""

    def explains(self, answer: Answer) -> bool:
        """Say whether an answer of an error status is this protocol's own."""

    def typed(self, call: Call, answer: Answer, wanted: type[T]) -> T:
        """Return the result decoded as ``wanted``; raise one of ``UNFIT`` if it is not that."""

    def loose(self, call: Call, answer: Answer) -> object:
        """Return the result as plain values; raise what the server reports instead of one."""


class Reply(msgspec.Struct, Generic[T]):
    """The envelope of JSON-RPC."""

    result: T | msgspec.UnsetType = msgspec.UNSET
    error: msgspec.Raw | msgspec.UnsetType | None = msgspec.UNSET


@lru_cache(maxsize=64)
def _reply_decoder(wanted: Any) -> msgspec.json.Decoder[Any]:  # noqa: ANN401 - a type is the argument
    """Return the decoder of a JSON-RPC answer whose result is of this type; building one costs 100 µs."""
    return msgspec.json.Decoder(Reply[wanted])


@lru_cache(maxsize=64)
def _bare_decoder(wanted: Any) -> msgspec.json.Decoder[Any]:  # noqa: ANN401 - as above
    """Return the decoder of a JSON-2 answer of this type."""
    return msgspec.json.Decoder(wanted)


@dataclass(frozen=True, slots=True)
class JsonRpc:
    """``POST /jsonrpc``: every version, deprecated since 19."""

    base: str
    database: str
    uid: int = 0
    key: str = field(default="", repr=False)
    name: str = "jsonrpc"

    def ask(self, call: Call) -> Ask:
        """Return the request that carries the call."""
        args = [self.database, self.uid, self.key, call.model, call.method, list(call.args.values()), call.options]
        return self.service(call.subject, "object", "execute_kw", args)

    def service(self, subject: str, service: str, method: str, args: list[object]) -> Ask:
        """Return the request for a service's own method, such as ``common.authenticate``."""
        params = {"service": service, "method": method, "args": args}
        body = msgspec.json.encode({"jsonrpc": "2.0", "method": "call", "params": params, "id": 1})
        return Ask("POST", f"{self.base}/jsonrpc", subject, headers=_JSON, body=body)

    def explains(self, answer: Answer) -> bool:
        """Say whether the path is missing; every error of the server itself comes with status 200."""
        return answer.status == 404

    def typed(self, call: Call, answer: Answer, wanted: type[T]) -> T:
        """Return the result decoded as ``wanted``."""
        refuse_missing(answer, call.subject, path="/jsonrpc", other="xmlrpc or json2")
        reply: Reply[T] = _reply_decoder(cast("Any", wanted)).decode(answer.body)
        if isinstance(reply.error, msgspec.UnsetType | None) and not isinstance(reply.result, msgspec.UnsetType):
            return reply.result
        self.loose(call, answer)
        message = "neither error nor result"
        raise msgspec.DecodeError(message)

    def loose(self, call: Call, answer: Answer) -> object:
        """Return the result as plain values, or raise the error in the envelope."""
        envelope = parse_json(answer, subject=call.subject)
        if isinstance(envelope, dict) and envelope.get("error") is not None:
            raise server_error(Trouble.of_json(envelope["error"]), call_of=call, database=self.database, key=self.key)
        if isinstance(envelope, dict) and "result" in envelope:
            result: object = envelope["result"]
            return result
        message = f'{call.subject} answered {answer.status} with no "result" key ({describe(answer)}); expected one'
        raise SourceChangedShape(message)


@dataclass(frozen=True, slots=True)
class Json2:
    """``POST /json/2/<model>/<method>``: from 19 on, with an API key as bearer; no login, named arguments."""

    base: str
    database: str
    key: str = field(default="", repr=False)
    name: str = "json2"

    def ask(self, call: Call) -> Ask:
        """Return the request that carries the call."""
        headers = {**_JSON, "Authorization": f"bearer {self.key}", "X-Odoo-Database": self.database}
        body = msgspec.json.encode({**call.args, **call.options})
        return Ask("POST", f"{self.base}/json/2/{call.model}/{call.method}", call.subject, headers=headers, body=body)

    def explains(self, answer: Answer) -> bool:
        """Say whether the server itself refused, with a JSON object."""
        return answer.status == 404 or (answer.status >= 400 and answer.status != 429 and _is_object(answer))

    def typed(self, call: Call, answer: Answer, wanted: type[T]) -> T:
        """Return the result decoded as ``wanted``."""
        if answer.status >= 400:
            self.loose(call, answer)
        result: T = _bare_decoder(cast("Any", wanted)).decode(answer.body)
        return result

    def loose(self, call: Call, answer: Answer) -> object:
        """Return the result as plain values, or raise the error that status and body tell."""
        if answer.status == 404 and not _is_object(answer):
            refuse_missing(answer, call.subject, path="/json/2", other="jsonrpc or xmlrpc")
        result = parse_json(answer, subject=call.subject)
        if answer.status >= 400:
            raise server_error(
                Trouble.of_json2(answer.status, result), call_of=call, database=self.database, key=self.key
            )
        return result


def _is_object(answer: Answer) -> bool:
    return bytes(answer.body[:64]).lstrip().startswith(b"{")


def refuse_missing(answer: Answer, subject: str, *, path: str, other: str) -> None:
    """Raise when the server does not have the protocol's own path."""
    if answer.status != 404:
        return
    message = f"{subject} answered 404 with {describe(answer)}; expected the server to know {path}"
    next_step = f"This server does not offer that protocol: remove `protocol` from the account, or set it to {other}."
    raise ProtocolUnsupported(message, next_step=next_step)
