"""Errors of those who ask over HTTP: answered with 4xx, in the same form as every other error.

They have codes and next steps like those in ``errors``; nothing was kept or begun.
"""

from comporta.errors import ComportaError


class RequestRefused(ComportaError):
    """Somebody asked over HTTP for what cannot be done."""


class BadNotification(RequestRefused):
    """What was sent to a hook is no notification."""

    code = "CMP-WEB-001"
    next_step = "Check that the callback URL is called by the source it is for, and by nobody else."


class BadRequest(RequestRefused):
    """There is no such address, or it does not take such a request."""

    code = "CMP-WEB-002"
    next_step = "See docs/reference/commands.md for the addresses that `comporta serve` answers."
