"""What an Odoo account needs to be read, and how it is shown: never with its key.

Bootstrap makes it from the settings, which refuse what cannot work; tests make it by hand.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from comporta.core.rate import Rate
from comporta.ports.budget import BudgetTerms
from comporta.sources.http import TIMEOUT

Protocol = Literal["jsonrpc", "xmlrpc", "json2"]

PAGE_SIZE = 1_000

HOSTED = ".odoo.com"
HOSTED_LIMIT: Rate = (1, timedelta(seconds=1))
"""Odoo Online publishes no figure; one call a second, one at a time, is what its people ask for."""


@dataclass(frozen=True, slots=True)
class OdooConfig:
    """One login at one database. ``protocol`` is chosen by asking the server unless it is set."""

    url: str
    database: str
    login: str
    api_key: str = field(repr=False)
    protocol: Protocol | None = None
    companies: tuple[int, ...] | None = None
    page_size: int = PAGE_SIZE
    timeout: timedelta = TIMEOUT
    limit: Rate | None = None

    @property
    def base(self) -> str:
        """Return the URL that paths are appended to."""
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))

    @property
    def shown_url(self) -> str:
        """Return the URL without a user and password in it."""
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))

    @property
    def is_hosted(self) -> bool:
        """Say whether this is Odoo Online, which wants one call at a time."""
        return (urlsplit(self.url).hostname or "").endswith(HOSTED)

    @property
    def terms(self) -> BudgetTerms:
        """Return what is declared of the budget: a database is what has workers to keep busy, whoever logs in."""
        is_hosted = self.is_hosted and self.limit is None
        return BudgetTerms(
            key=f"odoo {self.shown_url} {self.database}",
            rate=HOSTED_LIMIT if is_hosted else self.limit,
            in_flight_max=1 if is_hosted else None,
        )
