"""A server that asks for a password, and speaks TLS where it was built to, with certificates made for it.

Its certificate is for ``localhost`` and not for 127.0.0.1, so a client that checks names can be seen to
fail. Its database ``tls_only`` lets nobody in without TLS, as some hosts do everywhere.
"""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

from tests.servers import home as homes
from tests.servers.builds import Build
from tests.servers.certificates import make_certificates
from tests.servers.home import Home
from tests.servers.postgres import OwnPostgres, found_postgres, make_postgres

PASSWORD = "duas gaivotas/à janela"
"""A blank, a slash and letters that a URL must escape."""
TLS_ONLY = "tls_only"
RULES = f"""\
hostnossl {TLS_ONLY} all all reject
host all all 127.0.0.1/32 scram-sha-256
"""


@dataclass(frozen=True)
class GuardedPostgres:
    """A server with a password, and the certificates to check it by: its own authority's and a stranger's."""

    server: OwnPostgres
    password: str
    authority: Path
    stranger: Path

    @property
    def has_tls(self) -> bool:
        """Tell whether the server speaks TLS."""
        return self.authority.exists()

    def url(
        self, database: str = "postgres", *, host: str = "localhost", password: str | None = None, **options: str
    ) -> str:
        """Return a URL for it; options are libpq's: ``sslmode="verify-full"``, ``sslrootcert=str(authority)``."""
        secret = quote(self.password if password is None else password, safe="")
        asked = f"?{urlencode(options)}" if options else ""
        return f"postgresql://postgres:{secret}@{host}:{self.server.port}/{database}{asked}"


def shared_guarded(home: Home, build: Build) -> GuardedPostgres:
    """Return the session's guarded server of a build, started by the first worker that asks."""
    room = home.folder / f"guarded-{build.name}"
    with home.alone():
        if not homes.is_alive(room):
            _start(home, build, room)
        server = found_postgres(home, build, room, is_hasty=True)
    guarded = GuardedPostgres(server, PASSWORD, room / "authority.pem", room / "stranger.pem")
    server.root_url = guarded.url(host=homes.LOOPBACK)
    return guarded


def _start(home: Home, build: Build, room: Path) -> None:
    secret = home.folder / f"{room.name}.password"
    secret.write_text(PASSWORD, encoding="utf-8")
    homes.hand_over(secret)
    server = make_postgres(home, build, room.name, is_hasty=True, init=[f"--pwfile={secret}"])
    if build.has_tls:
        make_certificates(room, "localhost")
        with (room / "data" / "postgresql.conf").open("a", encoding="utf-8") as settings:
            settings.write("ssl = on\nssl_cert_file = '../server.pem'\nssl_key_file = '../server.key'\n")
    server.start()
    with server.admin() as connection:
        connection.execute(f"CREATE DATABASE {TLS_ONLY}")
    (room / "data" / "pg_hba.conf").write_text(RULES, encoding="utf-8")
    server.restart()
