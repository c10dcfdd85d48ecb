"""What may be asked of the API of runs: the fields of bodies and queries, with their bounds.

These classes are both what is read and what /openapi.json says, so the two cannot differ.
"""

from typing import Annotated

from msgspec import Meta, Struct

from comporta.core.run import RunState

NUMBER_MAX = 2**53 - 1
"""The greatest number that every reader of JSON has; far within what the databases take."""
Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Moment = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        description="An instant such as 2026-03-01T08:00:00Z, or a duration back from now such as 2h.",
    ),
]


class AskedRuns(Struct, frozen=True, forbid_unknown_fields=True):
    """Runs to be queued. Without ``stream``: of every stream of the account that is not paused."""

    account: Name
    stream: Name | None = None
    since: Moment | None = None
    until: Moment | None = None
    full: bool = False
    dry_run: bool = False
    max_records: Annotated[int, Meta(ge=1, le=NUMBER_MAX)] | None = None
    clear_first: bool = False
    confirm: bool = False


class AskedRelease(Struct, frozen=True, forbid_unknown_fields=True):
    """A lease to be taken away; ``confirm`` where its holder is alive."""

    confirm: bool = False


class AskedNothing(Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing but what the address says."""


class RunsQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Which runs to list."""

    account: Name | None = None
    stream: Name | None = None
    state: RunState | None = None
    limit: Annotated[int, Meta(ge=1, le=500)] = 50


class LogQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """After which line of a log to begin."""

    after: Annotated[int, Meta(ge=0, le=NUMBER_MAX)] = 0


class StreamsQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Whose streams to list."""

    account: Name | None = None


class CoverageQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Whose coverage to show."""

    account: Name
    stream: Name
