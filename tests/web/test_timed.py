"""How long answers take, by the pattern of their route."""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Message

from comporta.web.timed import Timed


class Kept:
    """A meter that a test reads."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, ...]] = []

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        raise AssertionError(name)

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        assert name == "comporta_http_request_duration_seconds"
        assert value >= 0
        self.seen.append(tuple(labels.values()))


async def asked(kept: Kept, method: str, path: str) -> list[Message]:
    """Ask an application with one route, and return what it sends."""

    async def hello(request: Request) -> Response:
        return PlainTextResponse(request.path_params["name"])

    app = Starlette(routes=[Route("/hello/{name}", hello)], middleware=[Middleware(Timed, meter=kept)])
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b"", "root_path": ""}
    await app(scope, receive, send)
    return sent


async def test_a_route_is_named_by_its_pattern() -> None:
    """However many names people make up."""
    kept = Kept()
    for name in ("ana", "bruno"):
        await asked(kept, "GET", f"/hello/{name}")

    assert kept.seen == [("GET", "/hello/{name}", "200")] * 2


async def test_what_no_route_takes_has_one_name() -> None:
    """So does a method that nobody knows: a scanner cannot fill a Prometheus."""
    kept = Kept()
    await asked(kept, "GET", "/wp-admin.php")
    await asked(kept, "BREW", "/coffee")

    assert kept.seen == [("GET", "none", "404"), ("other", "none", "404")]
