"""What a sync says at its end: a line for each stream, whatever it took to get there."""

from tests.core.runs import make_run

from comporta.cli.sync import summary
from comporta.core.counts import Counts
from comporta.core.language import Language
from comporta.core.run import RunState

ERROR = {"code": "CMP-NET-001", "message": "nobody listens", "next_step": "Start it."}


def test_attempts_that_brought_nothing_are_said_once() -> None:
    """Each was told when it failed; at the end the last one counts, as for the exit code."""
    failed = [make_run(id=f"r{n}", state=RunState.FAILED, attempt=n, error=ERROR) for n in (1, 2, 3, 4)]
    done = make_run(id="r5", state=RunState.SUCCEEDED, attempt=4, counts=Counts(read=1, inserted=1))

    assert summary(failed) == ["sale.order: failed: CMP-NET-001 nobody listens", "  Next: Start it."]
    assert summary([*failed[:3], done]) == ["sale.order: 1 new"]


def test_what_an_attempt_wrote_before_it_failed_is_not_left_out() -> None:
    """The next one goes on behind it, and counts its own."""
    cut = make_run(id="r1", state=RunState.FAILED, error=ERROR, counts=Counts(read=5, inserted=5))
    done = make_run(id="r2", state=RunState.SUCCEEDED, attempt=2, counts=Counts(read=1, inserted=1))

    assert summary([cut, done]) == [
        "sale.order: failed (5 new): CMP-NET-001 nobody listens",
        "  Next: Start it.",
        "sale.order: 1 new",
    ]


def test_what_kind_of_run_it_was_is_said_in_the_language_that_was_asked_for() -> None:
    """Whoever reads Portuguese finds no word of the JSON between two of their own."""
    run = make_run(state=RunState.SUCCEEDED, window_kind="clear_first", counts=Counts(read=1, inserted=1))

    assert summary([run]) == ["sale.order (clear-first): 1 new"]
    assert summary([run], Language.PT) == ["sale.order (carga completa com limpeza): 1 novo"]


def test_one_record_is_told_as_one() -> None:
    """In Portuguese each of these words has a form for it."""
    one = make_run(state=RunState.SUCCEEDED, counts=Counts(4, 1, 1, 1, 1, deleted=1))

    assert summary([one], Language.PT) == ["sale.order: 1 novo, 1 alterado, 1 igual, 1 rejeitado, 1 excluído"]
