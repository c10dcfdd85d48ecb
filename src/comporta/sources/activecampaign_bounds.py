"""The window of a filtered list: what is asked of an API that filters by the day, in a zone it does not name.

Nobody knows whether ``filters[updated_after]`` goes by the second or by the day, nor whose day. So whole days are asked
for, and one more on either side: what is asked holds all that is wanted in every zone of the world. The zone that
somebody set for the account does not narrow it: where that is wrong, or the filter goes by another, rows would be
missing from what is then claimed. Rows beside the window come along and are kept, for they are true; only a row that no
reading of the filter lets through proves that it was ignored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from comporta.core.instant import instant_text

DAY = timedelta(days=1)
AHEAD_MAX = timedelta(hours=14)
BEHIND_MAX = timedelta(hours=12)
"""How far the zones of the world are from UTC."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Source time ``[since, until)``."""

    since: datetime | None = None
    until: datetime | None = None

    def query(self) -> Mapping[str, str]:
        """Return the filters to send: the days that hold the window wherever the account is.

        >>> Bounds(datetime(2026, 3, 1, 0, 30, tzinfo=UTC)).query()
        {'filters[updated_after]': '2026-02-28'}
        """
        asked = {}
        if self.since is not None:
            asked["filters[updated_after]"] = self._day(self.since, is_end=False)
        if self.until is not None:
            asked["filters[updated_before]"] = self._day(self.until, is_end=True)
        return asked

    def excluded(self, stamps: Sequence[str | None]) -> str | None:
        """Return a stamp that no reading of the filters lets through, if there is one."""
        low = self._least()
        high = self._most()
        found = (stamp for stamp in stamps if stamp is not None and (stamp < low or (high and stamp >= high)))
        return next(found, None)

    def admits(self, stamp: str | None) -> bool:
        """Say whether a stamp lies in the window; without one, whether everything does."""
        if self.since is None and self.until is None:
            return True
        low = "" if self.since is None else instant_text(self.since)
        return stamp is not None and low <= stamp and (self.until is None or stamp < instant_text(self.until))

    def _day(self, instant: datetime, *, is_end: bool) -> str:
        """Return the day to ask for, of which the beginning counts: one further out than that of UTC."""
        day = instant.astimezone(UTC).date()
        return (day + 2 * DAY if is_end else day - DAY).isoformat()

    def _least(self) -> str:
        if self.since is None:
            return ""
        day = datetime.fromisoformat(self.query()["filters[updated_after]"]).replace(tzinfo=UTC)
        return instant_text(day - AHEAD_MAX)

    def _most(self) -> str:
        if self.until is None:
            return ""
        day = datetime.fromisoformat(self.query()["filters[updated_before]"]).replace(tzinfo=UTC)
        return instant_text(day + BEHIND_MAX)
