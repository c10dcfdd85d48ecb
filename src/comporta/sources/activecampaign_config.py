"""What an ActiveCampaign account needs to be read, and how it is shown: never with its key.

Bootstrap makes it from the settings, which refuse what cannot work; tests make it by hand.
"""

from dataclasses import dataclass, field
from datetime import timedelta, tzinfo
from urllib.parse import urlsplit, urlunsplit

from comporta.core.rate import Rate
from comporta.ports.budget import BudgetTerms

PAGE_SIZE = 100
"""What the API allows; it answers more with its own most, 100. Two at least, for pages overlap by one record."""

RATE: Rate = (5, timedelta(seconds=1))
"""Of all keys and integrations of an account together, on every plan."""

TIMEOUT = timedelta(seconds=55)
"""Five of them, with the pauses between, are over before the other streams, which wait for the clock, count as hung."""
IN_FLIGHT_MAX = 20
"""Pages under way at once when nobody sets `concurrency`: enough for 5 a second at a latency of four seconds."""

API = "/api/3"
PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class ActiveCampaignConfig:
    """One key at one account. ``zone`` is what times without a zone are meant in, as far as anybody knows."""

    url: str
    api_key: str = field(repr=False)
    zone: tzinfo
    page_size: int = PAGE_SIZE
    timeout: timedelta = TIMEOUT
    rate: Rate = RATE

    @property
    def base(self) -> str:
        """Return the URL that paths are appended to, whether or not the user wrote its end."""
        parts = urlsplit(self.url)
        path = parts.path.rstrip("/").removesuffix(API)
        return urlunsplit((parts.scheme, parts.netloc, f"{path}{API}", "", ""))

    @property
    def shown_url(self) -> str:
        """Return the URL without a user and password in it."""
        parts = urlsplit(self.url)
        path = parts.path.rstrip("/").removesuffix(API)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], path, "", ""))

    @property
    def terms(self) -> BudgetTerms:
        """Return what the source declares of its budget: the vendor counts the account, whatever the key."""
        return BudgetTerms(f"activecampaign {self._place}", self.rate, in_flight_max=None)

    @property
    def _place(self) -> str:
        """Return the URL in the one form that all ways to write it have in common."""
        parts = urlsplit(self.shown_url.lower())
        port = "" if parts.port in {None, PORTS[parts.scheme]} else f":{parts.port}"
        return f"{parts.scheme}://{(parts.hostname or '').rstrip('.')}{port}{parts.path}"
