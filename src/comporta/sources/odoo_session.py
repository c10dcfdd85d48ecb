"""A login at one Odoo database: carries calls, and turns answers into values or errors of ours.

Which protocol carries them was decided at the login; nothing above this module knows it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from comporta.core.record import Shape
from comporta.errors import SourceChangedShape
from comporta.ports.clock import Clock
from comporta.ports.progress import Progress
from comporta.sources.answers import Answer, refusal
from comporta.sources.http import Transport
from comporta.sources.odoo_calls import UNFIT, Call, Dialect
from comporta.sources.odoo_config import OdooConfig
from comporta.sources.odoo_oddities import read_oddities
from comporta.sources.odoo_rows import Batch, OddPageError, Plan

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class OdooSession:
    """One login. ``uid`` is the user's id; ``major`` the server's version, 19 for 19.0."""

    transport: Transport
    clock: Clock
    config: OdooConfig
    account: str
    dialect: Dialect
    version: str
    uid: int

    @property
    def context(self) -> Mapping[str, object]:
        """Return what every call carries: archived records too, times in UTC, one language."""
        context: dict[str, object] = {"active_test": False, "tz": "UTC", "lang": "en_US"}
        if self.config.companies is not None:
            context["allowed_company_ids"] = list(self.config.companies)
        return context

    def call(self, model: str, method: str, what: str, args: Mapping[str, object], **options: object) -> Call:
        """Return the call with our context; ``what`` is said after the model's name in messages."""
        subject = f"odoo/{self.account} {model}: {what}"
        return Call(subject, model, method, args, {**options, "context": self.context})

    async def ask(self, call: Call, progress: Progress, wanted: type[T]) -> T:
        """Return the call's result, of the wanted type."""
        return (await self.ask_dated(call, progress, wanted))[0]

    async def ask_dated(self, call: Call, progress: Progress, wanted: type[T]) -> tuple[T, datetime | None]:
        """Return the call's result, and the server's clock if the answer shows it."""

        def accept(answer: Answer) -> tuple[T, datetime | None]:
            refuse(self.dialect, call, answer, self.clock.now())
            return decode(self.dialect, call, answer, wanted), answer.date

        return await self.transport.send(self.dialect.ask(call), progress, accept)

    async def records(self, call: Call, progress: Progress, plan: Plan, shape: Shape) -> Batch:
        """Return the call's records as canonical rows."""

        def accept(answer: Answer) -> Batch:
            refuse(self.dialect, call, answer, self.clock.now())
            try:
                return plan.read(lambda wanted: self.dialect.typed(call, answer, wanted))
            except (OddPageError, *UNFIT):
                records = self.dialect.loose(call, answer)
                return read_oddities(records, plan.columns, stamp=shape.stamp, subject=call.subject)

        return await self.transport.send(self.dialect.ask(call), progress, accept)

    async def time(self, progress: Progress) -> datetime:
        """Return the server's clock, from the ``Date`` of a cheap call that no cache may answer."""
        call = self.call("res.users", "context_get", "the server's clock", {})
        _, date = await self.ask_dated(call, progress, dict[str, Any])
        if date is None:
            message = f"{call.subject}: the answer has no Date header; expected one, it is the source's clock"
            raise SourceChangedShape(message, next_step="A proxy removes the Date header: let it through.")
        return date


def refuse(dialect: Dialect, call: Call, answer: Answer, now: datetime) -> None:
    """Raise what the answer's status, or a web page in it, stands for."""
    if dialect.explains(answer):
        return
    expected = "XML" if dialect.name == "xmlrpc" else "JSON"
    error = refusal(answer, subject=call.subject, expected=expected, now=now)
    if error is not None:
        raise error


def decode(dialect: Dialect, call: Call, answer: Answer, wanted: type[T]) -> T:
    """Return the result as the wanted type, or raise what the server said instead."""
    try:
        return dialect.typed(call, answer, wanted)
    except UNFIT as error:
        dialect.loose(call, answer)
        message = f"{call.subject} answered in a form we do not know ({error}); expected {wanted}"
        raise SourceChangedShape(message) from error
