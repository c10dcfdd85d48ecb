"""Letters as e-mail over SMTP: one plain text for all receivers, with a header that names the alerts.

``tls`` is how the connection is made safe: ``starttls`` on the usual port 587, ``tls`` from the first byte on 465, or
``none``, which never sends a password.
"""

import smtplib
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from comporta.channels.threads import in_thread
from comporta.core.alert import Kind
from comporta.core.alert_letter import Letter
from comporta.errors_alerts import ChannelFailed

TIMEOUT_S = 15.0
"""For each word with the server."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Where e-mail is given to, and in whose name. ``password`` is asked for when a letter is sent."""

    host: str
    port: int
    tls: str
    sender: str
    receivers: Sequence[str]
    user: str | None = None
    password: Callable[[], str] | None = None


class EmailChannel:
    """Implements ``ports.alerts.Channel`` by SMTP."""

    name = "email"

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def send(self, letter: Letter) -> None:
        """Give the letter to the mail server, and raise unless it took it."""
        password = self._mailbox.password() if self._mailbox.user and self._mailbox.password else None
        try:
            await in_thread(lambda: self._send(letter, password))
        except (OSError, smtplib.SMTPException) as error:
            box = self._mailbox
            raise ChannelFailed(f"email to {box.host}:{box.port}: {type(error).__name__}: {error}") from error

    def _send(self, letter: Letter, password: str | None) -> None:
        box = self._mailbox
        with self._connected() as server:
            if box.user and password is not None:
                server.login(box.user, password)
            refused = server.send_message(message_of(letter, box), box.sender, list(box.receivers))
        # Where some receivers were refused, the others have the letter, and must not get it again; a trial says so.
        if refused and any(each.kind is Kind.TEST for each in letter.alerts):
            raise smtplib.SMTPRecipientsRefused(refused)

    def _connected(self) -> smtplib.SMTP:
        box = self._mailbox
        if box.tls == "tls":
            return smtplib.SMTP_SSL(box.host, box.port, timeout=TIMEOUT_S, context=ssl.create_default_context())
        server = smtplib.SMTP(box.host, box.port, timeout=TIMEOUT_S)
        if box.tls == "starttls":
            try:
                server.starttls(context=ssl.create_default_context())
            except BaseException:
                server.close()
                raise
        return server


def message_of(letter: Letter, box: Mailbox) -> EmailMessage:
    """Return the letter as a message."""
    message = EmailMessage()
    message["Subject"] = letter.subject
    message["From"] = box.sender
    message["To"] = ", ".join(box.receivers)
    message["Date"] = formatdate(localtime=False)
    message["Message-ID"] = make_msgid(domain="comporta.invalid")
    # Tells programs that answer by themselves (out of office) to leave it.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.body)
    return message
