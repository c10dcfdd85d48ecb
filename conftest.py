"""What every test stands on: one event loop kind, two depths of hypothesis, documents that run.

It lies at the root, not in tests/, because the code blocks of README and docs are tests too.
"""

import pytest
from hypothesis import HealthCheck, settings
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

# hypothesis would time each example; on a shared machine that only makes tests flaky.
settings.register_profile("fast", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("full", settings.get_profile("fast"), max_examples=1_000)
settings.load_profile("fast")

pytest_collect_file = Sybil(
    parsers=[SkipParser(), PythonCodeBlockParser()],
    patterns=["*.md"],
).pytest()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `nox -s full -- --chaos-rounds 50` reach the chaos tests."""
    parser.addoption("--chaos-rounds", type=int, default=5, help="how many times each chaos story is played")


@pytest.fixture
def anyio_backend() -> str:
    """Run async tests on asyncio, the loop the product runs on."""
    return "asyncio"


@pytest.fixture
def chaos_rounds(request: pytest.FixtureRequest) -> int:
    """Return how many rounds a chaos story is played."""
    rounds: int = request.config.getoption("--chaos-rounds")
    return rounds
