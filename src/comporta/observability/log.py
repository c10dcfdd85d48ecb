"""The program's log: one JSON object per line on standard error, events from the closed list only.

Silent until ``show`` is called: a command speaks to a person, the log to whoever looks into it. structlog
is imported by ``show``, because it takes longer to import than a short command to run.
"""

import logging
import sys
from collections.abc import Mapping
from typing import Protocol, TextIO

from comporta.observability.events import EVENTS

LEVELS = ("debug", "info", "warning", "error")


class Log(Protocol):
    """Somewhere to say that something happened."""

    def write(self, level: str, event: str, fields: Mapping[str, object]) -> None:
        """Say it; ``event`` is on the closed list."""


class Silence:
    """A log that nobody reads."""

    def write(self, level: str, event: str, fields: Mapping[str, object]) -> None:
        """Say nothing."""


class Lines:
    """A log of JSON lines."""

    def __init__(self, stream: TextIO, lowest: str) -> None:
        import structlog  # noqa: PLC0415  half a second, for those who asked for the log

        self._lowest = LEVELS.index(lowest)
        self._logger = structlog.wrap_logger(
            structlog.PrintLogger(stream),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.JSONRenderer(default=str),
            ],
            wrapper_class=structlog.BoundLogger,
        )

    def write(self, level: str, event: str, fields: Mapping[str, object]) -> None:
        """Write one line, if the level is shown."""
        if event not in EVENTS:
            message = f"{event!r} is not on the closed list of events"
            raise ValueError(message)
        if LEVELS.index(level) >= self._lowest:
            getattr(self._logger, level)(event, **fields)


class Foreign(logging.Handler):
    """What libraries say by Python's own logging, from warnings on, as lines of our log."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write it as one line, with where it broke if it did."""
        level = "error" if record.levelno >= logging.ERROR else "warning"
        self._log.write(level, "library_warned", {"library": record.name, "message": self.format(record)})


def open_log(lowest: str | None, *, stream: TextIO | None = None) -> Log:
    """Return the log from a level on; without one, silence."""
    if lowest is None:
        return Silence()
    return Lines(stream or sys.stderr, lowest)
