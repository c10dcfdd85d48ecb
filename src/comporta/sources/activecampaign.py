"""The ActiveCampaign source: one key at one account, from which streams are read.

There is no login to make: the key goes with every request, and whether it is good shows with the first.
"""

from collections.abc import Sequence
from random import Random

from comporta.ports.budget import Budgets
from comporta.ports.clock import Clock
from comporta.ports.progress import Progress
from comporta.ports.source import Finding, StreamRequest
from comporta.sources.activecampaign_check import check_account
from comporta.sources.activecampaign_config import ActiveCampaignConfig
from comporta.sources.activecampaign_reader import ActiveCampaignReader
from comporta.sources.activecampaign_session import ActiveCampaignSession
from comporta.sources.connections import Connections


class ActiveCampaignSource:
    """An ActiveCampaign account, over its API version 3."""

    def __init__(
        self,
        config: ActiveCampaignConfig,
        *,
        account: str,
        clock: Clock,
        budgets: Budgets,
        connections: Connections | None = None,
        dice: Random | None = None,
    ) -> None:
        self.config = config
        self.account = account
        self.budget = budgets.of(config.terms)
        self._clock = clock
        self.session = ActiveCampaignSession(
            config,
            account=account,
            clock=clock,
            budget=self.budget,
            dice=dice or Random(),  # noqa: S311 - it spreads retries
            connections=connections,
        )

    def __repr__(self) -> str:
        return f"ActiveCampaignSource({self.account!r}, {self.config.shown_url!r})"

    async def read(self, request: StreamRequest, progress: Progress) -> ActiveCampaignReader:
        """Return the reader of a stream; its shape is known without asking."""
        return ActiveCampaignReader(self.session, request, progress)

    async def check(self, requests: Sequence[StreamRequest]) -> Sequence[Finding]:
        """Try key, clock and each stream; never raise for what it finds."""
        return await check_account(self, requests, self._clock)

    async def aclose(self) -> None:
        """Close the connections."""
        await self.session.aclose()
