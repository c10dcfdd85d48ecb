"""A mail server and a receiver of webhooks on loopback: they keep what they get, and fail when they are told to."""

import base64
import json
import socket
import socketserver
import ssl
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from comporta.channels.webhook import signed

USER, PASSWORD, SECRET = "ana", "secret of ana", "shared"


@dataclass
class MailServer:
    """Speaks SMTP as far as a client needs it."""

    refuses: frozenset[str] = frozenset()
    is_mute: bool = False
    certificate: tuple[Path, Path] | None = None
    letters: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    secured: int = 0

    def __enter__(self) -> Self:
        owner = self

        class Conversation(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with suppress(OSError):  # a client that does not trust the certificate leaves
                    Talk(owner, self.connection).run()

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Conversation)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])


class Talk:
    """One conversation of the mail server with a client: a method for each word that is not just taken."""

    def __init__(self, server: MailServer, connection: socket.socket) -> None:
        self.server, self.connection = server, connection
        self.stream = connection.makefile("rwb", buffering=0)
        self.receivers: list[str] = []
        self.closing = ExitStack()

    def run(self) -> None:
        with self.closing:
            self.talk()

    def talk(self) -> None:
        if self.server.is_mute:
            self.stream.read(1)  # until the client gives up
            return
        self.say("220 mail.example.com")
        while line := self.stream.readline().decode().strip():
            word, _, rest = line.partition(" ")
            answer = getattr(self, f"on_{word.lower()}", lambda _: "250 ok")(rest)
            if answer:
                self.say(answer)

    def say(self, text: str) -> None:
        self.stream.write(text.encode() + b"\r\n")

    def on_ehlo(self, _: str) -> str:
        offers = ["250-mail.example.com", "250-AUTH PLAIN", *(["250-STARTTLS"] if self.server.certificate else [])]
        return "\r\n".join([*offers, "250 SMTPUTF8"])

    def on_quit(self, _: str) -> str:
        return "221 bye"

    def on_starttls(self, _: str) -> None:
        self.say("220 go on")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*map(str, self.server.certificate or ()))
        self.connection = self.closing.enter_context(context.wrap_socket(self.connection, server_side=True))
        self.stream = self.connection.makefile("rwb", buffering=0)
        self.server.secured += 1

    def on_auth(self, rest: str) -> str:
        _, user, password = base64.b64decode(rest.partition(" ")[2]).decode().split("\0")
        self.server.users.append(user)
        return "235 welcome" if password == PASSWORD else "535 wrong password"

    def on_rcpt(self, rest: str) -> str:
        self.receivers.append(rest.partition("<")[2].partition(">")[0])
        return "550 no such person" if self.receivers[-1] in self.server.refuses else "250 ok"

    def on_data(self, _: str) -> str:
        self.say("354 go on")
        lines = []
        while (part := self.stream.readline()) != b".\r\n":
            lines.append(part.removeprefix(b".") if part.startswith(b"..") else part)
        message = message_from_bytes(b"".join(lines), policy=policy.default)
        kept = [each for each in self.receivers if each not in self.server.refuses]
        self.server.letters.append((kept, message))
        self.receivers = []
        return "250 taken"


@dataclass
class HookServer:
    """Takes webhooks, and answers the statuses it is told to before it answers 200; to GET always 200."""

    statuses: list[int] = field(default_factory=list)
    secret: str = SECRET
    moved_to: str = ""
    taken: list[dict[str, Any]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    forged: int = 0

    def __enter__(self) -> Self:
        owner = self

        class Conversation(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                timestamp = self.headers["Comporta-Timestamp"]
                status = owner.statuses.pop(0) if owner.statuses else 200
                if self.headers["Comporta-Signature"] != signed(body, timestamp, owner.secret)["Comporta-Signature"]:
                    owner.forged += 1
                    status = 401
                if status == 200:
                    owner.taken.append(json.loads(body))
                    owner.names.append(self.headers["Comporta-Alert"])
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", f"{owner.moved_to}{self.path}")
                self.end_headers()

            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Conversation)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/alerts"
