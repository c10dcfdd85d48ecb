"""Real processes that share a login, killed at every step and at any moment: what is lost is the server's doing alone.

The simulator is the witness. A login may be lost where the server rotated and its answer was not on our disk: each is
counted, and no more may be lost than there are. No token is sent again whose answer was stored or refused.
"""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from threading import Event

import pytest
from tests.coordination.login_worker import ACCOUNT, KEY, POINTS, line, open_database
from tests.sandbox.mercadolivre_clients import logins
from tests.sandbox.odoo_clients import Json, act

from comporta.core.login import token_fingerprint
from comporta.ledger.logins import read_login
from comporta.ports.login_store import KeptLogin
from comporta.ports.system_clock import SystemClock
from comporta.sandbox.mercadolivre import MercadoLivreSandbox

pytestmark = [pytest.mark.full, pytest.mark.timeout(0)]
ROOT = Path(__file__).parents[2]
PATIENCE_S = 30.0
LIFE_S = 1
"""Half a second after it was bought a pair is renewed."""
SLOW_MS = 60
"""The simulator's answer comes so long after the rotation: long enough to be killed in between."""


@dataclass
class Siege:
    """Two places for workers at one login, and a witness."""

    market: MercadoLivreSandbox
    address: str
    folder: Path
    dice: Random
    workers: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    lost: int = 0

    def start(self, name: str, dies_at: str = "") -> None:
        """Start a worker in its place."""
        said = (self.folder / f"{name}.said").open("ab")
        command = line(self.address, self.market.url, self.folder, name, dies_at)
        self.workers[name] = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        said.close()

    def kill(self, name: str) -> None:
        """Kill the worker in a place, if it did not kill itself; nothing else ends it."""
        worker = self.workers.pop(name)
        worker.send_signal(signal.SIGKILL)
        assert worker.wait() == -signal.SIGKILL, (self.folder / f"{name}.said").read_text("utf-8")

    def strike(self, name: str, point: str) -> None:
        """Start a worker that dies at a point, or kill it at any moment."""
        begun = self.diary().count("begun")
        self.start(name, point)
        self.wait(lambda: self.diary().count("begun") > begun, "a sign of life")
        if point:
            self.wait(lambda: self.workers[name].poll() is not None, f"death at {point}")
        else:
            Event().wait(self.dice.uniform(0, 1.2))
            self.kill(name)

    def login(self) -> KeptLogin | None:
        """Return what is stored."""
        database = open_database(self.address)
        try:
            return database.read(lambda session: read_login(session, lambda: KEY, ACCOUNT))
        finally:
            database.close()

    def diary(self) -> list[str]:
        """Return what both have done."""
        return [each for path in self.folder.glob("*.diary") for each in path.read_text("utf-8").splitlines()]

    def wait(self, is_true: Callable[[], bool], what: str) -> None:
        """Wait for something, and grant access again whenever a login was lost meanwhile."""
        clock = SystemClock()
        until = clock.monotonic() + PATIENCE_S
        while not is_true():
            assert clock.monotonic() < until, f"waited {PATIENCE_S:g} s for {what}: {self.diary()[-20:]}"
            self.look()

    def look(self) -> None:
        """Notice a login that was lost, and give the settings another first token, once."""
        login, first = self.login(), self.folder / "first"
        if login is None or login.state.standing != "needs_login":
            return
        if token_fingerprint(first.read_text("utf-8")) in login.firsts:
            draft = self.folder / "draft"
            draft.write_text(act(self.market, "rotate", seller=1001), "utf-8")
            draft.replace(first)
            self.lost += 1

    @property
    def truth(self) -> dict[str, Json]:
        """Return what the simulator saw of the tokens."""
        return logins(self.market)[1001]


@pytest.fixture
def login_kills(request: pytest.FixtureRequest) -> int:
    """Return how many processes are killed."""
    kills: int = request.config.getoption("--login-kills")
    return kills


@pytest.fixture(params=["sqlite", "postgres"])
def siege(request: pytest.FixtureRequest, path: Path, tmp_path: Path, chaos_seed: int) -> Iterator[Siege]:
    """Return a simulator and a database, and nobody at work."""
    address = str(path)
    if request.param == "postgres":
        address = real_clock(request.getfixturevalue("ledger_url"))
    folder = tmp_path / "siege"
    folder.mkdir()
    (folder / "first").write_text("demo-1001", "utf-8")
    with MercadoLivreSandbox(sellers=1, token_lifetime_s=LIFE_S, faults=[f"oauth_slow={SLOW_MS}"]) as market:
        opened = Siege(market, address, folder, Random(chaos_seed))
        yield opened
        for name in list(opened.workers):
            opened.kill(name)


def real_clock(url: str) -> str:
    """Give a database of the suites the server's clock back."""
    from contextlib import closing

    from comporta.ledger.postgres_address import Address
    from comporta.ledger.postgres_schema import connect

    with closing(connect(Address.parse(url))) as connection:
        connection.execute(
            "CREATE OR REPLACE FUNCTION comporta.cmp_now() RETURNS timestamptz LANGUAGE sql VOLATILE "
            "AS 'SELECT clock_timestamp()'"
        )
    return url


def test_no_login_is_lost_but_by_an_answer_that_was_not_heard(siege: Siege, login_kills: int) -> None:
    """Two processes; one after the other is killed, at each step in turn and in between at any moment."""
    siege.start("a")
    siege.wait(lambda: siege.login() is not None, "a first pair")
    for number in range(login_kills):
        name = "ab"[number % 2]
        if name in siege.workers:
            siege.kill(name)
        siege.strike(name, POINTS[number // 2 % len(POINTS)] if number % 3 else "")
    for name in list(siege.workers):
        siege.kill(name)
    siege.start("a")
    siege.wait(lambda: siege.login().state.standing == "good", "a login that is good in the end")  # type: ignore[union-attr]  # there is one by then
    mark = siege.diary().count("login_kept")
    siege.wait(lambda: siege.diary().count("login_kept") > mark + 1, "two more renewals")
    siege.kill("a")
    unheard = siege.truth["refreshes"] - siege.diary().count("login_kept")

    told = f"{login_kills} kills, {unheard} answers not stored, {siege.lost} logins lost, {siege.truth}"
    sys.stdout.write(f"{told}\n")

    assert siege.lost <= unheard, told
    assert siege.truth["reuses"] <= siege.lost, told
    assert siege.truth["invalid_grants"] <= siege.lost + unheard, told
