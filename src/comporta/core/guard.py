"""The legacy guard: what an answer about the key of an older program means for a run of ours.

An older program keeps a key in Redis while it works, and stays away while somebody else's token is in it. Until it is
gone, Comporta does the same: a run takes the key, renews it, looks before every batch whether it is still there, and
takes away only its own. The key is never the authority: it keeps two programs out of each other's way, while the
lease and its fence (``core.lease``) keep the ledger right whatever Redis says, forgets or makes up.

Three answers, and silence:

- our token: go on;
- somebody else's: stop, whatever the time is. The key ran out under us, or somebody deleted it and another came;
- none: somebody deleted it, so stop. Only where Redis was silent meanwhile, and the user said that the database is
  enough then, a free key means a Redis that came back empty: take it again;
- silence: the key outlives our last renewal by its time to live, whoever cannot reach it. After that nobody knows,
  and ``Without`` says what to do: refuse to go on, or go on with the lease alone.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

TOKEN_LETTERS = 80
"""As much of somebody else's token as a message shows."""


class Without(StrEnum):
    """What a run does while Redis does not answer."""

    REFUSE = "refuse"
    DATABASE = "database"


class Step(StrEnum):
    """What a run does next."""

    GO_ON = "go_on"
    TAKE = "take"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class LegacyKey:
    """The key that an older program locks, and the one beside it that says when it last succeeded."""

    name: str
    last_run: str


@dataclass(frozen=True, slots=True)
class KeyState:
    """What Redis says of a key: whose token is in it, ``None`` for nobody's; how long it stays, ``None`` for ever."""

    token: str | None
    left: timedelta | None = None

    @property
    def text(self) -> str:
        """Return who holds the key and for how long, for people.

        >>> KeyState("cron:17", timedelta(seconds=90)).text
        "held by 'cron:17', which runs out in 90.0 s unless it is renewed"
        """
        if self.token is None:
            return "free"
        ends = (
            "never runs out"
            if self.left is None
            else f"runs out in {self.left.total_seconds():.1f} s unless it is renewed"
        )
        return f"held by {self.token[:TOKEN_LETTERS]!r}, which {ends}"


def judge_key(seen: KeyState, token: str, *, was_silent: bool) -> Step:
    """Decide from the key as it is now; ``was_silent``: Redis may have lost the key, and the lease alone would do.

    >>> judge_key(KeyState(None), "run", was_silent=False).value
    'stop'
    """
    if seen.token == token:
        return Step.GO_ON
    return Step.TAKE if seen.token is None and was_silent else Step.STOP


def judge_silence(*, now: float, renewed: float, ttl_s: float, without: Without) -> Step:
    """Decide while Redis does not answer. All in seconds of one monotonic clock.

    >>> judge_silence(now=40, renewed=0, ttl_s=30, without=Without.REFUSE).value
    'stop'
    """
    if without is Without.DATABASE or now - renewed < ttl_s:
        return Step.GO_ON
    return Step.STOP
