"""The Odoo source: one login at one database, from which streams are read.

The login is made once, by whoever comes first, and forgotten when the server refuses it, so that a
renewed key works without a restart. Which database answers is asked anew for every reader.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from random import Random
from typing import cast

from comporta.core.record import Shape
from comporta.errors import AccessRefused, LoginRefused
from comporta.errors_odoo import ProtocolUnsupported
from comporta.ports.budget import Budgets
from comporta.ports.clock import Clock
from comporta.ports.progress import Progress
from comporta.ports.source import Finding, Identity, StreamRequest
from comporta.sources.connections import Connections
from comporta.sources.http import Transport
from comporta.sources.odoo_check import check_account
from comporta.sources.odoo_config import OdooConfig
from comporta.sources.odoo_domain import all_of
from comporta.sources.odoo_login import Login
from comporta.sources.odoo_reader import OdooReader
from comporta.sources.odoo_session import OdooSession
from comporta.sources.odoo_shape import ATTRIBUTES, Field, describe


class OdooSource:
    """An Odoo account, over JSON-RPC, XML-RPC or JSON-2."""

    def __init__(
        self,
        config: OdooConfig,
        *,
        account: str,
        clock: Clock,
        budgets: Budgets,
        connections: Connections | None = None,
        dice: Random | None = None,
    ) -> None:
        self.config = config
        self.account = account
        self._clock = clock
        self.budget = budgets.of(config.terms)
        self._transport = Transport(
            clock,
            dice=dice or Random(),  # noqa: S311 - it spreads retries
            budget=self.budget,
            timeout=config.timeout,
            secrets=(config.api_key,),
            connections=connections,
        )
        self._session: OdooSession | None = None
        self._door = asyncio.Lock()

    def __repr__(self) -> str:
        return f"OdooSource({self.account!r}, {self.config.shown_url!r})"

    async def read(self, request: StreamRequest, progress: Progress) -> OdooReader:
        """Log in if needed, describe the stream and return its reader."""
        domain = all_of(request.domain)
        session = await self.session(progress)
        try:
            identity = await self._identity(session, progress)
            shape, clock = await self._shape(session, request, progress)
        except LoginRefused:
            self._forget(session)
            raise
        return OdooReader(session, progress, shape=shape, identity=identity, domain=domain, clock=clock)

    async def check(self, requests: Sequence[StreamRequest]) -> Sequence[Finding]:
        """Try credentials, permissions, clock and each stream; never raise for what it finds."""
        return await check_account(self, requests, self._clock)

    async def aclose(self) -> None:
        """Close the connections and forget the login."""
        self._session = None
        await self._transport.aclose()

    async def session(self, progress: Progress) -> OdooSession:
        """Return the login, made by the first who asks; a refused one is tried again by the next."""
        async with self._door:
            if self._session is None:
                login = Login(
                    self.config, account=self.account, clock=self._clock, transport=self._transport, progress=progress
                )
                self._session = await login.open()
            return self._session

    def _forget(self, session: OdooSession) -> None:
        if self._session is session:
            self._session = None

    async def _identity(self, session: OdooSession, progress: Progress) -> Identity:
        args = {"key": "database.uuid"}
        call = session.call("ir.config_parameter", "get_param", "the database's uuid", args)
        try:
            unique = await session.ask(call, progress, cast("type[str | bool | None]", str | bool | None))
        except (AccessRefused, ProtocolUnsupported):
            unique = None
        unique = unique if isinstance(unique, str) and unique else None
        return Identity(self.config.shown_url, self.config.database, unique, session.version)

    async def _shape(
        self, session: OdooSession, request: StreamRequest, progress: Progress
    ) -> tuple[Shape, datetime | None]:
        """Return the stream as the server describes it, and the server's clock when it did."""
        call = session.call(request.stream, "fields_get", "its fields", {}, attributes=list(ATTRIBUTES))
        fields, clock = await session.ask_dated(call, progress, dict[str, Field])
        return describe(request.stream, fields, request.fields, subject=call.subject), clock
