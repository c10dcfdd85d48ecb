"""What a source needs whose tokens expire and are renewed: a valid one, whoever renews it.

The pair of tokens belongs to the account, not to a run: streams, processes and machines share it. A refresh token
is good for one use, so a pair is renewed under a lease of its own (``account/@login``), written ahead, and kept
before it is used.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from comporta.ports.progress import Progress


@dataclass(frozen=True, slots=True)
class Tokens:
    """A pair of tokens as the source gave it; instants are by our clock.

    ``user_id`` is whose data it opens, empty where the source did not say: then it is whose the pair before it was.
    """

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    user_id: str
    issued_at: datetime
    expires_at: datetime


BeforeSending = Callable[[], Awaitable[None]]
"""Awaited when nothing else stands between now and the sending; what it raises keeps the request from being sent."""
Renew = Callable[[str, Progress, BeforeSending], Awaitable[Tokens]]
"""Exchanges a refresh token for a new pair, one request and no retry. Raises ``LoginNeeded`` if the source refuses the
token for good, ``Retryable`` where it answered that it could not, and ``AnswerLost`` where nobody knows what it did."""


class Login(Protocol):
    """The login of one account."""

    async def tokens(self, progress: Progress) -> Tokens:
        """Return a pair whose access token is valid, renewed when half of its life is over.

        Raises ``LoginNeeded`` when only a person can help. A renewal that fails for another reason is no error while
        the present pair is valid.
        """

    async def refused(self, tokens: Tokens, progress: Progress) -> Tokens:
        """Return another pair after the source refused this one's access token; renewed, unless somebody else did."""

    async def aclose(self) -> None:
        """Wait for a renewal that is under way: its answer must be kept."""
