"""Errors that only Mercado Livre's answers cause, under the base classes of ``errors``.

Two of them are the source's own affair and leave it only when what it tries does not help.
"""

from comporta.errors import AccessRefused, LoginRefused, SourceBadGateway, SourceRefused


class TokenRefused(LoginRefused):
    """The access token is not accepted, and neither is the one it was renewed to."""

    code = "CMP-AUTH-006"
    next_step = "Run `comporta check`; if the login is lost, grant access again: `comporta connect mercadolivre NAME`."


class PolicyRefused(AccessRefused):
    """The application may not read records of this kind at all."""

    code = "CMP-AUTH-007"
    is_of_one = False
    next_step = (
        "In Mercado Livre's developer centre, give the application the functional permission for this (sales and"
        " shipping, or publish and synchronise), then grant access again: `comporta connect mercadolivre NAME`."
    )


class SearchTooFar(SourceRefused):
    """A search was asked for records further on than it shows."""

    code = "CMP-SRC-010"
    next_step = "Run `comporta check`; if the API has changed, look for a newer Comporta."


class ItemsUntold(SourceBadGateway):
    """A request for several items was answered without telling of all of them."""

    code = "CMP-NET-009"
    next_step = "Nothing to do: each is asked for alone; one that fails then, too, waits, and its row stays as it was."
