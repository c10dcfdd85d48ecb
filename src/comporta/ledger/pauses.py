"""Accounts that a person paused: a row for each, which every process looks at before it starts a run of the account.

A pause stops nothing that runs, and who names the account in `comporta sync` is obeyed. What comporta.toml says with
``paused = true`` is not here: it is the settings' own, and only the settings can take it back.
"""

from datetime import datetime

from comporta.ledger.rows import instant_of, text_of
from comporta.ledger.session import Session


def pause(session: Session, account: str) -> bool:
    """Pause an account; say whether it was not paused before."""
    return session.run("put_pause", {"account": account, "now": text_of(session.now)}) == 1


def resume(session: Session, account: str) -> bool:
    """End an account's pause; say whether there was one."""
    return session.run("end_pause", {"account": account}) == 1


def pauses(session: Session) -> dict[str, datetime]:
    """Return since when each paused account is paused."""
    return {row["account"]: instant_of(row["paused_at"]) for row in session.all("pauses", {})}
