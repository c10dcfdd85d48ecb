"""The Mercado Livre source: one seller's orders, shipments, packs and items, read by an application that may.

The login is not its own: the pair of tokens is shared by all that read the seller, and renewed under a lease.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from random import Random

from comporta.core.notification import Notification
from comporta.ports.budget import Budget
from comporta.ports.clock import Clock
from comporta.ports.login import Login
from comporta.ports.progress import Progress
from comporta.ports.source import Finding, Reader, StreamRequest
from comporta.sources.connections import Connections
from comporta.sources.mercadolivre_check import check_account
from comporta.sources.mercadolivre_config import MercadoLivreConfig
from comporta.sources.mercadolivre_items import ItemsReader
from comporta.sources.mercadolivre_notifications import missed_notifications
from comporta.sources.mercadolivre_orders import OrdersReader
from comporta.sources.mercadolivre_session import MercadoLivreSession
from comporta.sources.mercadolivre_shape import table_for
from comporta.sources.mercadolivre_single import SingleReader
from comporta.sources.mercadolivre_streams import ITEMS, ORDERS, PACKS, SHIPMENTS

READERS: Mapping[str, Callable[[MercadoLivreSession, StreamRequest, Progress, str], Reader]] = {
    ORDERS: OrdersReader,
    SHIPMENTS: SingleReader,
    PACKS: SingleReader,
    ITEMS: ItemsReader,
}


class MercadoLivreSource:
    """One seller's account at Mercado Livre."""

    def __init__(
        self,
        config: MercadoLivreConfig,
        *,
        account: str,
        login: Login,
        clock: Clock,
        budget: Budget,
        connections: Connections | None = None,
        dice: Random | None = None,
    ) -> None:
        self.config = config
        self.account = account
        self._clock = clock
        self.session = MercadoLivreSession(
            config,
            account=account,
            login=login,
            clock=clock,
            budget=budget,
            dice=dice or Random(),  # noqa: S311 - it spreads retries
            connections=connections,
        )

    def __repr__(self) -> str:
        return f"MercadoLivreSource({self.account!r}, {self.config.shown_url!r})"

    async def read(self, request: StreamRequest, progress: Progress) -> Reader:
        """Return the reader of a stream; whose data it is, the login says."""
        table_for(request)  # a stream or column that does not exist is said before anybody is asked
        seller = await self.session.user_id(progress)
        return READERS[request.stream](self.session, request, progress, seller)

    async def check(self, requests: Sequence[StreamRequest]) -> Sequence[Finding]:
        """Try login, clock and each stream; never raise for what it finds."""
        return await check_account(self, requests, self._clock)

    def missed(self, progress: Progress) -> AsyncIterator[Sequence[Notification]]:
        """Yield the notifications that could not be delivered, by page."""
        return missed_notifications(self.session, progress)

    async def aclose(self) -> None:
        """Close the connections."""
        await self.session.aclose()
