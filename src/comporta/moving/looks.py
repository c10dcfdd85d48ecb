"""What is asked of a database before it is backed up or replaced, whichever version of Comporta made its ledger.

So nothing here opens it as ours, which would migrate it: a backup is wanted most just before that, and a database of
a newer Comporta is what somebody who goes back to the last release wants to replace.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from comporta.core.instant import instant_text
from comporta.errors import Busy

ALIVE = timedelta(minutes=1)
"""A process that was seen within this counts as alive; it says so every few seconds."""
Ask = Callable[[str], Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Contents:
    """What a ledger holds that a person is told of: which keys closed its secrets, whose logins, how many streams."""

    key_ids: tuple[str, ...] = ()
    secrets: int = 0
    logins: tuple[str, ...] = ()
    streams: int = 0


def contents(ask: Ask, tables: frozenset[str], prefix: str = "") -> Contents:
    """Return what a ledger holds; ``tables`` are those it has, ``prefix`` is written before their names."""
    secrets = ask(f"SELECT key_id, count(*) FROM {prefix}cmp_secret GROUP BY key_id ORDER BY key_id")
    logins = ask(f"SELECT account FROM {prefix}cmp_login ORDER BY account") if "cmp_login" in tables else []
    ((streams,),) = ask(f"SELECT count(DISTINCT scope) FROM {prefix}cmp_coverage")
    return Contents(
        tuple(key for key, _ in secrets), sum(count for _, count in secrets), tuple(name for (name,) in logins), streams
    )


def refuse_living(ask: Ask, tables: frozenset[str], now: datetime, where: str, prefix: str = "") -> None:
    """Raise if a lease is held, or a process that has the database open was seen just now."""
    at, seen = instant_text(now), instant_text(now - ALIVE)
    held = ask(f"SELECT scope FROM {prefix}cmp_scope WHERE holder IS NOT NULL AND expires_at > '{at}' ORDER BY scope")
    living = [f"{scope} is held by a run" for (scope,) in held]
    if "cmp_instance" in tables:
        query = f"SELECT instance FROM {prefix}cmp_instance WHERE ended_at IS NULL AND seen_at > '{seen}' ORDER BY 1"
        living += [f"{instance} is at work" for (instance,) in ask(query)]
    if living:
        raise Busy(
            f"{where}: somebody works in it: {'; '.join(living)}",
            next_step="Stop `comporta serve` and whatever starts runs (cron, a timer), then give the command again.",
        )
