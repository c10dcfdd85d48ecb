"""A virtual environment for each contestant with awkward dependencies, made once by pip, on demand.

They lie in the user's cache folder, named after what is in them. What cannot be installed is remembered for
this run with pip's last word, so that the report can name it.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

REQUIREMENTS: Mapping[str, Sequence[str]] = {
    "dlt": ("dlt[sqlalchemy,postgres]==1.*", "requests>=2.32"),
    "singer": ("singer-sdk>=0.54,<1", "meltanolabs-target-postgres>=0.8,<1", "requests>=2.32"),
    "airbyte": ("airbyte>=0.71,<1",),
    "tap": ("tap-activecampaign==1.3.1",),
}
INSTALL_TIMEOUT_S = 600
_refused: dict[str, str] = {}


class NotAvailableError(Exception):
    """A contestant cannot be had here, and why."""


def cache() -> Path:
    """Return the folder that holds the environments."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "comporta-bench"


def python_of(name: str | None) -> str:
    """Return the interpreter of an environment that is there; ours for a contestant that needs none."""
    return sys.executable if name is None else str(_folder(name) / "bin" / "python")


def is_there(name: str) -> bool:
    """Say whether an environment was made before."""
    return (_folder(name) / "complete").exists()


def provide(name: str) -> None:
    """Make an environment unless it is there; raise ``NotAvailableError`` with the reason if that fails."""
    if name in _refused:
        raise NotAvailableError(_refused[name])
    if is_there(name):
        return
    folder = _folder(name)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        _run(sys.executable, "-m", "venv", str(folder))
        _run(python_of(name), "-m", "pip", "install", "--quiet", *REQUIREMENTS[name])
    except NotAvailableError as error:
        _refused[name] = f"{', '.join(REQUIREMENTS[name])} cannot be installed: {error}"
        raise NotAvailableError(_refused[name]) from error
    (folder / "complete").touch()


def version(name: str, package: str) -> str:
    """Return the version of a package in an environment."""
    query = f"import importlib.metadata as m; print(m.version({package!r}))"
    return subprocess.run([python_of(name), "-c", query], capture_output=True, text=True, check=True).stdout.strip()


def _folder(name: str) -> Path:
    text = f"{sys.version}\n{sys.prefix}\n" + "\n".join(REQUIREMENTS[name])
    return cache() / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _run(*command: str) -> None:
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=INSTALL_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise NotAvailableError(f"{command[2]} took more than {INSTALL_TIMEOUT_S} s") from error
    if ended.returncode:
        lines = [line for line in (ended.stderr or ended.stdout).splitlines() if line.strip()]
        raise NotAvailableError(lines[-1][-300:] if lines else f"exit status {ended.returncode}")
