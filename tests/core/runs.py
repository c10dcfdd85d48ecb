"""Runs that tests of the core speak of."""

from comporta.core.run import Run, RunState, Trigger


def make_run(**changes: object) -> Run:
    """Return a running run of shop/sale.order with some fields set."""
    fields: dict[str, object] = {
        "id": "r1",
        "scope": "shop/sale.order",
        "account": "shop",
        "stream": "sale.order",
        "state": RunState.RUNNING,
        "trigger": Trigger.MANUAL,
        "request": "incremental",
    }
    return Run(**(fields | changes))  # type: ignore[arg-type]  # the changes are typed as object
