"""Errors of those who ask over HTTP: answered with 4xx, in the same form as every other error.

They have codes and next steps like those in ``errors``; but for the last, nothing was kept or begun.
"""

from comporta.errors import ComportaError, Retryable


class RequestRefused(ComportaError):
    """Somebody asked over HTTP for what cannot be done."""


class BadNotification(RequestRefused):
    """What was sent to a hook is no notification."""

    code = "CMP-WEB-001"
    next_step = "Check that the callback URL is called by the source it is for, and by nobody else."


class BadRequest(RequestRefused):
    """There is no such address, or it does not take such a request."""

    code = "CMP-WEB-002"
    next_step = "/openapi.json lists the addresses that are answered (docs/reference/http.md). There are no pages yet."


class BadFields(RequestRefused):
    """The fields or values of a request are not those that the address takes."""

    code = "CMP-WEB-003"
    next_step = "See docs/reference/http.md, or /openapi.json of the server, for the fields and their values."


class UnknownRun(RequestRefused):
    """There is no such run."""

    code = "CMP-WEB-004"
    next_step = "GET /api/v1/runs lists the last ones; those older than `retention` are forgotten."


class ForeignRequest(RequestRefused):
    """The request came by another name than this machine's, or from somebody else's web page."""

    code = "CMP-WEB-005"
    next_step = "Use the address that `comporta serve` prints; until users exist it serves this machine only."


class NotNow(RequestRefused):
    """What was asked for does not go with how things stand."""

    code = "CMP-WEB-006"
    next_step = "Look again how it stands, and ask with `confirm` where the message says so."


class ServerEnds(Retryable):
    """The server ended before it could answer; what was asked may have been done."""

    code = "CMP-WEB-007"
    next_step = "Ask again when a server answers: a run that waits already is joined, and a second cancel does no harm."
