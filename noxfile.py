"""The checks, for people and CI alike: `nox` in a minute, `nox -s full` in fifteen, `nox -s deep` in hours.

Sessions use the environment nox itself runs in (`uv run nox`, or a venv with the dev group), so
nothing is installed twice. What follows `--` goes to pytest: `nox -s full -- --chaos-rounds 50`.
"""

import os
import shutil
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.10"
nox.options.default_venv_backend = "none"
nox.options.sessions = ["check"]

CONSTRAINTS_HEAD = "# The exact versions that Comporta is tested with. Renew with: uv run nox -s constraints\n"


def run(session: nox.Session, tool: str, *arguments: str) -> None:
    """Run a tool of the environment nox is in, whether or not that is activated."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    # Images often forbid bytecode. The tests start a hundred processes, and each would compile all it imports.
    env = {"PATH": path, "PYTHONDONTWRITEBYTECODE": ""}
    session.run(shutil.which(tool, path=path) or tool, *arguments, env=env)


def pytest(session: nox.Session, *arguments: str) -> None:
    """Run tests; every session's pytest goes through here."""
    run(session, "python", "-m", "pytest", *arguments, *session.posargs)


def look(session: nox.Session) -> None:
    """Check what can be checked without running it."""
    run(session, "ruff", "check")
    run(session, "ruff", "format", "--check")
    run(session, "mypy")
    run(session, "lint-imports", "--no-logo")
    run(session, "deptry", "src")


@nox.session
def check(session: nox.Session) -> None:
    """Everything quick: style, types, imports, dependencies, fast tests."""
    look(session)
    # Stealing leaves the tests of a module together, so that what they share is made once. The simulators' own tests
    # are in `full`: what is built here is tested against them, and that is what notices when one is wrong.
    pytest(session, "-n", "3", "--dist", "worksteal", "-m", "not full", "--ignore", "tests/sandbox")


@nox.session
def full(session: nox.Session) -> None:
    """Everything: the check, hypothesis at depth, real processes, chaos."""
    look(session)
    # Hundreds of examples take longer than the ten seconds that a fast test has.
    deep = ("--hypothesis-profile", "full", "--timeout", "120", "--ignore", "tests/acceptance")
    pytest(session, "-n", "3", "--dist", "worksteal", *deep)
    # Most of their time acceptance tests wait, for a lease to run out or a retry to come: three find room on two cores.
    pytest(session, "-n", "3", "--dist", "worksteal", "tests/acceptance", "-m", "not alone")
    # Those that measure need quiet neighbours, and are that themselves: they wait for a limit to let them.
    pytest(session, "-n", "2", "tests/acceptance", "-m", "alone")


@nox.session
def branches(session: nox.Session) -> None:
    """Which branches of core and coordination no fast test takes; a few minutes."""
    quick = ("-p", "no:xdist", "-m", "not full", "--timeout", "60")
    run(
        session,
        "coverage",
        "run",
        "-m",
        "pytest",
        *quick,
        "src/comporta/core",
        "tests/core",
        "tests/coordination",
        "tests/engine",
    )
    run(session, "coverage", "report")


@nox.session
def deep(session: nox.Session) -> None:
    """Everything with nothing left out, for some hours: before a release, on a machine that does nothing else."""
    month = ("--month-days", "30", "--month-accounts", "100")
    kills = ("--chaos-rounds", "200", "--chaos-seconds", "600", "--login-kills", "1000", "--deploy-seconds", "300")
    sizes = ("--budget-requests", "10000", "--deals", "8500")
    pytest(session, "--deep", "--hypothesis-profile", "deep", "--timeout", "14400", *month, *kills, *sizes)


@nox.session
def constraints(session: nox.Session) -> None:
    """Write constraints.txt anew from the newest versions that fit together; needs uv."""
    listed = Path("constraints.txt")
    export = "uv export --upgrade --all-groups --all-extras --no-emit-project --no-hashes --no-annotate --no-header"
    run(session, *export.split(), "--quiet", "--output-file", str(listed))
    listed.write_text(CONSTRAINTS_HEAD + listed.read_text(encoding="utf-8"), encoding="utf-8")
