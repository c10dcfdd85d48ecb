"""The end of waiting for a server that is frozen while its connections live.

Neither the network nor the server's own time limits say a word then, and a thread that waits for an answer hears
nothing of a connection that is merely closed: what wakes it is the end of the line.
"""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import psycopg

Connection = psycopg.Connection[Any]


@contextmanager
def cut_after(connection: Connection, longest: timedelta) -> Iterator[None]:
    """Cut a connection under whoever waits for its answer for longer."""
    cutting = threading.Timer(longest.total_seconds(), _cut, (connection,))
    cutting.daemon = True
    cutting.start()
    try:
        yield
    finally:
        cutting.cancel()


def _cut(connection: Connection) -> None:
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)
