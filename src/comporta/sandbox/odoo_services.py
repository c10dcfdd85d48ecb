"""The services ``common``, ``object`` and ``db`` behind both ``/jsonrpc`` and ``/xmlrpc/2``.

A wrong login is no error: ``authenticate`` answers false. A wrong key in a call is AccessDenied, an
unknown database PostgreSQL's own error.
"""

from collections.abc import Sequence
from typing import Any

from comporta.sandbox.faults import Faults
from comporta.sandbox.odoo_errors import ACCESS_DENIED, NO_DATABASE, TYPE_ERROR, OdooError
from comporta.sandbox.odoo_faults import invoke_with_faults
from comporta.sandbox.odoo_methods import Address, Arguments, bind
from comporta.sandbox.odoo_world import World

USER_ID = 2


class Services:
    """What one Odoo server does for callers of its RPC."""

    def __init__(self, world: World, faults: Faults, *, database: str, login: str, key: str, password: str) -> None:
        self.world = world
        self.faults = faults
        self.database = database
        self.login = login
        self.key = key
        self.password = password

    def version(self) -> dict[str, Any]:
        """Return what ``common.version`` says."""
        serie = f"{self.world.version}.0"
        return {
            "server_version": serie,
            "server_version_info": [self.world.version, 0, 0, "final", 0, ""],
            "server_serie": serie,
            "protocol_version": 1,
        }

    def dispatch(self, service: str, method: str, arguments: Sequence[Any]) -> Any:
        """Run one method of one service."""
        if service == "common" and method == "version":
            return self.version()
        if service == "common" and method in {"login", "authenticate"}:
            return self._authenticate(*arguments[:3])
        if service == "db" and method in {"list", "server_version"}:
            return [self.database] if method == "list" else self.version()["server_version"]
        if service == "object" and method in {"execute", "execute_kw"} and len(arguments) >= 5:
            return self._execute(method, arguments)
        raise OdooError(TYPE_ERROR, f"Method not available or wrong arguments: {service}.{method}")

    def call(self, address: Address, arguments: Arguments) -> Any:
        """Run a model method whose arguments are bound by name."""
        return invoke_with_faults(address, self.faults, arguments)

    def is_key(self, key: str) -> bool:
        """Tell whether this is the API key and logins are not being refused."""
        return key == self.key and not self.faults.happens("wrong_login")

    def _authenticate(self, database: str, login: str, key: str) -> int | bool:
        self._check_database(database)
        is_known = login == self.login and key in {self.key, self.password}
        return USER_ID if is_known and not self.faults.happens("wrong_login") else False

    def _execute(self, method: str, arguments: Sequence[Any]) -> Any:
        database, uid, key, model, name, *rest = arguments
        self._check_database(database)
        is_known = uid == USER_ID and key in {self.key, self.password}
        if not is_known or self.faults.happens("wrong_login"):
            raise OdooError(ACCESS_DENIED, "Access Denied")
        positional, named = (rest, {}) if method == "execute" else (_first(rest, []), _first(rest[1:], {}))
        address = Address(self.world, model, name)
        return self.call(address, bind(address, positional, named))

    def _check_database(self, database: str) -> None:
        if database != self.database:
            raise OdooError(
                NO_DATABASE,
                'connection to server on socket "/var/run/postgresql/.s.PGSQL.5432" failed: '
                f'FATAL:  database "{database}" does not exist\n',
            )


def _first(values: Sequence[Any], default: Any) -> Any:
    return values[0] if values else default
