"""The routes of the API, and who may ask them.

What belongs to one seller is refused to every other one, even where it is known to exist.
"""

from comporta.sandbox.exchange import Answer, Request, json_answer
from comporta.sandbox.faults import Faults
from comporta.sandbox.mercadolivre_api import no_route
from comporta.sandbox.mercadolivre_errors import missing
from comporta.sandbox.mercadolivre_world import World


class Routes:
    """Answers requests of sellers for paths."""

    def __init__(self, world: World, faults: Faults) -> None:
        self.world = world
        self.faults = faults

    def answer(self, seller: int, path: list[str], _request: Request, _label: str) -> Answer:
        """Return what the API says to a seller who may ask."""
        match path:
            case ["users", known]:
                return self._user(seller if known == "me" else int(known) if known.isdigit() else 0)
        return no_route(path)

    def _user(self, seller: int) -> Answer:
        if seller not in self.world.sellers:
            return missing("User")
        return json_answer({"id": seller, "nickname": f"LOJA_{seller}", "site_id": "MLB"})
