"""The protocol broken on purpose, inside the workers alone: what the checker must notice, or it proves nothing.

Each comes with what it is weak against, so that it gives itself away in seconds, and with the claim it breaks.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from comporta.ledger import postgres_schema
from comporta.ledger.statements import statements

SOUND = "sound"


@dataclass(frozen=True)
class Mutant:
    """A way to break the protocol. ``odds``: how likely a worker stops itself at a point of a transaction.

    It is twice as likely to be slow there.
    """

    breaks: Callable[[dict[str, str]], None]
    claim: str
    menu: Mapping[str, float]
    every_s: float = 0.4
    odds: float = 0.0


def mutate(name: str) -> None:
    """Break the protocol of this process so."""
    if name != SOUND:
        MUTANTS[name].breaks(statements("postgres"))


def _no_fence(known: dict[str, str]) -> None:
    """Let whoever once held the scope write, whatever became of its lease."""
    for name in ("fence", "fence_and_release"):
        known[name] = _where(known[name], "scope = %(scope)s")


def _repeats_blindly(known: dict[str, str]) -> None:
    """Leave out ``commits = expected``: a repetition does not see that the first COMMIT came late."""
    for name in ("fence", "fence_and_release"):
        known[name] = known[name].replace(" AND commits = %(commits)s", "")


def _static_lease(known: dict[str, str]) -> None:
    """Take a lease once and trust it: as with a lock key that expires, and nothing that looks at it again."""
    for name in ("fence", "fence_and_release"):
        known[name] = _where(known[name], "scope = %(scope)s").replace(
            ", expires_at = comporta.cmp_now() + %(ttl)s", ""
        )
    known["renew"] = "UPDATE comporta.cmp_scope SET epoch = epoch WHERE scope = %(scope)s"


def _stealing_heartbeat(known: dict[str, str]) -> None:
    """Renew without looking whose the lease is by now."""
    known["renew"] = (
        "UPDATE comporta.cmp_scope SET holder = %(run)s, expires_at = comporta.cmp_now() + %(ttl)s"
        " WHERE scope = %(scope)s"
    )


def _old_epoch(known: dict[str, str]) -> None:
    """Take a lease away without a new epoch: the sleeper's fence lets it through, and nobody is marked lost in time."""
    for name in ("take_lease", "seize_expired"):
        known[name] = known[name].replace("epoch = s.epoch + 1", "epoch = s.epoch").replace("epoch = epoch + 1, ", "")


def _forgets(_: dict[str, str]) -> None:
    """Tell of commits that are not on the disk yet: what a server that falls takes back."""
    postgres_schema.LOCALS = {**postgres_schema.LOCALS, "synchronous_commit": "off"}


def _where(statement: str, condition: str) -> str:
    return f"{statement.partition('WHERE')[0]}WHERE {condition}"


HELD = "each batch is committed by a running run that holds its scope in its own epoch"
HANDS = "a scope changes hands only with a new epoch"
MUTANTS = {
    "no-fence": Mutant(_no_fence, HELD, {"stop": 1}, odds=0.005),
    "repeats-blindly": Mutant(_repeats_blindly, "no batch is applied twice", {"late_commit": 1}),
    "static-lease": Mutant(_static_lease, HELD, {"stop": 1}, odds=0.01),
    "stealing-heartbeat": Mutant(_stealing_heartbeat, HANDS, {"stop": 1}),
    "old-epoch": Mutant(_old_epoch, HANDS, {"stop": 1, "kill": 1}),
    "forgets": Mutant(_forgets, "what a worker was told is committed stays committed", {"crash": 1}, every_s=2.0),
}
