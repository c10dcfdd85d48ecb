"""The address of a PostgreSQL database as people write it: its parts, and what of it may be shown.

The settings refuse a wrong address here before anything starts, and the ledger connects with the same
parts. It is stricter than libpq on purpose. libpq guesses what a second @ means, takes several hosts,
and hands every parameter it knows to the server; Comporta writes to one database, through poolers that
refuse parameters, and must know where a password ends: only then can the rest be shown.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

FORM = '"postgresql://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=require"'
PORT = 5432
PORT_MAX = 65_535
CHOICES: Mapping[str, tuple[str, ...]] = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "channel_binding": ("disable", "prefer", "require"),
}
FILES = ("sslrootcert", "sslcert", "sslkey")
PLACES = ("host", "port", "user", "password")
KNOWN = (*CHOICES, *FILES, *PLACES)
INSTEAD: Mapping[str, str] = {
    "application_name": "leave it out: Comporta sets it",
    "connect_timeout": "leave it out: Comporta sets it",
    "currentSchema": "write the key schema instead",
    "options": "leave it out: poolers refuse it. For Supabase the user is postgres.PROJECT",
    "pgbouncer": "leave it out: nothing is prepared",
    "schema": "write the key schema instead",
    "search_path": "write the key schema instead",
}
"""What to do about parameters that other programs know."""
PLACEHOLDER = "[YOUR-PASSWORD]"
"""What Supabase's page shows where the password belongs."""
SYSTEM_ROOTS = "system"
"""libpq's word for the certificates that the system trusts."""
MASK = "***"

_SHAPE = re.compile(
    r"postgres(?:ql)?://"
    r"(?:(?P<user>[^:@/?#\s]*)(?::(?P<password>[^@/?#\s]*))?@)?"
    r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^:@/?#\[\]\s]*)"
    r"(?::(?P<port>\d*))?"
    r"(?:/(?P<database>[^@/?#\s]*))?"
    r"(?:\?(?P<query>[^@#\s]*))?"
)
_PERCENT_LOOSE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PLACE_ALONE = re.compile(r"(?:[\w.-]+|\[[0-9A-Fa-f:]+\])(?::\d*)?/[\w.-]*")


@dataclass(frozen=True, slots=True)
class PostgresUrl:
    """The parts of an address, decoded. ``host`` is a name, a number or, for a unix socket, a folder."""

    host: str
    database: str
    port: int = PORT
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    parameters: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def is_socket(self) -> bool:
        """Say whether it leads to a unix socket."""
        return self.host.startswith("/")

    @property
    def shown(self) -> str:
        """Return the address for people, its password masked."""
        user = quote(self.user, safe="") if self.user else ""
        who = f"{user}{':' + MASK if self.password else ''}@" if user or self.password else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        where = "" if self.is_socket else f"{host}:{self.port}"
        socket = {"host": self.host, "port": str(self.port)} if self.is_socket else {}
        query = "&".join(f"{key}={quote(value, safe='/')}" for key, value in {**socket, **self.parameters}.items())
        return f"postgresql://{who}{where}/{quote(self.database, safe='')}{'?' + query if query else ''}"


def is_postgres(text: str) -> bool:
    """Say whether a text is meant as the address of a PostgreSQL database."""
    return text.startswith(("postgresql:", "postgres:"))


def split_url(text: str) -> PostgresUrl:
    """Return the parts of an address; ``ValueError`` says what is allowed, and shows nothing of a password.

    >>> split_url("postgresql://ana:p%40ss@db.example.com/shop").shown
    'postgresql://ana:***@db.example.com:5432/shop'
    """
    if PLACEHOLDER in text:
        raise ValueError(f"{FORM}, with the database's password in the place of {PLACEHOLDER}")
    shape = _SHAPE.fullmatch(text)
    if shape is None or _PERCENT_LOOSE.search(text):
        raise ValueError(
            f"{FORM}. In user and password, @ : / ? # % and spaces are percent-encoded: @ is %40, / is %2F, % is %25"
        )
    written = {key: value for key in (*PLACES, "database") if (value := shape[key])}
    given = {key: _decoded(value) for key, value in {**written, **_query(shape["query"] or "")}.items()}
    if "," in given.get("host", ""):
        raise ValueError(f"{FORM}, with one host: the one that takes writes")
    if "host" not in given:
        raise ValueError(f'{FORM}; for a unix socket "postgresql://USER@/DATABASE?host=/FOLDER"')
    if "database" not in given:
        raise ValueError(f"{FORM}, with the name of the database after the host (Supabase's is postgres)")
    return PostgresUrl(
        host=given["host"].strip("[]"),
        port=_port(given.get("port", str(PORT))),
        database=given["database"],
        user=given.get("user"),
        password=given.get("password"),
        parameters={key: value for key, value in given.items() if key in (*CHOICES, *FILES)},
    )


def without_password(text: str) -> str:
    """Return a text with the user and password of an address in it hidden, and all that follows ``password=``.

    A password may hold @, / and spaces although it should be written otherwise: all up to the last @ goes.

    >>> without_password("https://user:p@ss/w rd@erp.example.com/web")
    'https://***@erp.example.com/web'
    """
    hidden = re.sub(r"(\w:/*|//).*@", rf"\1{MASK}@", text, flags=re.DOTALL)
    return re.sub(r"(\w*pass\w*|\bpwd)(\s*=).*", rf"\1\2{MASK}", hidden, flags=re.DOTALL | re.IGNORECASE)


def shown_database(text: str) -> str:
    """Return what may be shown of any text that somebody gave as the database, well written or not.

    A text that cannot be read may hold its password anywhere: of that, only a whole host and database
    after the last @ are shown, and no text that looks like several settings in one.

    >>> shown_database("postgresql://ana:p@ss@db.example.com/shop"), shown_database("postgresql://ana:pass")
    ('postgresql://***@db.example.com/shop', 'postgresql:***')
    """
    if text.startswith("sqlite:"):
        return text
    if not is_postgres(text):
        shown = without_password(text)
        return MASK if shown == text and re.search(r"[@=]", text) else shown
    try:
        return split_url(text).shown
    except ValueError:
        scheme = re.match(r"\w+:/*", text)
        place = text.rpartition("@")[2].partition("?")[0] if "@" in text else ""
        if scheme and _PLACE_ALONE.fullmatch(place):
            return f"{scheme[0]}{MASK}@{place}"
        return f"{text.partition(':')[0]}:{MASK}"


def _query(text: str) -> dict[str, str]:
    parameters = {}
    for part in filter(None, text.split("&")):
        key, equals, value = part.partition("=")
        if key not in KNOWN:
            # A name that nobody knows is not shown either unless it is one: it may be half a password.
            named = f" {key}" if equals and re.fullmatch(r"\w{1,30}", key) else "s that it has"
            raise ValueError(f"{FORM}, without the parameter{named}: {INSTEAD.get(key, _known())}")
        if not value or value not in CHOICES.get(key, (value,)):
            raise ValueError(f"{FORM}, with {key} {_choices(key)}")
        parameters[key] = value
    return parameters


def _known() -> str:
    return "known here are " + ", ".join(KNOWN)


def _choices(key: str) -> str:
    return "one of " + ", ".join(CHOICES[key]) if key in CHOICES else "not empty"


def _decoded(value: str) -> str:
    try:
        text = unquote(value, errors="strict")
    except UnicodeDecodeError as error:
        raise ValueError(f"{FORM}, what is percent-encoded being UTF-8") from error
    if "\0" in text:
        raise ValueError(f"{FORM}, without %00")
    return text


def _port(text: str) -> int:
    # The port is not shown: where the host was forgotten, a password stands in its place.
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= PORT_MAX:
        raise ValueError(f"{FORM}, with a port from 1 to {PORT_MAX}")
    return int(text)
