"""Finding out which server it is, which protocol to speak, and whether it lets us in.

From 19 on JSON-2 is asked first, with the key as bearer; a password, or a server that has switched
it off, leads to JSON-RPC, and a server without that to XML-RPC.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from typing import Protocol as TypingProtocol

import msgspec

from comporta.errors import ComportaError, LoginRefused, SourceAnsweredPage
from comporta.errors_odoo import ProtocolUnsupported, UnknownDatabase
from comporta.ports.clock import Clock
from comporta.ports.progress import Progress
from comporta.sources.answers import Answer, Ask, refusal
from comporta.sources.http import Transport
from comporta.sources.odoo_calls import Call, Dialect, Json2, JsonRpc
from comporta.sources.odoo_config import OdooConfig, Protocol
from comporta.sources.odoo_session import OdooSession, decode, refuse

JSON2_SINCE = 19


T = TypeVar("T")


class LoginDialect(Dialect, TypingProtocol):
    """A protocol that logs in, at a service of its own."""

    def service(self, subject: str, service: str, method: str, args: list[object]) -> Ask:
        """Return the request for a service's own method."""


@dataclass(frozen=True, slots=True)
class Version:
    """The server's version as it names itself, and the number that decides what it can do."""

    text: str
    major: int


class Login:
    """The steps of one login."""

    def __init__(
        self, config: OdooConfig, *, account: str, clock: Clock, transport: Transport, progress: Progress
    ) -> None:
        self._config = config
        self._account = account
        self._clock = clock
        self._transport = transport
        self._progress = progress

    async def open(self) -> OdooSession:
        """Return a session over the protocol that was set, or the best that the server accepts."""
        version = await self.version()
        if self._config.protocol is not None:
            return await self._open(self._config.protocol, version)
        choice: list[Protocol] = ["jsonrpc", "xmlrpc"]
        if version.major >= JSON2_SINCE:
            choice.insert(0, "json2")
        first_refusal: ComportaError | None = None
        for protocol in choice:
            try:
                return await self._open(protocol, version)
            except ProtocolUnsupported as error:
                first_refusal = first_refusal or error
            except LoginRefused as error:
                if protocol != "json2":
                    raise
                first_refusal = error
        assert first_refusal is not None  # noqa: S101 - the loop either returned or set it
        raise first_refusal

    async def version(self) -> Version:
        """Return the server's version: asked of the newest address first, then of the older ones."""
        base = self._config.base
        subject = f"odoo/{self._account}: the server's version"
        envelope = b'{"jsonrpc":"2.0","method":"call","params":{},"id":1}'
        json = {"Content-Type": "application/json"}
        asks = (
            Ask("GET", f"{base}/web/version", subject),
            Ask("POST", f"{base}/web/webclient/version_info", subject, headers=json, body=envelope),
            JsonRpc(base, self._config.database).service(subject, "common", "version", []),
        )
        first_error: ComportaError | None = None
        for ask in asks:
            found = await self._transport.send(ask, self._progress, lambda answer: self._read_version(answer, subject))
            if isinstance(found, Version):
                return found
            first_error = first_error or found
        message = f"{first_error}; no Odoo answers at {self._config.shown_url}"
        raise SourceAnsweredPage(message) from first_error

    def _read_version(self, answer: Answer, subject: str) -> Version | ComportaError:
        """Return an error that another address may disprove; raise one that it would not."""
        error = refusal(answer, subject=subject, expected="JSON", now=self._clock.now())
        if error is not None and answer.status in (429, 500, 502, 503, 504):
            raise error
        return (
            error
            or _version(answer)
            or SourceAnsweredPage(f"{subject} is not in the answer; expected JSON with a version")
        )

    async def _open(self, protocol: Protocol, version: Version) -> OdooSession:
        if protocol == "json2":
            return await self._open_json2(version)
        return await self._open_rpc(protocol, version)

    async def _open_json2(self, version: Version) -> OdooSession:
        dialect = Json2(self._config.base, self._config.database, self._config.api_key)
        call = Call(f"odoo/{self._account}: login over json2", "res.users", "context_get")
        try:
            context = await self._ask(dialect, dialect.ask(call), call, dict[str, Any])
        except ProtocolUnsupported as error:
            if version.major < JSON2_SINCE:
                raise
            message = f"{error.message}; Odoo {version.text} has it wherever a database of that name is served"
            raise UnknownDatabase(f"{message} (database {self._config.database!r})") from error
        uid = context.get("uid")
        return self._session(dialect, version, uid if isinstance(uid, int) else 0)

    async def _open_rpc(self, protocol: Protocol, version: Version) -> OdooSession:
        config = self._config
        call = Call(
            f"odoo/{self._account}: login as {config.login!r} at database {config.database!r} over {protocol}", "", ""
        )
        nobody = _rpc(protocol, config)
        args: list[object] = [config.database, config.login, config.api_key, {}]
        ask = nobody.service(call.subject, "common", "authenticate", args)
        uid = await self._ask(nobody, ask, call, int | bool | None)  # type: ignore[arg-type]  # a union is no type to mypy
        if not isinstance(uid, int) or isinstance(uid, bool):
            message = f"{call.subject}: the server does not know this login, password or API key; expected a user id"
            raise LoginRefused(message)
        return self._session(_rpc(protocol, config, uid=uid, key=config.api_key), version, uid)

    async def _ask(self, dialect: Dialect, ask: Ask, call: Call, wanted: type[T]) -> T:
        def accept(answer: Answer) -> T:
            refuse(dialect, call, answer, self._clock.now())
            return decode(dialect, call, answer, wanted)

        return await self._transport.send(ask, self._progress, accept)

    def _session(self, dialect: Dialect, version: Version, uid: int) -> OdooSession:
        return OdooSession(self._transport, self._clock, self._config, self._account, dialect, version.text, uid)


def _rpc(protocol: Protocol, config: OdooConfig, *, uid: int = 0, key: str = "") -> LoginDialect:
    if protocol == "jsonrpc":
        return JsonRpc(config.base, config.database, uid, key)
    from comporta.sources.odoo_xml import XmlRpc  # noqa: PLC0415 - the XML parser, for the few who need it

    return XmlRpc(config.base, config.database, uid, key)


def _version(answer: Answer) -> Version | None:
    try:
        found = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    inner = found.get("result", found) if isinstance(found, Mapping) else None
    if not isinstance(inner, Mapping):
        return None
    text = inner.get("version") or inner.get("server_version") or inner.get("server_serie")
    number = re.search(r"\d+", text) if isinstance(text, str) else None
    return Version(text, int(number[0])) if number and isinstance(text, str) else None
