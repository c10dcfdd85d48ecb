"""The control routes of the Mercado Livre simulator: truth by seller, what was done with tokens, and acts.

``GET /_truth/logins`` is the witness of the refresh tokens; ``fetched_orders`` in ``/_stats`` that of the
orders that were read one by one.
"""

from collections.abc import Callable
from typing import Any

from comporta.sandbox.clock import SourceClock
from comporta.sandbox.control import Act
from comporta.sandbox.exchange import Answer, Request, json_answer
from comporta.sandbox.faults import Faults
from comporta.sandbox.mercadolivre_logins import Logins
from comporta.sandbox.simulator import Workforce
from comporta.sandbox.stats import Stats
from comporta.sandbox.waiting import WaitingControl


class MercadoLivreControl(WaitingControl):
    """Answers the routes that begin with ``/_``."""

    def __init__(
        self,
        clock: SourceClock,
        faults: Faults,
        stats: Stats,
        people: Workforce,
        logins: Logins,
        *,
        meters: Callable[[], dict[str, Any]],
    ) -> None:
        super().__init__(clock, faults, stats, people)
        self.logins = logins
        self._meters = meters
        self._acts |= {
            "revoke": lambda act: logins.revoke(int(act["seller"])),
            "rotate": lambda act: logins.consent(int(act["seller"]))["refresh_token"],
        }

    def statistics(self) -> dict[str, Any]:
        """Return the counts, and what the limit of each seller saw."""
        return {**super().statistics(), "limits": self._meters()}

    def perform(self, act: Act) -> Any:
        """Do an act, now or when its turn has come."""
        return super().perform(act)

    def _answer(self, request: Request) -> Answer:
        if not request.path.startswith("/_truth/"):
            return super()._answer(request)
        stream = request.path.removeprefix("/_truth/")
        chosen = request.query.get("seller", "")
        sellers = [int(chosen)] if chosen else self.logins.sellers
        records = [row for seller in sellers for row in self.records(stream, seller)]
        return json_answer({"as_of": self.shown(self.clock.now()), "records": records})

    def records(self, stream: str, seller: int) -> list[dict[str, Any]]:  # noqa: ARG002  one stream so far
        """Return every record of a seller's stream."""
        return [self.logins.as_json(seller)]
