"""The lines that a command prints while runs go on."""

from tests.core.runs import make_run

from comporta.cli.watch import Lines
from comporta.core.counts import Counts
from comporta.core.run import RunState


def test_how_a_run_ended_is_said_once() -> None:
    """The state comes before what was counted, and before what went wrong."""
    said: list[str] = []
    lines = Lines(said.append)
    lines.ended(make_run(state=RunState.SUCCEEDED, counts=Counts(read=1, inserted=1)))
    lines.ended(make_run(state=RunState.FAILED, error={"code": "CMP-NET-001", "message": "nobody listens"}))

    assert said[0].startswith("shop/sale.order: succeeded: 1 new")
    assert said[1:] == ["shop/sale.order: failed: CMP-NET-001 nobody listens"]
