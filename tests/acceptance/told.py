"""A project with a mail server: things go wrong in it, the server looks, and what people are told is read."""

import asyncio
import http.server
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from tests.acceptance.databases import Json
from tests.acceptance.project import Project
from tests.channels.servers import MailServer

from comporta.bootstrap.workspaces import open_workspace
from comporta.core.alert import Alert
from comporta.observability.log import Silence
from comporta.settings.reading import read_settings
from comporta.workspace.alarms import watch_of
from comporta.workspace.workspace import Workspace

Act = Callable[[Workspace], Awaitable[object]]


@dataclass
class Office:
    """The project, and the mail that comes of it."""

    project: Project
    mail: MailServer
    language: str = "en"

    def set_up(self, accounts: dict[str, Json], *, alerts: dict[str, Json] | None = None, **settings: Json) -> None:
        """Write comporta.toml: people are told by e-mail, and nothing is waited for."""
        email = {"host": "localhost", "port": self.mail.port, "tls": "none", "sender": "c@example.com"}
        told = {
            "language": self.language,
            "grace": "0s",
            "over_after": "0s",
            "failures": 2,
            "email": {**email, "to": ["ana@example.com"]},
        }
        usual = {"margin": "0s", "sqlite": {"busy_timeout": "100ms"}}
        self.project.configure(accounts, alerts={**told, **(alerts or {})}, **{**usual, **settings})

    def happens(self, *acts: Act, before: Sequence[Act] = (), after: Sequence[Act] = ()) -> list[Alert]:
        """Do something with the workspace open, let the watch look, and return the alerts that are open.

        ``before`` is done before there is a watch, ``after`` when it has looked.
        """

        async def go() -> list[Alert]:
            async with open_workspace(read_settings(self.project.config)) as workspace:
                for act in before:
                    await act(workspace)
                watch = watch_of(workspace, Silence())
                watch._ways = replace(watch._ways, database_silent=timedelta())
                watch._began_s -= timedelta(hours=1).total_seconds()  # who just started knows less
                for act in acts:
                    await act(workspace)
                await watch.look()
                for act in after:
                    await act(workspace)
                return list(await workspace.reach.book.alerts())

        return asyncio.run(go())

    @property
    def letter(self) -> str:
        """Return the one letter that came, its subject first."""
        assert len(self.mail.letters) == 1, [str(message["Subject"]) for _, message in self.mail.letters]
        _, message = self.mail.letters[0]
        return f"{message['Subject']}\n{message.get_content()}"


def syncs(*names: str) -> Act:
    """Return an act: sync by hand."""
    return lambda workspace: workspace.sync(names)


@contextmanager
def stub(status: int, body: bytes, **headers: str) -> Iterator[str]:
    """Serve one answer to everybody."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815  likewise

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
