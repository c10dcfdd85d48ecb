"""Where the server listens: on this machine only, and at a port that it can have."""

import socket

import pytest
from starlette.applications import Starlette

from comporta.errors import WrongUse
from comporta.web.server import Server, listen


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "::", "shop.example", ""])
def test_it_refuses_to_listen_to_others(host: str) -> None:
    """Nobody has to say who they are yet; the message names the way."""
    with pytest.raises(WrongUse, match="until users exist the server answers on loopback only") as refused:
        listen(host, 0)

    assert "reverse proxy" in refused.value.next_step


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_it_says_where_it_listens(host: str) -> None:
    """Port 0 takes a free one."""
    server = Server(Starlette(), host=host, port=0)
    url = server.url
    server.close()

    assert url.startswith("http://127.0.0.1:")
    assert not url.endswith(":0")


def test_a_port_that_is_taken_is_named() -> None:
    """With what to do about it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(WrongUse, match=f"port {port} of 127.0.0.1") as refused:
            listen("127.0.0.1", port, "--metrics-port")

    assert refused.value.next_step == "Choose another --metrics-port."
