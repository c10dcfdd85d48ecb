"""How a person's consent comes back: to a small server on this machine, or pasted into the terminal.

The server answers one address on loopback, only to who knows the ``state`` that was sent out, and ends with the first
answer. Whoever is quicker wins: a person whose browser runs on another machine pastes the address it ended at.
"""

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from html import escape
from ipaddress import ip_address
from urllib.parse import parse_qs, urlsplit

from comporta.core.rate import duration_text
from comporta.errors import WrongUse

WAIT = timedelta(minutes=10)
"""As long as a code is good for."""
HEAD_MAX = 16_384
"""Bytes of a request that are read."""
READ_S = 10.0
PASTED_MAX = 65_536
Query = dict[str, str]

_PAGE = """<!DOCTYPE html>
<html lang="pt-BR"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>Comporta</title>
<style>body {{ font: 1.1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 4rem auto; padding: 0 1rem }}</style>
</head><body><h1>{title}</h1><p>{portuguese}</p><p lang="en">{english}</p></body></html>
"""
_DONE = (
    "Autorização recebida",
    "Pronto: a Comporta recebeu a resposta do Mercado Livre. Você já pode fechar esta página e voltar ao terminal.",
    "Done: Comporta has the answer of Mercado Livre. You may close this page and go back to the terminal.",
)
_REFUSED = (
    "Autorização não concedida",
    "O Mercado Livre não concedeu o acesso. O terminal diz o motivo e o próximo passo.",
    "Mercado Livre did not grant access. The terminal tells why, and the next step.",
)
_STRANGE = (
    "Endereço desconhecido",
    "Esta página só atende à autorização que está em andamento. Abra o endereço que o terminal mostra.",
    "This page only serves the authorisation that is under way. Open the address that the terminal shows.",
)


async def brought_back(
    redirect_uri: str,
    state: str,
    *,
    may_paste: bool,
    wait: timedelta = WAIT,
    send: Callable[[], None] = lambda: None,
) -> Query:
    """Return what the redirect said, whichever way it comes; ``WrongUse`` where it does not, or cannot.

    ``may_paste``: there is an input from which a line can be read. ``send`` tells the person to go, once they can come
    back.
    """
    answer: asyncio.Future[Query] = asyncio.get_running_loop().create_future()
    server = await _listen(redirect_uri, state, answer, is_needed=not may_paste)
    send()
    if may_paste:
        _read_line(state, answer, is_needed=server is None)
    try:
        await asyncio.wait({answer}, timeout=wait.total_seconds())
        if not answer.done():
            step = (
                f"Start again. If that page refuses the redirect URI: the application's must be {redirect_uri} exactly."
            )
            raise WrongUse(f"nobody came back from Mercado Livre's page within {duration_text(wait)}", next_step=step)
        return answer.result()
    finally:
        if server is not None:
            server.close()


def query_of(pasted: str, state: str) -> Query:
    """Return what a pasted code or address says.

    >>> query_of("https://example.com/back?code=TG-1&state=s", "s")["code"], query_of(" TG-2 ", "s")["code"]
    ('TG-1', 'TG-2')
    """
    text = pasted.strip().strip("\"'<>")
    if not {"?", "=", "/"} & set(text):
        return {"code": text, "state": state}
    query = (text.partition("?")[2] or text).partition("#")[0]
    return {name: values[0] for name, values in parse_qs(query).items()}


def is_loopback(redirect_uri: str) -> bool:
    """Say whether the browser of this machine can be received there."""
    parts = urlsplit(redirect_uri)
    if parts.scheme != "http" or not parts.hostname:
        return False
    try:
        return ip_address(parts.hostname).is_loopback
    except ValueError:
        return parts.hostname == "localhost"


async def _listen(
    redirect_uri: str, state: str, answer: "asyncio.Future[Query]", *, is_needed: bool
) -> asyncio.Server | None:
    """Receive the browser, where it can be received."""
    if not is_loopback(redirect_uri):
        if is_needed:
            message = f"--redirect-uri {redirect_uri} is not on this machine, and nobody can paste the code here"
            raise WrongUse(message, next_step="Run it in a terminal, or give --refresh-token.")
        return None
    parts = urlsplit(redirect_uri)

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), READ_S)
            status, page = _answered(head, parts.path or "/", state, answer)
            writer.write(_http(status, page))
            await writer.drain()
        writer.close()

    try:
        return await asyncio.start_server(receive, parts.hostname, parts.port or 80, limit=HEAD_MAX)
    except OSError as error:
        if not is_needed:
            return None
        message = f"--redirect-uri: {parts.netloc} cannot be listened on: {error.strerror or error}"
        raise WrongUse(
            message,
            next_step="End what listens there, or choose another port; the application's page "
            "must name the same address.",
        ) from error


def _answered(head: bytes, path: str, state: str, answer: "asyncio.Future[Query]") -> tuple[str, tuple[str, ...]]:
    """Take what the browser brings, if it is what we sent it for."""
    target = urlsplit(head.split(b" ", 2)[1].decode("ascii", "replace"))
    query = {name: values[0] for name, values in parse_qs(target.query).items()}
    if (target.path or "/") != path or query.get("state") != state or not ({"code", "error"} & set(query)):
        return "404 Not Found", _STRANGE
    if not answer.done():
        answer.set_result(query)
    return "200 OK", _REFUSED if "error" in query else _DONE


def _http(status: str, page: tuple[str, ...]) -> bytes:
    title, portuguese, english = map(escape, page)
    body = _PAGE.format(title=title, portuguese=portuguese, english=english).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Cache-Control: no-store\r\nConnection: close\r\n\r\n".encode() + body


def _read_line(state: str, answer: "asyncio.Future[Query]", *, is_needed: bool) -> None:
    """Take the first line that is typed; a thread that nobody waits for, since a terminal cannot be told to stop."""
    loop = asyncio.get_running_loop()

    def put(line: str) -> None:
        if answer.done():
            return
        if line.strip():
            answer.set_result(query_of(line, state))
        elif is_needed:
            answer.set_exception(WrongUse("nothing was pasted", next_step="Start again, and paste the address."))

    def read() -> None:
        # Not by sys.stdin: what a thread still reads from there when Python ends, it cannot close.
        line = os.read(sys.stdin.fileno(), PASTED_MAX).decode("utf-8", "replace")
        with suppress(RuntimeError):  # the loop ended before the person did
            loop.call_soon_threadsafe(put, line)

    threading.Thread(target=read, name="comporta-pasted", daemon=True).start()
