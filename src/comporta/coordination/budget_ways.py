"""What a budget learns of a request's two ways: how long its log takes, and what connecting to the source costs.

Neither is known beforehand, and both differ from one place and one hour to the next; so they are measured as they are
used, and the first guess is on the safe side.
"""

LEAD_MIN_S = 0.008
LEAD_MAX_S = 1.0
"""The time allowed between the instant from which a request may leave and its sending; beyond a second the database
is the problem."""
AHEAD_MIN_S, AHEAD_MAX_S = 0.02, 0.5
"""How long ahead a grant is asked for: who is more urgent and comes meanwhile is too late for that place."""
CONNECT_S = 0.15
"""How much longer the first request of a connection may be on its way: to find the host, connect, agree on keys.

So much is taken for granted until answers show that it is less.
"""
IDLE_S = 15.0
"""A connection that was not used for so long may be gone."""


class LogWay:
    """How long before its time a grant is asked for, and how much time is allowed for the sending then.

    ``ahead_s`` covers a question and its answer, ``heard_s`` the answer alone; ``lead_s`` lies between the instant
    from which a request may leave and the one at which it has.
    """

    def __init__(self) -> None:
        self.lead_s = LEAD_MIN_S
        self.ahead_s = AHEAD_MIN_S
        self.heard_s = 0.0

    def note_answer(self, took_s: float, heard_s: float) -> None:
        """Learn from an answer: at once that it takes longer, little by little that it takes less."""
        self.ahead_s = min(AHEAD_MAX_S, max(AHEAD_MIN_S, 1.5 * took_s, self.ahead_s * 0.9))
        self.heard_s = min(AHEAD_MAX_S, max(heard_s, self.heard_s * 0.9))

    def note_sent(self, spare_s: float) -> None:
        """Learn from how long before the last instant a request is ready: allow what was missing, and not much more.

        To the double at once at most: a machine that stood still for a second will not do so each time.
        """
        if spare_s < 0:
            self.lead_s = min(LEAD_MAX_S, 2 * self.lead_s, self.lead_s - spare_s + LEAD_MIN_S / 2)
        elif spare_s > LEAD_MIN_S:
            self.lead_s = max(LEAD_MIN_S, self.lead_s - (spare_s - LEAD_MIN_S) / 10)


class Connecting:
    """What connecting costs, as far as answers tell: the quickest that needed it against the quickest that did not."""

    def __init__(self) -> None:
        self.idle: list[float] = []
        self._under_way = 0
        self._new_s = float("inf")
        self._old_s = 0.0

    def costs_s(self, now: float, *, in_flight: int) -> float:
        """Return how much longer than others the next request may be on its way.

        Those in flight that are not under way yet were promised an idle connection each.
        """
        self.idle = [each for each in self.idle if each > now - IDLE_S]
        has_idle = len(self.idle) > in_flight - self._under_way
        return 0.0 if has_idle else min(CONNECT_S, max(0.0, self._new_s - self._old_s))

    def began(self) -> bool:
        """Take a connection, and say whether it is a new one."""
        self._under_way += 1
        is_new = not self.idle
        if not is_new:
            self.idle.pop()
        return is_new

    def ended(self, now: float, took_s: float | None, *, is_new: bool) -> None:
        """Put a connection back, and learn from how long the answer took; without an answer there is neither."""
        self._under_way -= 1
        if took_s is None:
            return
        self.idle.append(now)
        if is_new:
            self._new_s = min(self._new_s, took_s)
        elif took_s < self._old_s or not self._old_s:
            self._old_s = took_s
