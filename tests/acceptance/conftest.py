"""The stage of the acceptance tests: simulated companies, and folders in which the command is run."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.acceptance.company import Company
from tests.acceptance.project import Json, Project

from comporta.ledger.schema import migrate
from comporta.sandbox.odoo import OdooSandbox

START = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
Open = Callable[..., Company]


class SourceTime:
    """The simulator's clock where a test moves it: stands still between two moves."""

    def __init__(self) -> None:
        self.instant = START

    def __call__(self) -> datetime:
        return self.instant

    def advance(self, **span: float) -> None:
        """Move on."""
        self.instant += timedelta(**span)


@pytest.fixture
def source_time() -> SourceTime:
    """A clock for simulators that stands still until moved."""
    return SourceTime()


@pytest.fixture
def open_company() -> Iterator[Open]:
    """Start simulators that are closed after the test."""
    with ExitStack() as stack:

        def start(**options: Json) -> Company:
            return Company(stack.enter_context(OdooSandbox(**{"records": 60, **options})).url)

        yield start


@pytest.fixture
def company(open_company: Open) -> Company:
    """A small company."""
    return open_company()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of ours, made once: two seconds that are no test's subject."""
    path = tmp_path_factory.mktemp("migrated") / "comporta.db"
    migrate(path)
    return path


@pytest.fixture
def new_project(tmp_path: Path, migrated: Path) -> Project:
    """A folder without settings."""
    return Project(tmp_path / "project", migrated=migrated)


@pytest.fixture
def project(new_project: Project, company: Company) -> Project:
    """A folder whose only account is the small company."""
    new_project.configure({"matriz": company.url})
    return new_project
