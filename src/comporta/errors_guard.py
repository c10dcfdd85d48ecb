"""Errors of the legacy guard: what happens when the key of an older program is held, lost or out of reach.

They stand under the same base classes as those in ``errors``, by what the catcher does next.
"""

from comporta.errors import Retryable, RunInterrupted, SettingsError, StandDown


class LegacyLockHeld(StandDown):
    """An older program, or another process of Comporta, holds the key in Redis that both honour."""

    code = "CMP-BUSY-002"
    next_step = "Nothing to do: the next run takes the key when it is free. Wait for it with --wait."


class LegacyLockLost(RunInterrupted):
    """The key in Redis was deleted or taken by somebody else while the run worked; it stopped before its next batch."""

    code = "CMP-RUN-007"
    next_step = "Nothing to do: a successor is queued and goes on. Find out who deletes the key while it is held."


class LegacyLockUnreachable(Retryable):
    """Redis does not answer, so nobody can tell whether the older program is at work."""

    code = "CMP-NET-008"
    next_step = 'Start Redis, or correct `redis`; once the old program is gone: legacy_lock_without_redis = "database".'


class RedisMissing(SettingsError):
    """The settings need Redis, and the package that speaks to it is not installed."""

    code = "CMP-SET-008"
    next_step = "Install it: pip install 'comporta[redis]'."
