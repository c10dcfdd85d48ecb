"""XML-RPC: every version until 22, three times the bytes of JSON, and the last resort.

Kept apart so that the parser is imported only where the protocol is used.
"""

from dataclasses import dataclass, field
from typing import TypeVar
from xml.parsers.expat import ExpatError
from xmlrpc.client import Fault, ResponseError, dumps, loads

import msgspec

from comporta.errors import SourceTruncated
from comporta.sources.answers import Answer, Ask, describe
from comporta.sources.odoo_calls import Call, refuse_missing
from comporta.sources.odoo_errors import Trouble, server_error

T = TypeVar("T")

_HEADERS = {"Content-Type": "text/xml", "Accept": "text/xml"}


@dataclass(frozen=True, slots=True)
class XmlRpc:
    """``POST /xmlrpc/2/object``."""

    base: str
    database: str
    uid: int = 0
    key: str = field(default="", repr=False)
    name: str = "xmlrpc"

    def ask(self, call: Call) -> Ask:
        """Return the request that carries the call."""
        args = [
            self.database,
            self.uid,
            self.key,
            call.model,
            call.method,
            list(call.args.values()),
            dict(call.options),
        ]
        return self.service(call.subject, "object", "execute_kw", args)

    def service(self, subject: str, service: str, method: str, args: list[object]) -> Ask:
        """Return the request for a service's own method."""
        body = dumps(tuple(args), methodname=method, allow_none=True).encode()  # type: ignore[arg-type]  # typeshed knows fewer values
        return Ask("POST", f"{self.base}/xmlrpc/2/{service}", subject, "XML", headers=_HEADERS, body=body)

    def explains(self, answer: Answer) -> bool:
        """Say whether the path is missing; every fault comes with status 200."""
        return answer.status == 404

    def typed(self, call: Call, answer: Answer, wanted: type[T]) -> T:
        """Return the result converted to ``wanted``."""
        return msgspec.convert(self.loose(call, answer), wanted)

    def loose(self, call: Call, answer: Answer) -> object:
        """Return the result as plain values, or raise what the fault stands for."""
        refuse_missing(answer, call.subject, path="/xmlrpc/2", other="jsonrpc or json2")
        try:
            (result,), _ = loads(answer.body, use_builtin_types=True)
        except Fault as fault:
            trouble = Trouble.of_fault(int(fault.faultCode) if str(fault.faultCode).isdigit() else 0, fault.faultString)
            # from None: a fault carries the server's whole traceback, which may quote what we sent
            raise server_error(trouble, call_of=call, database=self.database, key=self.key) from None
        except (ExpatError, ResponseError, ValueError, TypeError, LookupError) as error:
            seen = f"{call.subject} answered {answer.status} with {len(answer.body)} bytes that are not valid XML-RPC"
            raise SourceTruncated(f"{seen} ({error}): {describe(answer)}; expected XML") from error
        value: object = result
        return value
