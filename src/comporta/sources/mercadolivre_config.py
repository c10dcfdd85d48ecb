"""What a Mercado Livre account needs to be read, checked once, and how it is shown: never with its secrets.

One application (client) reads many sellers, each with a pair of tokens of its own; the pair is not here, it changes.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlsplit

from comporta.core.rate import Rate
from comporta.errors import BadValue
from comporta.ports.budget import BudgetTerms

URL = "https://api.mercadolibre.com"
"""For every country."""
SITE = "MLB"
AUTH_URLS = {
    "MLA": "https://auth.mercadolibre.com.ar",
    "MLB": "https://auth.mercadolivre.com.br",
    "MLM": "https://auth.mercadolibre.com.mx",
    "MLC": "https://auth.mercadolibre.cl",
    "MCO": "https://auth.mercadolibre.com.co",
    "MLU": "https://auth.mercadolibre.com.uy",
    "MPE": "https://auth.mercadolibre.com.pe",
    "MLV": "https://auth.mercadolibre.com.ve",
    "MEC": "https://auth.mercadolibre.com.ec",
    "MBO": "https://auth.mercadolibre.com.bo",
    "MPY": "https://auth.mercadolibre.com.py",
    "MCR": "https://auth.mercadolibre.co.cr",
}
"""Where people grant access, by site; only Brazil's is spelled *livre*."""
PAGE_SIZE = 50
"""The most that a search for orders answers."""
TIMEOUT = timedelta(seconds=60)
IN_FLIGHT_MAX = 8
"""Requests under way at once for a seller: no figure is published, and the vendor warns of huge concurrency."""


@dataclass(frozen=True, slots=True)
class MercadoLivreConfig:
    """One application at one seller."""

    client_id: str
    client_secret: str = field(repr=False)
    url: str = URL
    site: str = SITE
    page_size: int = PAGE_SIZE
    timeout: timedelta = TIMEOUT

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise BadValue(f"url of a Mercado Livre account is {self.shown_url!r}; expected {URL}")
        if not 1 <= self.page_size <= PAGE_SIZE:
            raise BadValue(f"page_size of a Mercado Livre account is {self.page_size}; expected 1 to {PAGE_SIZE}")

    @property
    def base(self) -> str:
        """Return the URL that paths are appended to."""
        return self.url.rstrip("/")

    @property
    def shown_url(self) -> str:
        """Return the URL without a user and password in it."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"


def terms(url: str, rate: Rate | None) -> BudgetTerms:
    """Return what the source declares of its budget, by no known figure; whom it counts there, ``counted`` says."""
    return BudgetTerms(f"mercadolivre {url.rstrip('/')}", rate, in_flight_max=IN_FLIGHT_MAX)


def counted(client_id: str, seller: str) -> str:
    """Return whom the vendor counts: an application at a seller. The application's id is not shown, as elsewhere.

    >>> counted("4242", "1001")
    'application 0315b402 seller 1001'
    """
    return f"application {hashlib.sha256(client_id.encode()).hexdigest()[:8]} seller {seller}"
