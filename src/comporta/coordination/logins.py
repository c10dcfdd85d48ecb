"""A login that streams, processes and machines share: one renews, under a lease, and nobody uses what is not stored.

core/login.py tells the protocol and what a crash leaves at each of its steps; the names of the checkpoints here are
those steps. Three things keep two from using one refresh token: in a process a door, between processes the lease
account/@login, and after both the row itself, read again under the lease. A renewal is a task of its own: whoever
waits for it may be cancelled, the renewal may not, for its answer exists only once.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from secrets import token_hex

from comporta.core.login import (
    Age,
    LoginState,
    Standing,
    Step,
    after_failure,
    age_of,
    next_step,
    paused_until,
    token_fingerprint,
)
from comporta.errors import (
    AnswerLost,
    ComportaError,
    DestinationRefused,
    LeaseLost,
    LoginNeeded,
    Retryable,
    SecretMissing,
    SourceRefused,
    SourceUnavailable,
)
from comporta.ports.clock import Clock
from comporta.ports.login import Renew, Tokens
from comporta.ports.login_store import KeptLogin, Leased, LoginStore
from comporta.ports.progress import LogLine, Progress
from comporta.ports.store import Checkpoint, Occupied

TTL = timedelta(seconds=20)
"""How long others wait for a process that died while it renewed; a living one extends it three times within."""
LOOK_EVERY = timedelta(seconds=0.25)
"""How often whoever waits for another's renewal looks at the row."""
PATIENCE_S = 120.0
"""How long a request waits at most for a login: longer than a dead holder's lease and the slowest answer together."""
REST_S = 5.0
"""A pair that is valid and wants renewing, but cannot be renewed now, is used so long before the row is read again."""
TRIES = 3
"""How often a renewal is tried in a row where there is no valid pair to go on with."""
KEEP_PAUSE = timedelta(seconds=0.5)
KEEP_PATIENCE_S = 120.0
"""How long a new pair waits for a database in trouble before the run ends; the pair waits on, in memory."""
REFUSED_AGAIN_S = 60.0
"""A pair that was bought because its predecessor was refused, and is refused within this, is not the pair's fault."""


class SharedLogin:
    """Implements ``ports.login.Login`` for one account.

    ``first`` returns the first refresh token that the settings name, ``None`` where they name none. ``command`` is what
    a person types to grant access again.
    """

    def __init__(
        self,
        account: str,
        *,
        store: LoginStore,
        renew: Renew,
        clock: Clock,
        first: Callable[[], str | None],
        instance: str,
        command: str,
        checkpoint: Checkpoint = lambda _: None,
    ) -> None:
        self._account = account
        self._store = store
        self._renew = renew
        self._clock = clock
        self._first = first
        self._instance = instance
        self._command = command
        self._checkpoint = checkpoint
        self._door = asyncio.Lock()
        self._task: asyncio.Task[Tokens] | None = None
        self._known: KeptLogin | None = None
        self._rests_until = float("-inf")
        self._rounds = 0
        self._failure: ComportaError | None = None
        self._is_sent = False
        self._is_idle = False
        self._is_ending = False
        self._unkept: tuple[Leased, str, Tokens] | None = None
        self._after_refusal: str | None = None

    def __repr__(self) -> str:
        return f"SharedLogin({self._account!r})"

    async def tokens(self, progress: Progress) -> Tokens:
        """Return a valid pair, renewed when half of its life is over."""
        return self._usable() or await self._obtained(progress, None)

    async def refused(self, tokens: Tokens, progress: Progress) -> Tokens:
        """Return another pair than this one, whose access token the source refused."""
        known = self._usable()
        if known is not None and known.access != tokens.access:
            return known
        return await self._obtained(progress, tokens.access)

    @property
    def is_under_way(self) -> bool:
        """Say whether a token was sent and its answer is awaited, or a pair waits to be stored: it exists once."""
        return self._is_sent or self._unkept is not None

    async def aclose(self) -> None:
        """Wait for a renewal that is under way, but for no other try; store a pair that could not be stored before."""
        self._is_ending = True
        if self._task is not None:
            if self._is_idle:
                self._task.cancel()
            await asyncio.wait({self._task})
        if self._unkept is not None:
            with suppress(ComportaError):
                await self._keep(*self._unkept, patience_s=0.0)

    def _usable(self) -> Tokens | None:
        """Return the pair that was read last, while nothing is to be done about it."""
        if self._known is None or self._known.state.standing is Standing.NEEDS_LOGIN:
            return None
        age = age_of(self._known.state, self._clock.now())
        is_resting = age is Age.AGED and self._clock.monotonic() < self._rests_until
        return self._known.tokens if age is Age.YOUNG or is_resting else None

    async def _obtained(self, progress: Progress, refused: str | None) -> Tokens:
        """Let one obtain a pair for all that wait; they share what came of it."""
        came = self._rounds
        progress.wait(PATIENCE_S, f"{self._account}: the login is being renewed")
        async with self._door:
            if self._task is not None and not self._task.done():  # whoever began it was cancelled
                await asyncio.wait({self._task})
            known = self._usable()
            if known is not None and known.access != refused:
                return known
            if self._failure is not None and self._rounds > came:
                raise self._failure
            self._task = asyncio.ensure_future(self._obtain(progress, refused))
            self._task.add_done_callback(self._ended)
            return await asyncio.shield(self._task)

    def _ended(self, task: "asyncio.Task[Tokens]") -> None:
        """Remember what went wrong for those who came before; nobody may be left who asked."""
        error = None if task.cancelled() else task.exception()
        self._failure = error if isinstance(error, ComportaError) else None
        self._rounds += 1

    async def _obtain(self, progress: Progress, refused: str | None) -> Tokens:
        """Look, decide, act, until there is a pair to use or a reason why there is none."""
        until, tries = self._clock.monotonic() + PATIENCE_S, TRIES
        while True:
            login = await self._look()
            step = self._step(login, refused)
            if step is Step.USE:
                return self._in_use(login)
            if step is Step.ASK:
                raise self._needed(login)
            if step is Step.PAUSE:
                await self._pause(login, progress, until)
                continue
            if tries < TRIES:  # the pause between may have passed while the failure was written down
                self._refuse_at_the_end()
            self._expect_another(login, refused)
            problem = await self._act(progress, refused, until)
            if problem is not None:
                tries -= 1
                if (pair := self._after(problem, progress, refused, tries)) is not None:
                    return pair

    async def _look(self) -> KeptLogin | None:
        """Return what is stored; a pair that could not be stored before comes first."""
        if self._unkept is not None:
            await self._keep(*self._unkept, patience_s=KEEP_PATIENCE_S)
        self._known = await self._store.look(self._account)
        return self._known

    def _after(self, problem: ComportaError, progress: Progress, refused: str | None, tries: int) -> Tokens | None:
        """Return the pair from before a renewal that failed, ``None`` to try again; raise where neither helps."""
        if (pair := self._still_valid(refused)) is not None:
            progress.tell(_not_renewed(self._account, problem))
            return pair
        if tries <= 0 or not isinstance(problem, Retryable):
            raise problem
        return None

    def _step(self, login: KeptLogin | None, refused: str | None) -> Step:
        state = login.state if login else None
        is_refused = login is not None and login.tokens is not None and login.tokens.access == refused
        step = next_step(state, self._clock.now(), is_access_refused=is_refused)
        return Step.BEGIN if step is Step.ASK and self._untried(login) is not None else step

    def _untried(self, login: KeptLogin | None) -> str | None:
        """Return the first token that the settings name, unless it was ever used."""
        if login is None:
            return self._first()
        with suppress(SecretMissing):
            first = self._first()
            if first and token_fingerprint(first) not in {login.state.token, *login.firsts}:
                return first
        return None

    def _in_use(self, login: KeptLogin | None) -> Tokens:
        assert login is not None, "only what is stored is used"  # noqa: S101  for mypy
        assert login.tokens is not None, "a pair without an access token is expired"  # noqa: S101  for mypy
        self._rests_until = self._clock.monotonic() + REST_S
        return login.tokens

    def _still_valid(self, refused: str | None) -> Tokens | None:
        """Return the pair from before a renewal that failed, while it is valid."""
        known = self._known
        if known is None or known.tokens is None or known.tokens.access == refused:
            return None
        if age_of(known.state, self._clock.now()) is Age.EXPIRED:
            return None
        self._rests_until = self._clock.monotonic() + REST_S
        return known.tokens

    def _expect_another(self, login: KeptLogin | None, refused: str | None) -> None:
        """Raise where a pair that was just bought for a refused one is refused too: another would be as well."""
        tokens = login.tokens if login else None
        if refused is None or tokens is None or tokens.access != refused or refused != self._after_refusal:
            return
        if 0 <= (self._clock.now() - tokens.issued_at).total_seconds() < REFUSED_AGAIN_S:
            message = (
                f"{self._account}: the source gave a new pair of tokens and refuses it too; expected it to be taken"
            )
            raise SourceRefused(message)

    async def _act(self, progress: Progress, refused: str | None, until: float) -> ComportaError | None:
        """Take the lease and renew; return what went wrong, ``None`` when it is time to look again."""
        answer = await self._store.take(self._account, f"{self._instance} {token_hex(4)}", TTL)
        if isinstance(answer, Occupied):
            if self._still_valid(refused) is None:
                await self._wait_for(answer, progress, until)
                return None
            return SourceUnavailable(f"{answer.scope}: {answer.holder} renews it now")
        self._checkpoint("login_leased")
        step = self._step(answer.login, refused)
        if step not in {Step.RENEW, Step.AGAIN, Step.BEGIN}:  # somebody else did it, or failed to, a moment ago
            await self._store.release(answer.lease)
            return None
        refresh = self._untried(answer.login) if step is Step.BEGIN else None
        used = refresh or (answer.login.refresh if answer.login else "")
        try:
            await self._store.begin(answer.lease, self._account, used, is_first=refresh is not None, ttl=TTL)
        except ComportaError as error:  # nothing was sent: nobody has to wait for this lease to run out
            with suppress(ComportaError):
                await self._store.release(answer.lease)
            if isinstance(error, LeaseLost):
                return None
            raise
        self._checkpoint("login_written")
        return await self._send(answer, used, progress, refused)

    async def _send(self, leased: Leased, used: str, progress: Progress, refused: str | None) -> ComportaError | None:
        """Use the token, and write what came of it before anybody is told."""
        lease, account = leased.lease, self._account
        before = leased.login.state if leased.login and leased.login.refresh == used else None
        beating = asyncio.ensure_future(self._beat(leased))
        try:
            tokens = await self._renew(used, progress, lambda: self._may_send(leased, used))
            self._unkept = (leased, used, tokens)  # before ``_is_sent`` ends: another thread looks at both
        except LeaseLost:
            await self._store.release(lease)
            return None
        except LoginNeeded as error:
            self._checkpoint("login_refused")
            # Whatever the row says after this: a person is needed, the settings name a token that was never used, or
            # somebody else put one that is good.
            await self._store.refuse(lease, account, used, _refusal(error, before))
            return None
        except ComportaError as error:
            standing = Standing.RENEWING if isinstance(error, AnswerLost) else after_failure(before)
            return error if await self._store.fail(lease, account, used, standing, error.message) else None
        finally:
            self._is_sent = False
            beating.cancel()
        self._checkpoint("login_answered")
        self._after_refusal = tokens.access if refused is not None else None
        is_kept = await self._keep(*self._unkept, patience_s=KEEP_PATIENCE_S)
        self._checkpoint("login_kept")
        until = f"{tokens.expires_at:%H:%M:%S} UTC"
        if is_kept:
            message = f"{account}: renewed, valid until {until}"
            progress.tell(LogLine("info", "login_renewed", message, {"until": until}))
        return None

    async def _may_send(self, leased: Leased, used: str) -> None:
        if not await self._store.may_send(leased.lease, self._account, used, TTL):
            raise LeaseLost(f"{leased.lease.scope}: another took over before the request was sent; nothing was sent")
        self._is_sent = True
        self._checkpoint("login_checked")

    async def _keep(self, leased: Leased, used: str, tokens: Tokens, *, patience_s: float) -> bool:
        """Store a pair that exists nowhere else, and say whether it is: another token that the row names counts."""
        until = self._clock.monotonic() + patience_s
        while True:
            try:
                is_kept = await self._store.keep(leased.lease, self._account, used, tokens)
            except (Retryable, DestinationRefused):
                if self._clock.monotonic() >= until:
                    raise
                await self._clock.sleep(KEEP_PAUSE)
            else:
                self._unkept = None
                return is_kept

    async def _beat(self, leased: Leased) -> None:
        """Keep the lease while the request is under way; without it the answer counts all the same."""
        while True:
            await self._clock.sleep(TTL / 3)
            with suppress(ComportaError):
                await self._store.extend(leased.lease, TTL)

    async def _wait_for(self, held: Occupied, progress: Progress, until: float) -> None:
        left_s = until - self._clock.monotonic()
        if left_s <= 0:
            raise SourceUnavailable(
                f"{held.scope}: waited {PATIENCE_S:g} s for {held.holder} to renew the login; expected it to end",
                next_step=f"See `comporta leases`; `comporta unlock {held.scope}` frees it safely.",
            )
        progress.wait(left_s, f"{held.scope}: {held.holder} renews the login")
        await self._idle(LOOK_EVERY)

    async def _pause(self, login: KeptLogin | None, progress: Progress, until: float) -> None:
        """Wait until a token may be tried again whose last use failed, if that is soon enough."""
        state: LoginState | None = login.state if login else None
        now = self._clock.now()
        due = paused_until(state, Age.EXPIRED, now) if state else None
        wait = max(due - now, LOOK_EVERY) if due else LOOK_EVERY
        reason = f"{self._account}: the login could not be renewed ({state.reason if state else ''})"
        if self._clock.monotonic() + wait.total_seconds() > until:
            raise SourceUnavailable(f"{reason}; waited {PATIENCE_S:g} s")
        progress.wait(wait.total_seconds(), f"{reason}; the next try waits")
        await self._idle(wait)

    async def _idle(self, wait: timedelta) -> None:
        """Wait where nothing is sent and nothing held, so that the end of the process need not wait too."""
        self._refuse_at_the_end()
        self._is_idle = True
        try:
            await self._clock.sleep(wait)
        finally:
            self._is_idle = False

    def _refuse_at_the_end(self) -> None:
        if self._is_ending:
            raise SourceUnavailable(f"{self._account}: the login was not renewed, for the process is ending")

    def _needed(self, login: KeptLogin | None) -> LoginNeeded:
        if login is None:
            message = f"{self._account} needs login: no access was granted yet"
            return LoginNeeded(message, next_step=f"Grant access: `{self._command}`.")
        step = f"Grant access again: `{self._command}`. Nothing is lost; the next run goes on."
        return LoginNeeded(f"{self._account} needs login: {login.state.reason}", next_step=step)


def _refusal(error: LoginNeeded, before: LoginState | None) -> str:
    """Return why a login ended, with the attempt that was never answered if there was one."""
    if before is None or before.standing is not Standing.RENEWING or before.attempted_at is None:
        return error.message
    lost = f"a renewal at {before.attempted_at:%Y-%m-%d %H:%M:%S} UTC was never answered, and may have used it up"
    return f"{error.message} ({lost})"


def _not_renewed(account: str, problem: ComportaError) -> LogLine:
    message = f"{account}: the login was not renewed, the present one still holds: {problem.message}"
    return LogLine("warning", "login_not_renewed", message, {"code": problem.code, "error": problem.message})
