"""The sources there are: which streams each has, whose budget it spends, and how it is made from an account's settings.

What takes long to import is imported where a source is made, so that planning costs nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from comporta.coordination.budgets import SharedBudgets
from comporta.coordination.late_budgets import LateBudgets
from comporta.coordination.logins import SharedLogin
from comporta.coordination.plans import Child
from comporta.core.notification import Notification, Pointer
from comporta.ports.budget import Budget, BudgetTerms
from comporta.ports.clock import Clock
from comporta.ports.login_store import LoginStore
from comporta.ports.notifications import Point
from comporta.ports.source import Source
from comporta.settings.tree import AccountSettings, Settings
from comporta.sources import activecampaign_streams, mercadolivre_streams, odoo_streams
from comporta.sources.activecampaign_config import RATE, ActiveCampaignConfig
from comporta.sources.connections import Connections
from comporta.sources.mercadolivre_config import MercadoLivreConfig, terms
from comporta.sources.odoo_config import OdooConfig

if TYPE_CHECKING:
    from comporta.sources.mercadolivre_oauth import MercadoLivreOAuth

Reveal = Callable[[str], str]
"""Returns one of an account's secrets, by the name of its setting, from wherever it is."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What all sources of a process share on their way out. ``instance`` is what others call this process.

    ``late`` are the budgets of which the login decides whom they count.
    """

    clock: Clock
    budgets: SharedBudgets
    late: LateBudgets
    connections: Connections
    store: LoginStore
    instance: str
    logins: list[SharedLogin] = field(default_factory=list)

    def is_renewing(self) -> bool:
        """Say whether a login has sent what must not be cut off."""
        return any(login.is_under_way for login in self.logins)

    async def aclose(self) -> None:
        """Let logins end what they have begun, then close the connections and the log of the budgets."""
        for login in self.logins:
            await login.aclose()
        await self.connections.aclose()
        await self.budgets.aclose()


@dataclass(frozen=True, slots=True)
class Hook:
    """How the notifications of a source are understood: ``read`` a body, ``point`` at what it means."""

    read: Callable[[bytes], Notification]
    point: Point


@dataclass(frozen=True, slots=True)
class SourceKind:
    """One source. ``children`` are streams to be looked at when records of another change, by that other's name.

    ``lanes`` as in ``AccountPlan``; ``is_late``: the login decides whose budget it is.
    """

    streams: tuple[str, ...]
    terms: Callable[[AccountSettings], BudgetTerms]
    make: Callable[[AccountSettings, Settings, Reveal, Outside], Source]
    children: Mapping[str, tuple[Child, ...]] = field(default_factory=dict)
    lanes: Mapping[str, str] = field(default_factory=dict)
    is_late: bool = False


def _read_mercadolivre(body: bytes) -> Notification:
    from comporta.sources.mercadolivre_notifications import parse_notification

    return parse_notification(body)


def _point_mercadolivre(topic: str, resource: str) -> Pointer | None:
    from comporta.sources.mercadolivre_notifications import point

    return point(topic, resource)


HOOKS: Mapping[str, Hook] = {"mercadolivre": Hook(_read_mercadolivre, _point_mercadolivre)}
"""The sources that notify."""


def kind_of(told: AccountSettings) -> SourceKind:
    """Return the kind of an account's source."""
    return KINDS[told.source]


def budget_of(told: AccountSettings, outside: Outside) -> Budget:
    """Return the budget that an account spends; where one page is to be in flight, no second request is."""
    kind = kind_of(told)
    terms = kind.terms(told)
    if told.concurrency == 1:
        terms = replace(terms, in_flight_max=1)
    return outside.late.of(told.name, terms) if kind.is_late else outside.budgets.of(terms)


def make_source(told: AccountSettings, settings: Settings, *, reveal: Reveal, outside: Outside) -> Source:
    """Return the source of an account."""
    return kind_of(told).make(told, settings, reveal, outside)


def _odoo(told: AccountSettings, _: Settings, reveal: Reveal, outside: Outside) -> Source:
    from comporta.sources.odoo import OdooSource

    config = _odoo_config(told, api_key=reveal("api_key"))
    return OdooSource(config, account=told.name, **_ways_out(outside))


def _odoo_config(told: AccountSettings, *, api_key: str = "") -> OdooConfig:
    options = dict(told.options)
    return OdooConfig(
        url=told.url,
        database=str(options["database"]),
        login=str(options["login"]),
        api_key=api_key,
        protocol=options.get("protocol"),  # type: ignore[arg-type]  # checked by settings
        companies=tuple(options["companies"]) if options.get("companies") else None,  # type: ignore[arg-type]  # checked by settings
        page_size=int(str(options["page_size"])),
        timeout=options["request_timeout"],  # type: ignore[arg-type]  # checked by settings
        limit=told.limit,
    )


def _activecampaign(told: AccountSettings, settings: Settings, reveal: Reveal, outside: Outside) -> Source:
    from comporta.sources.activecampaign import ActiveCampaignSource

    config = _activecampaign_config(told, api_key=reveal("api_key"), timezone=settings.timezone)
    return ActiveCampaignSource(config, account=told.name, **_ways_out(outside))


def _activecampaign_config(told: AccountSettings, *, api_key: str = "", timezone: str = "UTC") -> ActiveCampaignConfig:
    options = dict(told.options)
    return ActiveCampaignConfig(
        url=told.url,
        api_key=api_key,
        zone=ZoneInfo(str(options.get("timezone") or timezone)),
        page_size=int(str(options["page_size"])),
        timeout=options["request_timeout"],  # type: ignore[arg-type]  # checked by settings
        rate=told.limit or RATE,
    )


def mercadolivre_config(told: AccountSettings, *, client_id: str, client_secret: str) -> MercadoLivreConfig:
    """Return what a Mercado Livre account is read with."""
    return MercadoLivreConfig(
        client_id,
        client_secret,
        url=told.url,
        site=str(told.options["site"]),
        page_size=int(str(told.options["page_size"])),
        timeout=told.options["request_timeout"],  # type: ignore[arg-type]  # checked by settings
    )


def mercadolivre_oauth(told: AccountSettings, config: MercadoLivreConfig, outside: Outside) -> "MercadoLivreOAuth":
    """Return the token endpoint of an account's application, within the account's budget."""
    from comporta.sources.mercadolivre_oauth import MercadoLivreOAuth

    budget = budget_of(told, outside)
    return MercadoLivreOAuth(
        config, account=told.name, clock=outside.clock, budget=budget, connections=outside.connections
    )


def mercadolivre_terms(told: AccountSettings) -> BudgetTerms:
    """Return where a Mercado Livre account spends its budget; the login decides whose."""
    return terms(told.url, told.limit)


def mercadolivre_login(
    told: AccountSettings, config: MercadoLivreConfig, reveal: Reveal, outside: Outside
) -> SharedLogin:
    """Return the login that all streams of an account share."""

    def first() -> str | None:
        return reveal("refresh_token") if "refresh_token" in told.secrets else None

    login = SharedLogin(
        told.name,
        store=outside.store,
        renew=mercadolivre_oauth(told, config, outside).renew,
        clock=outside.clock,
        first=first,
        instance=outside.instance,
        command=f"comporta connect mercadolivre {told.name}",
    )
    outside.logins.append(login)
    return login


def _mercadolivre(told: AccountSettings, _: Settings, reveal: Reveal, outside: Outside) -> Source:
    from comporta.sources.mercadolivre import MercadoLivreSource

    config = mercadolivre_config(told, client_id=reveal("client_id"), client_secret=reveal("client_secret"))
    login = mercadolivre_login(told, config, reveal, outside)
    return MercadoLivreSource(
        config,
        account=told.name,
        login=login,
        clock=outside.clock,
        budget=budget_of(told, outside),
        connections=outside.connections,
    )


def _ways_out(outside: Outside) -> dict[str, Any]:
    return {"clock": outside.clock, "budgets": outside.budgets, "connections": outside.connections}


KINDS: Mapping[str, SourceKind] = {
    "odoo": SourceKind(
        odoo_streams.DEFAULT_STREAMS,
        terms=lambda told: _odoo_config(told).terms,
        make=_odoo,
        children={parent: (Child(child),) for parent, child in odoo_streams.CHILDREN.items()},
    ),
    "activecampaign": SourceKind(
        activecampaign_streams.DEFAULT_STREAMS,
        terms=lambda told: _activecampaign_config(told).terms,
        make=_activecampaign,
        children={parent: (Child(child),) for parent, child in activecampaign_streams.CHILDREN.items()},
        lanes=activecampaign_streams.LANES,
    ),
    "mercadolivre": SourceKind(
        mercadolivre_streams.DEFAULT_STREAMS,
        terms=mercadolivre_terms,
        make=_mercadolivre,
        children={
            parent: tuple(Child(*each) for each in told) for parent, told in mercadolivre_streams.REFERENCES.items()
        },
        lanes=mercadolivre_streams.LANES,
        is_late=True,
    ),
}
