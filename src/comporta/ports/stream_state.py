"""What the ledger has of a stream: what ``Store`` tells of one, or of many at once.

Nothing of it is decided here: how fresh a stream is, or whether anybody looks after it, is said in ``workspace``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from comporta.core.coverage import Coverage
from comporta.core.run import Run


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What the ledger knows of a stream beyond its coverage."""

    fingerprint: str | None = None
    identity: str | None = None
    clock_offset_s: float | None = None
    reconciled_at: datetime | None = None
    reconcile_result: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class StreamState:
    """How a stream stands.

    ``last`` is its newest run that is not dry, ``ticked_at`` the newest tick of its schedule that was taken; one that
    is still to come was taken by a wrong clock and does not count. ``waiting`` records are in quarantine.
    """

    last: Run | None = None
    coverage: Coverage = field(default_factory=Coverage)
    facts: StreamFacts = field(default_factory=StreamFacts)
    ticked_at: datetime | None = None
    waiting: int = 0
