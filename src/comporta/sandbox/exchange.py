"""Requests, answers and plans: what the HTTP server and a simulated source say to each other.

A plan is made before the work is done, so that a fault can strike a named call (``label``) either
before anything happened (502, 429) or after it happened (a connection lost in mid answer).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, read whole. Header names are in lower case; ``arrived`` is the server's stopwatch."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    query: dict[str, str] = field(default_factory=dict)
    arrived: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be done for a request; ``is_control`` marks the simulator's own routes, spared by faults.

    ``route`` is what the request is counted under, where that is not its path. ``left`` is told whether the
    whole answer went out to somebody who still listened.
    """

    run: Callable[[], Answer]
    label: str = ""
    is_control: bool = False
    route: str = ""
    left: Callable[[bool], None] | None = None


class Application(Protocol):
    """A simulated source, without its sockets."""

    def plan(self, request: Request) -> Plan:
        """Return what this request asks for."""


def json_answer(value: Any, status: int = 200) -> Answer:
    """Return a value as JSON."""
    return Answer(status, msgspec.json.encode(value))


def html_answer(status: int, title: str) -> Answer:
    """Return a small web page, as proxies and web servers do."""
    page = f"<!doctype html>\n<html lang=en>\n<title>{title}</title>\n<h1>{title}</h1>\n"
    return Answer(status, page.encode(), HTML)
