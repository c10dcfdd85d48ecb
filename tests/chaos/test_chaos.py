"""The promises on PostgreSQL while everything fails: workers, connections, server, and the answer to COMMIT."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.servers.postgres import OwnPostgres

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither SIGSTOP nor a server to crash"),
]
MUTANTS = ("no-fence", "repeats-blindly", "static-lease", "stealing-heartbeat", "old-epoch", "forgets")
CAUGHT_WITHIN_S = 240
"""Most are caught within seconds; a story ends when the claim that its mutant must break is broken."""


@pytest.mark.timeout(7200)
def test_whatever_fails_the_history_breaks_no_claim(
    chaos_postgres: "OwnPostgres",
    tmp_path: Path,
    chaos_seconds: float,
    chaos_seed: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Five workers under kills, stops, crashes and lost answers lose nothing, double nothing, hold nothing."""
    from tests.chaos.play import Plan, Story

    verdict = Story(Plan(chaos_seed, chaos_seconds), chaos_postgres, tmp_path).play()
    with capsys.disabled():
        sys.stdout.write(f"\n--chaos-seed {chaos_seed} --chaos-seconds {chaos_seconds:g}\n{verdict}\n")

    assert verdict.violations == [], "\n".join(verdict.log)
    assert verdict.figures["takeovers"] > 0


@pytest.mark.timeout(2 * CAUGHT_WITHIN_S)
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_broken_protocol_gives_itself_away(chaos_postgres: "OwnPostgres", tmp_path: Path, mutant: str) -> None:
    """The same checker finds what is wrong with each mutant, and names the claim it breaks."""
    from tests.chaos.mutants import MUTANTS as KNOWN
    from tests.chaos.play import Story, provoking

    plan = provoking(mutant, seed=1, seconds=CAUGHT_WITHIN_S, workers=3)
    verdict = Story(plan, chaos_postgres, tmp_path).play()

    assert set(MUTANTS) == set(KNOWN)
    assert f"NOT {KNOWN[mutant].claim}" in [each.partition(":")[0] for each in verdict.violations], str(verdict)


@pytest.mark.timeout(60)
def test_every_claim_is_broken_by_the_deed_it_forbids(chaos_postgres: "OwnPostgres", tmp_path: Path) -> None:
    """A history that holds, damaged in one place, does not: no claim is there for show."""
    from tests.chaos.checker import broken_claims, claims, connected, differences, places, unkept
    from tests.chaos.damages import DAMAGES
    from tests.chaos.play import Plan, Story

    story = Story(Plan(1, 4, workers=2, menu={"cut": 1}), chaos_postgres, tmp_path)
    verdict = story.play()
    assert verdict.violations == []
    missed = []
    with connected(story.url) as connection, connected(story.url) as idle:
        idle.execute("SELECT 'left open'")
        for claim, query in claims(is_at_rest=True).items():
            connection.execute(DAMAGES[claim].encode())
            missed += [] if places(connection, query) else [claim]
            connection.rollback()
        before = broken_claims(story.url)
        connection.execute("UPDATE mirror.fake_res_partner SET name = 'by hand' WHERE id = 1")
        connection.commit()
        wrong, gone = differences(story.url, story.orders.source())
        lies = unkept(story.url, story.orders.source())

    assert (missed, before) == ([], [])
    assert set(DAMAGES) == set(claims(is_at_rest=True))
    assert (len(wrong), len(gone), len(lies)) == (1, 0, 1)
