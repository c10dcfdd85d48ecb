"""The way in from the shell: `comporta …` and `python -m comporta …`.

``--version`` is answered before anything is imported. This is the boundary of the command line: every
error ends here as a message and an exit code, also the one that nobody foresaw.
"""

import sys

from comporta import __version__

TYPE_CHECKING = False  # as in comporta/__init__.py
if TYPE_CHECKING:
    from collections.abc import Sequence


def main() -> None:
    """Run the command that the process was started with."""
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        sys.stdout.write(f"comporta {__version__}\n")
        return
    raise SystemExit(run(arguments))


def run(arguments: "Sequence[str]") -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 wrong use, 3 partly failed, 4 busy."""
    import typer

    from comporta.cli.app import app
    from comporta.cli.console import Console, console_for
    from comporta.errors import ComportaError, Unforeseen

    console: Console = console_for(arguments)
    try:
        return int(app(args=list(arguments), prog_name="comporta", standalone_mode=False) or 0)
    except ComportaError as error:
        return console.refuse(error)
    except typer.TyperException as error:
        return console.misuse(error)
    except (KeyboardInterrupt, typer.Abort):
        return console.interrupted()
    except BrokenPipeError:
        return console.unheard()
    except Exception as error:  # noqa: BLE001  the cli boundary: a bug becomes a message and an exit code
        known = first_known(error)
        unforeseen = Unforeseen(f"an error nobody foresaw: {type(error).__name__}: {error}")
        return console.refuse(known or unforeseen, trace=None if known else error)


def first_known(error: BaseException) -> "Exception | None":
    """Return the first error of ours in a group that several tasks left, ``None`` without one."""
    from comporta.errors import ComportaError

    if isinstance(error, ComportaError):
        return error
    parts = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return next((known for part in parts if (known := first_known(part)) is not None), None)
