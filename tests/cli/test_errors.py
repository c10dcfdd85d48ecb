"""Whatever goes wrong, the command line says it in one form: code, message, next step, exit code."""

import errno
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import Command

from comporta import __version__
from comporta.cli import accounts
from comporta.cli import app as tree
from comporta.cli.console import INTERRUPTED, Console, code_of, console_for
from comporta.cli.main import first, run
from comporta.core.outcome import ExitCode
from comporta.errors import Busy, ComportaError, SourceUnavailable, UnknownKey

COMMANDS = [command.callback.__name__.replace("_", "-") for command in tree.app.registered_commands if command.callback]
GROUPS = [str(group.name) for group in tree.app.registered_groups]


def test_the_version_is_answered_before_anything_is_loaded(tmp_path: Path) -> None:
    """Neither Typer nor the settings are imported for it."""
    code = (
        "import sys; sys.argv = ['comporta', '--version']; from comporta.cli.main import main; main();"
        " print({'typer', 'tomllib', 'asyncio', 'rich'} & set(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)

    assert said.stdout.splitlines() == [f"comporta {__version__}", "set()"]


def test_help_fits_one_screen_and_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """24 lines of 80 letters; a command that is not there does not exist for a newcomer."""
    code = run(["--help"])
    lines = capsys.readouterr().out.rstrip("\n").splitlines()

    assert code == 0
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert set(re.findall(r"(?:^  |   )([\w-]+)  ", "\n".join(lines), re.MULTILINE)) >= {*COMMANDS, *GROUPS}


@pytest.mark.parametrize("command", [*COMMANDS, *(f"{group} --help" for group in GROUPS)])
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And has --json."""
    code = run([*command.split(), "--help"])
    said = capsys.readouterr().out

    assert code == 0
    assert command in GROUPS or "--json" in said or "Commands:" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sync", "--sinc", "2h"], "No such option: --sinc"),
        (["bogus"], "No such command 'bogus'"),
        (["coverage"], "Missing argument 'ACCOUNT/STREAM'"),
        (["runs", "--limit", "many"], "Invalid value for '--limit'"),
    ],
)
def test_wrong_use_is_told_in_json_too(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Arguments that cannot be read still say whether JSON was wanted."""
    codes = [run(arguments), run([*arguments, "--json"])]
    out, err = capsys.readouterr()

    assert codes == [ExitCode.WRONG_USE, ExitCode.WRONG_USE]
    assert said in err
    assert said in json.loads(out)["error"]["message"]


@pytest.mark.parametrize(
    ("group", "commands"),
    [
        ("connect", "odoo, activecampaign, mercadolivre"),
        ("run", "show, cancel"),
        ("sandbox", "odoo, activecampaign, mercadolivre"),
    ],
)
def test_a_group_alone_asks_for_a_command(group: str, commands: str, comporta: Command) -> None:
    """In JSON too, and not in the words of the framework."""
    plainly, said = comporta(group), comporta(group, "--json")

    assert (plainly.code, said.code) == (ExitCode.WRONG_USE, ExitCode.WRONG_USE)
    assert said.json["error"]["message"] == f"comporta {group}: what of it? expected one of {commands}"
    assert plainly.err.startswith(
        f"CMP-SET-007 {said.json['error']['message']}\n  Next: See `comporta {group} --help`."
    )


def test_an_error_is_code_message_and_next_step(folder: Path, comporta: Command) -> None:
    """On standard error, so that a pipe gets results only."""
    said = comporta("sync", "lojja")

    assert said.code == ExitCode.WRONG_USE
    assert said.out == ""
    assert said.err == (
        "CMP-SET-005 there is no account 'lojja'; did you mean 'loja'?\n"
        "  Next: `comporta status` lists the accounts and their streams.\n"
    )


@pytest.mark.parametrize("line", [["--config", "x.toml", "status"], ["--json", "status"], ["--verbose", "sync"]])
def test_an_option_before_the_command_is_told_its_place(line: list[str], comporta: Command) -> None:
    """`comporta --help` names it, and so it is not unknown."""
    said = comporta(*line)

    assert said.code == ExitCode.WRONG_USE
    assert "Write options behind the command, as in `comporta status --json`." in said.out + said.err


@pytest.mark.parametrize(
    ("name", "example"), [("loja", "loja/sale.order"), ("product.product", "loja/product.product"), ("x", "")]
)
def test_half_the_name_of_a_stream_is_told_from_an_unknown_one(
    name: str, example: str, folder: Path, comporta: Command
) -> None:
    """Account or stream alone: the whole name is shown, if there is one that is meant."""
    said = comporta("coverage", name)

    such = f", such as {example}" if example else ""
    assert said.code == ExitCode.WRONG_USE
    assert said.err.startswith(f"CMP-SET-005 {name!r} names no stream; expected ACCOUNT/STREAM{such}\n")


def test_a_missing_settings_file_is_named(tmp_path: Path, comporta: Command) -> None:
    """A wrong --config never means defaults."""
    said = comporta("status", "--json", "--config", str(tmp_path / "none.toml"))

    assert said.code == ExitCode.WRONG_USE
    assert said.json["error"]["code"] == "CMP-SET-001"


@pytest.mark.parametrize(
    "line", ["status --config {long}", "backup {long}", "restore {long} --yes", "sync --config {folder}/long.toml"]
)
def test_a_path_that_the_system_refuses_is_no_fault_of_ours(folder: Path, comporta: Command, line: str) -> None:
    """Versions of Python say of a name that is too long that it is not there, or refuse it."""
    long = "a" * 300
    (folder / "long.toml").write_text(f'database = "sqlite:///{long}.db"\n', encoding="utf-8")

    said = comporta(*line.format(long=long, folder=folder).split(), "--json")

    assert said.code in {ExitCode.WRONG_USE, ExitCode.FAILED}
    assert said.json["error"]["code"] != "CMP-BUG-001"
    assert long in said.json["error"]["message"]


@pytest.mark.parametrize(
    ("number", "step"),
    [(errno.EACCES, "Run it as the user"), (errno.EROFS, "Name another"), (errno.ENAMETOOLONG, "Use")],
)
def test_a_folder_that_is_closed_to_this_user_is_no_fault_of_ours(
    monkeypatch: pytest.MonkeyPatch, comporta: Command, number: int, step: str
) -> None:
    """Root may enter every folder, so the system's refusal is played here."""

    def closed(**_: object) -> int:
        raise ExceptionGroup("tasks", [OSError(number, "no", "/closed/comporta.toml")])

    monkeypatch.setattr(tree, "commands", lambda: closed)
    said = comporta("status", "--json")

    assert said.code == ExitCode.WRONG_USE
    assert said.json["error"]["message"] == "/closed/comporta.toml: no"
    assert said.json["error"]["next_step"].startswith(step)


def test_a_fault_of_ours_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comporta: Command) -> None:
    """With a code to report, and the place only for who asks."""

    def broken(**_: object) -> int:
        raise RuntimeError("boom")

    monkeypatch.setattr(tree, "commands", lambda: broken)
    said = comporta("status", "--json")

    assert said.code == ExitCode.FAILED
    assert said.json["error"]["code"] == "CMP-BUG-001"
    assert "RuntimeError: boom" in said.json["error"]["message"]
    assert said.err == ""


def test_the_place_of_a_fault_is_shown_to_who_asks(monkeypatch: pytest.MonkeyPatch, comporta: Command) -> None:
    """--verbose is what a report needs."""

    def broken(**_: object) -> int:
        raise RuntimeError("boom")

    monkeypatch.setattr(tree, "commands", lambda: broken)

    assert "Traceback" not in comporta("status").err
    assert "Traceback" in comporta("status", "--verbose").err


def test_an_error_inside_a_group_is_found() -> None:
    """Several tasks leave their errors together."""
    known = UnknownKey("x")
    nested = ExceptionGroup("tasks", [ValueError(), ExceptionGroup("more", [known])])

    assert first(ComportaError, nested) is known
    assert first(ComportaError, ExceptionGroup("tasks", [ValueError()])) is None


@pytest.mark.parametrize(
    ("error", "code"),
    [(UnknownKey("x"), ExitCode.WRONG_USE), (Busy("x"), ExitCode.BUSY), (SourceUnavailable("x"), ExitCode.FAILED)],
)
def test_the_exit_code_follows_from_what_the_caller_does_next(error: ComportaError, code: int) -> None:
    """Correct the command, wait, or look into it."""
    assert code_of(error) == code


def test_what_stands_after_two_dashes_is_no_option() -> None:
    """An account may be called --json by a joker; it is still a name."""
    assert console_for(["sync", "--json"]).is_json
    assert not console_for(["sync", "--", "--json"]).is_json
    assert console_for(["sync"]) == Console()


@pytest.mark.skipif(sys.platform == "win32", reason="a disk that is full is played by a limit of this process")
@pytest.mark.parametrize(("options", "left"), [("[]", None), ("['--force']", "mine")])
def test_settings_that_cannot_be_written_whole_are_not_written(options: str, left: str | None, tmp_path: Path) -> None:
    """Not a part of them, which the next `init` would take for somebody's; and what was there stays."""
    path = tmp_path / "comporta.toml"
    if left is not None:
        path.write_text(left, encoding="utf-8")
    line = (
        "import resource; from comporta.cli import accounts; from comporta.cli.main import run;"
        f" resource.setrlimit(resource.RLIMIT_FSIZE, (99, 99)); raise SystemExit(run(['init', *{options}]))"
    )
    said = subprocess.run([sys.executable, "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert said.returncode == ExitCode.WRONG_USE
    assert "comporta.toml: cannot be written: [Errno" in said.stderr
    assert [each.read_text("utf-8") for each in tmp_path.iterdir()] == ([] if left is None else [left])


@pytest.mark.full
def test_a_reader_that_goes_away_ends_the_command_quietly(tmp_path: Path) -> None:
    """As in `comporta settings | head -1`, where head is quick."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "comporta", "settings"]
    said = subprocess.run(
        command, cwd=tmp_path, stdout=writing, stderr=subprocess.PIPE, text=True, check=False, timeout=60
    )
    os.close(writing)

    assert (said.returncode, said.stderr) == (1, "")


@pytest.mark.parametrize("arguments", [["settings"], ["settings", "--json"], ["settings", "--help"]])
def test_a_full_disk_is_one_sentence(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever prints: the command, its JSON, Typer's help."""
    monkeypatch.chdir(tmp_path)
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        code = run(arguments)

    assert code == ExitCode.FAILED
    assert capsys.readouterr().err == "comporta: the result cannot be printed: No space left on device\n"


@pytest.mark.parametrize("arguments", [["settings"], ["settings", "--json"]])
def test_a_closed_output_is_one_sentence(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Python has no sys.stdout at all in `comporta settings >&-`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdout", None)

    assert run(arguments) == ExitCode.FAILED
    assert capsys.readouterr().err == "comporta: the result cannot be printed: standard output is closed\n"


@pytest.mark.full
@pytest.mark.parametrize(
    ("command", "code"), [("bogus --json > /dev/full", 1), ("--version > /dev/full", 1), ("bogus >&- 2>&-", 2)]
)
def test_nothing_is_left_to_say_at_the_end(command: str, code: int, tmp_path: Path) -> None:
    """The interpreter writes what is left when it ends, and would complain then."""
    said = subprocess.run(
        ["/bin/sh", "-c", f'"{sys.executable}" -m comporta {command}'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert said.returncode == code
    assert said.stderr.count("\n") == (0 if "2>&-" in command else 1)
    assert "Error" not in said.stderr


@pytest.mark.parametrize(("options", "said"), [("", "Interrupted.\n"), ("--json", "")])
def test_an_interrupt_while_modules_are_loaded_is_no_traceback(options: str, said: str, tmp_path: Path) -> None:
    """The first third of a second of every command goes there."""
    code = f"""
import sys
from comporta.cli.main import main
class Interrupting:
    def find_spec(self, name, *_):
        if name == "typer":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupting())
sys.argv = "comporta check {options}".split()
main()
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)

    assert (ended.returncode, ended.stderr) == (INTERRUPTED, said)
    assert not options or json.loads(ended.stdout)["error"]["message"] == "interrupted"


def test_an_interrupted_command_is_told_in_json_too(monkeypatch: pytest.MonkeyPatch, comporta: Command) -> None:
    """Standard output is one document, however the command ends."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(accounts, "read_workspace", interrupted)
    said, plainly = comporta("check", "--json"), comporta("check")

    assert (said.code, plainly.code) == (INTERRUPTED, INTERRUPTED)
    assert (said.json["ok"], said.json["error"]["message"]) == (False, "interrupted")
    assert (plainly.out, plainly.err) == ("", "Interrupted.\n")


def test_an_old_encoding_does_not_break_the_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """A letter that the terminal does not have becomes a question mark."""
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    Console().say("João …")

    assert written.getvalue() == b"Jo?o ?" + os.linesep.encode()


@pytest.mark.full
def test_opening_a_workspace_waits_for_no_http_client(tmp_path: Path) -> None:
    """Which streams an account has is known without it; `status` and `runs` never need it."""
    heavy = {"pyreqwest", "sqlalchemy", "rich", "structlog", "starlette", "uvicorn"}
    code = f"import sys, comporta.bootstrap.workspaces; print({heavy} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)

    assert said.stdout == "set()\n"


def test_a_folder_that_is_set_is_not_looked_for(tmp_path: Path) -> None:
    """Reading settings that name their ``state_dir`` does without the library that knows where it would be."""
    (tmp_path / "comporta.toml").write_text('state_dir = "state"\n')
    code = (
        "import sys; from pathlib import Path; from comporta.settings.reading import read_settings;"
        " read_settings(Path('comporta.toml')); print({'platformdirs'} & set(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)

    assert said.stdout == "set()\n"
