"""Where logins are kept: what a renewal reads and writes, each method one transaction.

``begin``, ``keep`` and ``refuse`` return only when what they wrote is on the disk. core/login.py says in which order
they are called and why; nothing here is a secret once it is shown: tokens do not appear in a repr.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from comporta.core.lease import Lease
from comporta.core.login import LoginState, Standing
from comporta.ports.login import Tokens
from comporta.ports.store import Occupied


@dataclass(frozen=True, slots=True)
class KeptLogin:
    """A login as it is stored; ``tokens`` is ``None`` before the first success.

    ``firsts`` are the fingerprints of all first tokens that were ever used.
    """

    state: LoginState
    refresh: str = field(repr=False)
    tokens: Tokens | None = None
    firsts: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Leased:
    """The right to renew, and the login as it is under that right; ``None`` if there is none yet."""

    lease: Lease
    login: KeptLogin | None


class LoginStore(Protocol):
    """The logins of one database."""

    async def states(self) -> Mapping[str, LoginState]:
        """Return how every login stands, by account; no secret is opened for it."""

    async def look(self, account: str) -> KeptLogin | None:
        """Return what is stored of a login."""

    async def take(self, account: str, holder: str, ttl: timedelta) -> Leased | Occupied:
        """Take the lease of a login and read it, or say who holds it."""

    async def extend(self, lease: Lease, ttl: timedelta) -> bool:
        """Renew the lease; say whether it is still ours."""

    async def begin(self, lease: Lease, account: str, refresh: str, *, is_first: bool, ttl: timedelta) -> None:
        """Write ahead that a refresh token is about to be used; ``is_first``: it replaces what is stored.

        Raises ``LeaseLost`` where the lease is not ours or the row names another token.
        """

    async def may_send(self, lease: Lease, account: str, refresh: str, ttl: timedelta) -> bool:
        """Say whether the lease is ours and the attempt is still the one that was written ahead."""

    async def keep(self, lease: Lease, account: str, used: str, tokens: Tokens) -> bool:
        """Store the pair that ``used`` bought and free the lease; ``False`` where the row names another token.

        Also where it opens the data of somebody else than this account has read so far: then a person is needed. A
        pair that does not say whose it is counts as of whom this account has read.
        """

    async def refuse(self, lease: Lease, account: str, used: str, reason: str) -> bool:
        """Write that a person is needed and free the lease; ``False`` where that is not ours to say any more."""

    async def fail(self, lease: Lease, account: str, used: str, standing: Standing, reason: str) -> bool:
        """Write that a use brought neither a pair nor a refusal, and free the lease; ``False`` as ``refuse``."""

    async def release(self, lease: Lease) -> None:
        """Free the lease if it is ours."""
