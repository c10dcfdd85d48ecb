"""What every test stands on: one event loop kind, three depths, documents that run.

It lies at the root, not in tests/, because the code blocks of README and docs are tests too.
"""

import sys
from collections.abc import Iterator
from random import SystemRandom

import pytest
from hypothesis import HealthCheck, settings
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

# hypothesis would time each example; on a shared machine that only makes tests flaky.
settings.register_profile("fast", max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("full", settings.get_profile("fast"), max_examples=200)
settings.register_profile("deep", settings.get_profile("fast"), max_examples=1_000)
settings.load_profile("fast")

pytest_plugins = ["tests.servers.fixtures"]

pytest_collect_file = Sybil(
    parsers=[SkipParser(), PythonCodeBlockParser()],
    patterns=["*.md"],
).pytest()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `nox -s full -- --chaos-rounds 200 --chaos-seed 7` reach the chaos tests; `nox -s deep` sets them all."""
    parser.addoption(
        "--deep", action="store_true", help="leave nothing out: every boundary, every moment, 40,000 orders"
    )
    parser.addoption("--chaos-rounds", type=int, default=12, help="how many times each chaos story is played")
    parser.addoption(
        "--chaos-seconds", type=float, default=20, help="for how long workers, server and connections are struck"
    )
    parser.addoption(
        "--budget-requests", type=int, default=300, help="how many requests are sent within a limit of five a second"
    )
    parser.addoption("--login-kills", type=int, default=20, help="how many processes that share a login are killed")
    parser.addoption("--deploy-seconds", type=float, default=25, help="for how long servers follow one another")
    parser.addoption("--month-days", type=int, default=4, help="how many days of schedules are simulated")
    parser.addoption("--month-accounts", type=int, default=5, help="how many accounts have them")
    parser.addoption("--deals", type=int, default=1_000, help="how many deals are read while people change them")
    parser.addoption(
        "--chaos-seed", type=int, default=None, help="the dice of the chaos stories; a new seed without it"
    )


@pytest.fixture(scope="session", autouse=True)
def _state_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Leave alone what belongs to the person whose machine this is: the master key, and what alerts told."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture
def is_deep(request: pytest.FixtureRequest) -> bool:
    """Say whether nothing is left out. `full` takes a part, another one each time; all of it takes an hour more."""
    told: bool = request.config.getoption("--deep")
    return told


@pytest.fixture
def anyio_backend() -> str:
    """Run async tests on asyncio, the loop the product runs on."""
    return "asyncio"


@pytest.fixture
def chaos_rounds(request: pytest.FixtureRequest) -> int:
    """Return how many rounds a chaos story is played."""
    rounds: int = request.config.getoption("--chaos-rounds")
    return rounds


@pytest.fixture
def chaos_seconds(request: pytest.FixtureRequest) -> float:
    """Return for how long a story of chaos by the clock is played."""
    seconds: float = request.config.getoption("--chaos-seconds")
    return seconds


@pytest.fixture
def chaos_seed(request: pytest.FixtureRequest) -> int:
    """Return the seed of a chaos story; printed with a failure, so that it can be played again."""
    given: int | None = request.config.getoption("--chaos-seed")
    seed = SystemRandom().randrange(2**32) if given is None else given
    sys.stdout.write(f"--chaos-seed {seed}\n")
    return seed


@pytest.fixture
def deploy_seconds(request: pytest.FixtureRequest) -> float:
    """Return for how long servers follow one another."""
    seconds: float = request.config.getoption("--deploy-seconds")
    return seconds
