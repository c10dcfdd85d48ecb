"""The way in from the shell: `comporta …` and `python -m comporta …`.

``--version`` is answered before anything is imported. This is the boundary of the command line: every
error ends here as a message and an exit code, also the one that nobody foresaw.
"""

import errno
import sys

from comporta import __version__

TYPE_CHECKING = False  # as in comporta/__init__.py
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeVar

    from comporta.cli.console import Console

    E = TypeVar("E", bound=Exception)

PATH_STEPS = {
    errno.EACCES: "Run it as the user whom it belongs to, as in `sudo -u comporta …`, or give this user rights to it.",
    errno.EPERM: "Run it as the user whom it belongs to, as in `sudo -u comporta …`.",
    errno.EROFS: "Name another folder: this one can only be read.",
    errno.ENAMETOOLONG: "Use a shorter name.",
}
"""What to do about a path that the system refuses to a command, by the system's reason."""


def main() -> None:
    """Run the command that the process was started with."""
    arguments = sys.argv[1:]
    try:
        if arguments == ["--version"] and sys.stdout is not None:
            sys.stdout.write(f"comporta {__version__}\n")
            sys.stdout.flush()
            return
        code = run(arguments)
    except (KeyboardInterrupt, OSError) as error:
        # Ctrl-C while modules are still being loaded, or a version that nobody can be told.
        code = ended_early(error, arguments)
    raise SystemExit(code)


def ended_early(error: BaseException, arguments: "Sequence[str]") -> int:
    """Say what ended the process outside any command; a second Ctrl-C does not make a traceback of it."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from comporta.cli.console import console_for

    console = console_for(arguments)
    return console.unheard(error) if isinstance(error, OSError) else console.interrupted()


def run(arguments: "Sequence[str]") -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 wrong use, 3 partly failed, 4 busy."""
    import typer

    from comporta.cli.app import commands
    from comporta.cli.console import INTERRUPTED, Console, console_for
    from comporta.errors import ComportaError

    console: Console = console_for(arguments)
    try:
        code = int(commands()(args=list(arguments), prog_name="comporta", standalone_mode=False) or 0)
        # Typer makes this code of a Ctrl-C, and nothing else ends with it.
        return console.interrupted() if code == INTERRUPTED else code
    except ComportaError as error:
        return console.refuse(error)
    except typer.TyperException as error:
        return console.misuse(error)
    except (KeyboardInterrupt, typer.Abort):
        return console.interrupted()
    except Exception as error:  # noqa: BLE001  the cli boundary: a bug becomes a message and an exit code
        return unexpected(console, error)


def unexpected(console: "Console", error: Exception) -> int:
    """Say what ended the command and is no error of ours: output that nobody takes, a path that is closed, or a bug."""
    from comporta.cli.console import Unheard, cannot_print
    from comporta.errors import ComportaError, Unforeseen, WrongUse

    known = first(ComportaError, error)
    if known is not None:
        return console.refuse(known)
    unheard = first(Unheard, error) or first(BrokenPipeError, error)
    if unheard is None and isinstance(error, OSError):
        unheard = cannot_print()
    if unheard is not None:
        return console.unheard(unheard)
    closed = first(OSError, error)
    step = PATH_STEPS.get(closed.errno or 0) if closed is not None and closed.filename else None
    if closed is not None and step is not None:
        return console.refuse(WrongUse(f"{closed.filename}: {closed.strerror}", next_step=step))
    return console.refuse(Unforeseen(f"an error nobody foresaw: {type(error).__name__}: {error}"), trace=error)


def first(kind: "type[E]", error: BaseException) -> "E | None":
    """Return the first error of a kind in a group that several tasks left, ``None`` without one."""
    if isinstance(error, kind):
        return error
    parts = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return next((found for part in parts if (found := first(kind, part)) is not None), None)
