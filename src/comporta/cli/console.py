"""What a command prints and where: results on standard output, everything else on standard error.

With ``--json`` standard output carries one JSON document and nothing else, whatever happens. Whether it
was asked for is read from the raw arguments, because an argument that cannot be read is told in JSON too.
"""

import errno
import getpass
import json
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TextIO

from comporta.core.outcome import ExitCode
from comporta.errors import Busy, ComportaError, SettingsError, WrongUse

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C ended, as shells have it: 128 and the number of SIGINT."""


class Unheard(OSError):
    """Standard output is closed, or takes no more: nobody can be told the result."""


@dataclass(frozen=True, slots=True)
class Console:
    """Standard output and standard error of one command."""

    is_json: bool = False
    is_verbose: bool = False

    @property
    def is_terminal(self) -> bool:
        """Say whether a person watches standard output."""
        return not self.is_json and sys.stdout is not None and sys.stdout.isatty()

    @property
    def width(self) -> int | None:
        """Return how many letters a line of the terminal has, ``None`` where nobody watches."""
        import shutil

        return shutil.get_terminal_size().columns if self.is_terminal else None

    @property
    def can_ask(self) -> bool:
        """Say whether there is somebody to answer a question."""
        streams = (sys.stdin, sys.stderr)
        return not self.is_json and all(stream is not None and stream.isatty() for stream in streams)

    def say(self, text: str = "") -> None:
        """Print a line for people; nothing with ``--json``."""
        if not self.is_json:
            _print(text, sys.stdout)

    def tell(self, text: str) -> None:
        """Print a line beside the result; if that cannot be, the result still counts."""
        with suppress(OSError):
            _print(text, sys.stderr)

    def document(self, value: object) -> None:
        """Print the JSON document; nothing without ``--json``."""
        if self.is_json:
            # ASCII only: a pipe on Windows has the encoding of another decade.
            _print(json.dumps(value, default=str), sys.stdout)

    def ask(self, question: str, *, option: str) -> str:
        """Return what the person answers; without one, the option that would answer is missing."""
        if not self.can_ask:
            raise WrongUse(f"{option} is missing, and nobody can be asked here", next_step=f"Give {option}.")
        sys.stderr.write(question)
        sys.stderr.flush()
        return _answered(sys.stdin.readline(), option)

    def ask_unseen(self, question: str, *, option: str) -> str:
        """Return what the person answers to who may be asked, without showing it."""
        try:
            return _answered(getpass.getpass(question) + "\n", option)
        except EOFError:
            return _answered("", option)

    def refuse(self, error: Exception, *, trace: Exception | None = None) -> int:
        """Print an error of ours, its code and next step, and return the exit code."""
        known = error if isinstance(error, ComportaError) else ComportaError(str(error))
        if trace is not None and self.is_verbose:
            traceback.print_exception(trace, file=sys.stderr)
        self.document({"ok": False, "error": known.as_json()})
        if not self.is_json:
            hint = " Add --verbose to see where." if trace is not None and not self.is_verbose else ""
            self.tell(f"{known.code} {known.message}\n  Next: {known.next_step}{hint}")
        return code_of(known)

    def misuse(self, error: Exception) -> int:
        """Print what is wrong with the arguments."""
        said = getattr(error, "format_message", lambda: str(error))()
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "comporta"
        if not said:
            self.say(context.get_help() if context is not None else "")
            return ExitCode.WRONG_USE
        step = f"See `{command} --help`."
        if command == "comporta" and hasattr(error, "option_name"):
            step = "Write options behind the command, as in `comporta status --json`."
        return self.refuse(WrongUse(f"{command}: {said}", next_step=step))

    def interrupted(self) -> int:
        """Say that a person ended the command."""
        error = WrongUse("interrupted", next_step="Start it again when wanted.")
        try:
            self.document({"ok": False, "error": error.as_json()})
        except OSError as unheard:
            self.unheard(unheard)
        if not self.is_json:
            self.tell("Interrupted.")
        return INTERRUPTED

    def unheard(self, error: OSError) -> int:
        """End without a traceback when standard output takes nothing; quietly if a reader left, as `head` does."""
        if not isinstance(error, BrokenPipeError):
            self.tell(f"comporta: the result cannot be printed: {error.strerror or error}")
        if sys.stdout is not None:
            # Python writes once more what is left when it ends; there it finds an end that takes it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILED


def _answered(line: str, option: str) -> str:
    if not line:  # the end of what is typed, as by Ctrl-D; an empty answer has its line feed
        raise WrongUse(f"{option}: no answer came", next_step=f"Answer, or give {option}.")
    return line.strip()


def console_for(arguments: Sequence[str]) -> Console:
    """Return the console that the arguments ask for."""
    options = list(arguments)[: arguments.index("--")] if "--" in arguments else list(arguments)
    return Console(is_json="--json" in options, is_verbose="--verbose" in options)


def code_of(error: ComportaError) -> ExitCode:
    """Return the exit code of a command that an error ended."""
    if isinstance(error, SettingsError):
        return ExitCode.WRONG_USE
    return ExitCode.BUSY if isinstance(error, Busy) else ExitCode.FAILED


def cannot_print() -> Unheard | None:
    """Return why standard output takes nothing, ``None`` if it does: another's `print` may have failed."""
    try:
        _print("", sys.stdout, end="")
    except Unheard as error:
        return error
    return None


def _print(text: str, stream: TextIO | None, end: str = "\n") -> None:
    if stream is None:
        raise Unheard(errno.EBADF, "standard output is closed")
    encoding = stream.encoding or "utf-8"
    try:
        stream.write(text.encode(encoding, "replace").decode(encoding) + end)
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Unheard(error.errno, error.strerror) from error
