"""Errors that only Odoo's answers cause, under the base classes of ``errors``.

The source tries another protocol before either leaves it.
"""

from comporta.errors import SourceChangedShape, SourceRefused


class UnknownDatabase(SourceRefused):
    """The server has no database of that name."""

    code = "CMP-AUTH-003"
    next_step = "Check `database` of the account; the server's own list is at its /web/database/selector page."


class ProtocolUnsupported(SourceChangedShape):
    """The server does not speak the protocol that was set, or none that we know."""

    code = "CMP-SRC-009"
    next_step = "Remove `protocol` from the account to have it chosen, or set jsonrpc, xmlrpc or json2."
