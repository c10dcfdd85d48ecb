"""An older script with a lock in Redis and Comporta, as processes on one machine: never both, and nothing lost."""

import random
import signal
import sys
import time
from contextlib import ExitStack
from functools import partial
from subprocess import Popen

import pytest
from tests.acceptance.company import STREAMS, Company, all_differences, differences
from tests.acceptance.conftest import SourceTime
from tests.acceptance.project import Project, running, told, until
from tests.acceptance.serving import serving
from tests.acceptance.worker import worker
from tests.servers.redis_server import OwnRedis

pytestmark = [
    pytest.mark.full,
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGSTOP, and no Redis for tests"),
]

KEY = "carteira:sync:incremental:lock"
SCRIPT = "cron:17"
STREAM = "matriz/sale.order"
PAGES = "sale.order/search_read"
LEASE_S = 2
"""Also how long the key lives. What is committed later than that after the last look would be beyond any look."""
ROUNDS = 12
STOP_MAX_S = 10.0
"""What `comporta serve` promises for its end."""
COMMITS = "SELECT coalesce(sum(commits), 0) FROM cmp_scope"


@pytest.fixture
def beside(project: Project, company: Company, redis_server: OwnRedis) -> Project:
    """Return a project that honours the script's key."""
    account = {"url": company.url, "page_size": 10, "legacy_lock": KEY}
    project.configure({"matriz": account}, redis=redis_server.url, lease=f"{LEASE_S}s")
    return project


def hanging(project: Project, company: Company, redis: OwnRedis, process: "Popen[str]") -> str:
    """Wait until a process holds the key and its page hangs; return the token."""
    until(lambda: company.struck("slow_page"), f"{process.pid} asks for the page that hangs")
    token = redis.get(KEY)
    assert token is not None
    return token


def test_a_process_that_slept_past_its_key_writes_nothing(
    beside: Project, company: Company, redis_server: OwnRedis
) -> None:
    """The key ran out, the script began; awake, the process commits no batch and leaves the script's key alone."""
    company.hang(PAGES)
    with beside.started("sync", STREAM) as sleeper:
        hanging(beside, company, redis_server, sleeper)
        sleeper.send_signal(signal.SIGSTOP)
        until(lambda: redis_server.lock(KEY, SCRIPT), "the key runs out and the script takes it")
        before = beside.value(COMMITS)
        company.release()
        sleeper.send_signal(signal.SIGCONT)
        ended = told(sleeper)

    assert ended.run("sale.order")["state"] in {"interrupted", "lost"}
    assert (beside.value(COMMITS), redis_server.get(KEY)) == (before, SCRIPT)
    assert beside.command("sync", STREAM).run("sale.order")["error"]["code"] == "CMP-BUSY-002"
    redis_server.delete(KEY)
    assert beside.command("sync", STREAM).code == 0
    assert differences(company, beside.database, "sale.order") == []


def test_the_key_of_a_killed_process_runs_out(beside: Project, company: Company, redis_server: OwnRedis) -> None:
    """Nobody has to delete it: who waits begins after the lease."""
    company.hang(PAGES)
    with beside.started("sync", STREAM) as victim:
        token = hanging(beside, company, redis_server, victim)
        victim.kill()
        company.release()
        after = beside.command("sync", STREAM, "--wait")

    assert after.code == 0, after.errors
    assert token.partition("/")[0] not in {run["id"] for run in after.runs() if run["state"] == "succeeded"}
    assert differences(company, beside.database, "sale.order") == []
    assert redis_server.get(KEY) is None


def test_of_two_processes_the_second_names_the_first(beside: Project, company: Company, redis_server: OwnRedis) -> None:
    """The token begins with the id of the run that holds the key."""
    company.hang(PAGES)
    with beside.started("sync", STREAM) as first:
        token = hanging(beside, company, redis_server, first)
        second = beside.command("sync", STREAM)
        company.release()
        one = told(first)

    refused = second.run("sale.order")
    assert (one.code, one.run("sale.order")["id"]) == (0, token.partition("/")[0])
    assert (second.code, refused["error"]["code"]) == (4, "CMP-BUSY-002")
    assert token in refused["error"]["message"]


def ended_by(process: "Popen[str]", number: int) -> float:
    """Send a signal and return after how many seconds the process ended."""
    began = time.monotonic()
    process.send_signal(number)
    process.communicate(timeout=30)
    return time.monotonic() - began


def test_a_server_waits_for_the_script_and_then_does_what_waited(
    beside: Project, company: Company, redis_server: OwnRedis
) -> None:
    """What was due stays in the queue while the script works, and is done when it has ended; the key is free after."""
    redis_server.lock(KEY, SCRIPT)
    with serving(beside, "--run-now") as server:
        until(lambda: redis_server.calls("eval") >= 1, "the server asks for the key")
        before = beside.value("SELECT count(*) FROM cmp_run WHERE state <> 'queued'"), beside.value(COMMITS)
        redis_server.delete(KEY)
        done = "SELECT count(DISTINCT stream) FROM cmp_run WHERE state = 'succeeded'"
        until(lambda: beside.value(done) == len(STREAMS), "every stream is read", patience_s=60)
        took_s = ended_by(server.process, signal.SIGTERM)

    assert before == (0, 0)
    assert (all_differences(company, beside.database), redis_server.get(KEY)) == ([], None)
    assert took_s < STOP_MAX_S


def test_a_server_that_is_told_to_end_hands_the_key_over(
    beside: Project, company: Company, redis_server: OwnRedis
) -> None:
    """The next one, which was started before, goes on without waiting for the key to run out."""
    company.hang(PAGES)
    with serving(beside, "--run-now") as old:
        token = hanging(beside, company, redis_server, old.process)
        with serving(beside) as new:
            took_s = ended_by(old.process, signal.SIGTERM)
            freed = redis_server.get(KEY) != token
            company.release()
            done = "SELECT count(DISTINCT stream) FROM cmp_run WHERE state = 'succeeded'"
            until(lambda: beside.value(done) == len(STREAMS), "the new one reads every stream", patience_s=60)
            ended_by(new.process, signal.SIGTERM)

    assert (took_s < STOP_MAX_S, freed) == (True, True)
    assert beside.value("SELECT count(*) FROM cmp_run WHERE state = 'lost'") == 0
    assert all_differences(company, beside.database) == []


def has_moved(project: Project, before: int) -> bool:
    """Say whether a batch was committed since."""
    return bool(project.value(COMMITS) != before)


def test_the_script_and_two_processes_take_turns(
    beside: Project, company: Company, redis_server: OwnRedis, source_time: SourceTime, chaos_seed: int
) -> None:
    """While the script works nothing is committed, though workers are killed; in the end every row is right."""
    dice = random.Random(chaos_seed)
    turns, broken = 0, []
    with ExitStack() as stack:

        def hire() -> "Popen[str]":
            line = worker(beside, "incremental", STREAM)
            return stack.enter_context(running(line, beside.folder))

        crew = [hire(), hire()]
        until(lambda: beside.value(COMMITS), "the workers begin")
        for turn in range(ROUNDS):
            company.act("write", model="sale.order", ids=[turn + 1], values={"client_order_ref": f"turn {turn}"})
            if turn % 3 == 2:
                victim = dice.randrange(2)
                crew[victim].kill()
                crew[victim].communicate(timeout=30)
                crew[victim] = hire()
            until(lambda: redis_server.lock(KEY, SCRIPT, ttl_ms=10_000), "the script gets in")
            before = beside.value(COMMITS)
            time.sleep(dice.uniform(0.05, 0.4))  # the script's own work
            broken += [turn] if beside.value(COMMITS) != before else []
            turns += redis_server.get(KEY) == SCRIPT
            redis_server.delete(KEY)
            until(partial(has_moved, beside, before), "a worker gets in")
        for process in crew:
            process.kill()
            process.communicate(timeout=30)
    until(lambda: redis_server.get(KEY) is None, "the last key runs out")

    assert (broken, turns) == ([], ROUNDS)
    assert beside.command("sync", "--wait").code == 0
    assert all_differences(company, beside.database) == []
