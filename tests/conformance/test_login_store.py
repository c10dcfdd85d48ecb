"""What a renewal writes, and who may write it: by the lease, or by the chain of tokens."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.conformance.conftest import TTL, StoreFactory

from comporta.core.lease import Lease
from comporta.core.login import Standing, token_fingerprint
from comporta.errors import LeaseLost, MasterKeyWrong
from comporta.ledger.logins import LedgerLogins, connect_login
from comporta.ledger.secrets import get_secrets, put_secret
from comporta.ledger.session import Session
from comporta.ledger.store import LedgerStore
from comporta.ports.login import Tokens
from comporta.ports.login_store import KeptLogin, Leased
from comporta.ports.store import Occupied
from comporta.testing.clock import BEGUN, FakeClock

A = "loja1"
SCOPE = "loja1/@login"
KEY = bytes(range(32))


def pair(number: int, user: str = "1001") -> Tokens:
    """Return the pair of that number in the chain."""
    return Tokens(f"APP_USR-{number}", f"TG-{number}", user, BEGUN, BEGUN + timedelta(hours=6))


@pytest.fixture
def logins(store: LedgerStore) -> LedgerLogins:
    """Return the logins of the test's database."""
    return LedgerLogins(store._database, lambda _: KEY)


async def granted(logins: LedgerLogins, holder: str = "here") -> Leased:
    """Return the lease."""
    answer = await logins.take(A, holder, TTL)
    assert isinstance(answer, Leased)
    return answer


async def begun(logins: LedgerLogins, refresh: str, holder: str = "here", *, is_first: bool = False) -> Lease:
    """Return the lease under which the use of a token was written ahead."""
    leased = await granted(logins, holder)
    await logins.begin(leased.lease, A, refresh, is_first=is_first, ttl=TTL)
    return leased.lease


async def connected(logins: LedgerLogins, number: int = 1) -> None:
    """Store a pair as a first token buys it."""
    lease = await begun(logins, "TG-first", is_first=True)
    assert await logins.keep(lease, A, "TG-first", pair(number))


async def kept(logins: LedgerLogins) -> KeptLogin:
    """Return what is stored."""
    found = await logins.look(A)
    assert found is not None
    return found


async def test_a_first_token_is_written_ahead_and_then_a_pair(logins: LedgerLogins) -> None:
    """Each with its fingerprint in the row, and the secret closed."""
    lease = await begun(logins, "TG-first", is_first=True)
    ahead = await kept(logins)
    await logins.keep(lease, A, "TG-first", pair(1))
    after = await kept(logins)

    assert (ahead.state.standing, ahead.refresh, ahead.tokens) == (Standing.RENEWING, "TG-first", None)
    assert ahead.state.attempt == ahead.state.token == token_fingerprint("TG-first")
    assert (ahead.state.attempted_at, ahead.state.attempts) == (BEGUN, 1)
    assert (after.state.standing, after.tokens, after.firsts) == (Standing.GOOD, pair(1), ahead.firsts)
    assert (after.state.token, after.state.attempt, after.state.attempts) == (token_fingerprint("TG-1"), None, 0)
    assert await logins.states() == {A: after.state}
    assert "TG-" not in repr(after)
    assert "APP_USR" not in repr(after)


async def test_one_holds_the_lease_and_keeping_frees_it(logins: LedgerLogins) -> None:
    """The other is told who has it; a holder that is no run has no beginning to tell."""
    await connected(logins)
    first = await granted(logins, "here")
    told = await logins.take(A, "there", TTL)
    again = await logins.take(A, "here", TTL)
    await logins.release(first.lease)

    assert told == Occupied(SCOPE, "here", None, BEGUN + TTL, None)
    assert again == first
    assert (await granted(logins, "there")).lease.epoch == first.lease.epoch + 1


async def test_nothing_is_begun_without_the_lease_or_on_another_token(logins: LedgerLogins, clock: FakeClock) -> None:
    """Nor after another has taken over."""
    await connected(logins)
    sleeper = await granted(logins, "sleeper")
    clock.advance(TTL)
    other = await granted(logins, "other")

    with pytest.raises(LeaseLost):
        await logins.begin(sleeper.lease, A, "TG-1", is_first=False, ttl=TTL)
    with pytest.raises(LeaseLost):
        await logins.begin(other.lease, A, "TG-0", is_first=False, ttl=TTL)
    with pytest.raises(LeaseLost):
        await logins.begin(other.lease, A, "TG-x", is_first=True, ttl=TTL)
    assert (await kept(logins)).state.standing is Standing.GOOD


async def test_the_last_look_before_sending(logins: LedgerLogins, clock: FakeClock) -> None:
    """It lets through whose lease it is and whose attempt stands, and extends the lease."""
    await connected(logins)
    lease = await begun(logins, "TG-1")
    clock.advance(TTL / 2)
    before = await logins.may_send(lease, A, "TG-1", TTL)
    clock.advance(TTL * 0.9)
    assert isinstance(await logins.take(A, "other", TTL), Occupied)
    clock.advance(TTL)
    await granted(logins, "other")

    assert before
    assert not await logins.may_send(lease, A, "TG-1", TTL)
    assert not await logins.may_send(replace(lease, epoch=lease.epoch + 1, holder="other"), A, "TG-0", TTL)


async def test_a_sleeper_s_pair_is_stored_while_the_row_names_what_bought_it(
    logins: LedgerLogins, clock: FakeClock
) -> None:
    """Even where another sent the same token meanwhile, was refused, and called for a person."""
    await connected(logins)
    sleeper = await begun(logins, "TG-1", "sleeper")
    clock.advance(TTL)
    other = await begun(logins, "TG-1", "other")
    await logins.refuse(other, A, "TG-1", "invalid_grant")
    needed = await kept(logins)

    assert (needed.state.standing, needed.state.reason) == (Standing.NEEDS_LOGIN, "invalid_grant")
    assert await logins.keep(sleeper, A, "TG-1", pair(2))
    assert (await kept(logins)).tokens == pair(2)


async def test_a_sleeper_s_pair_is_thrown_away_where_the_chain_went_on(logins: LedgerLogins, clock: FakeClock) -> None:
    """What is stored is newer; the lease of whoever holds it by now is untouched."""
    await connected(logins)
    sleeper = await begun(logins, "TG-1", "sleeper")
    clock.advance(TTL)
    other = await begun(logins, "TG-1", "other")
    await logins.keep(other, A, "TG-1", pair(2))
    holder = await begun(logins, "TG-2", "third")

    assert not await logins.keep(sleeper, A, "TG-1", pair(9))
    assert (await kept(logins)).tokens == pair(2)
    assert await logins.extend(holder, TTL)


@pytest.mark.parametrize("standing", [Standing.NEEDS_LOGIN, Standing.GOOD])
async def test_a_sleeper_s_bad_news_changes_nothing(logins: LedgerLogins, clock: FakeClock, standing: Standing) -> None:
    """It comes under an epoch that is over."""
    await connected(logins)
    sleeper = await begun(logins, "TG-1", "sleeper")
    clock.advance(TTL)
    await begun(logins, "TG-1", "other")
    before = await kept(logins)
    if standing is Standing.NEEDS_LOGIN:
        is_said = await logins.refuse(sleeper, A, "TG-1", "invalid_grant")
    else:
        is_said = await logins.fail(sleeper, A, "TG-1", standing, "500")

    assert not is_said
    assert await kept(logins) == before


async def test_every_write_may_be_done_twice(logins: LedgerLogins) -> None:
    """As when the answer to COMMIT was lost."""
    await connected(logins)
    lease = await begun(logins, "TG-1")
    kept_twice = [await logins.keep(lease, A, "TG-1", pair(2)) for _ in range(2)]
    lease = await begun(logins, "TG-2")
    failed = [await logins.fail(lease, A, "TG-2", Standing.GOOD, "500") for _ in range(2)]
    lease = await begun(logins, "TG-2")
    refused = [await logins.refuse(lease, A, "TG-2", "no") for _ in range(2)]

    assert [kept_twice, failed, refused] == [[True, True]] * 3
    assert (await kept(logins)).state.standing is Standing.NEEDS_LOGIN


async def test_what_a_person_granted_replaces_everything(store: LedgerStore, logins: LedgerLogins) -> None:
    """An attempt under way changes nothing any more, whatever becomes of it."""
    await connected(logins)
    lease = await begun(logins, "TG-1")

    def work(session: Session) -> None:
        connect_login(session, KEY, A, pair(7), firsts=["f"])

    store._database.write(work, is_durable=True).result()

    assert not await logins.keep(lease, A, "TG-1", pair(2))
    found = await kept(logins)
    assert (found.tokens, found.state.standing) == (pair(7), Standing.GOOD)
    assert set(found.firsts) == {token_fingerprint("TG-first"), "f"}


async def test_a_dead_renewal_is_reaped_without_a_run(
    store: LedgerStore, logins: LedgerLogins, clock: FakeClock
) -> None:
    """And is shown and freed like any lease."""
    await connected(logins)
    await granted(logins, "host:1 abcd")
    (shown,) = await store.leases()
    clock.advance(TTL)
    lost = await store.reap()
    await granted(logins, "host:2 ef")

    assert (shown.scope, shown.holder, shown.since, shown.instance) == (SCOPE, "host:1 abcd", None, None)
    assert lost == []
    assert await store.unlock(SCOPE) == []
    assert [row.holder for row in await store.leases()] == [None]


async def test_another_master_key_is_told_before_anything_is_sent(store: LedgerStore, logins: LedgerLogins) -> None:
    """A pair that could not be stored must not be bought."""
    await connected(logins)
    stranger = LedgerLogins(store._database, lambda _: bytes(32))

    with pytest.raises(MasterKeyWrong):
        await stranger.take(A, "here", TTL)


async def test_a_durable_write_waits_for_the_disk_and_the_next_need_not(store_factory: StoreFactory) -> None:
    """Whatever the settings allow to other writes."""
    first = store_factory()._database
    is_postgres = "postgres" in type(first).__module__
    if is_postgres:
        off = "format('ALTER DATABASE %I SET synchronous_commit = off', current_database())"
        first.write(lambda s: s.connection.execute(f"DO $$ BEGIN EXECUTE {off}; END $$")).result()
    database = store_factory()._database

    def level(session: Session) -> str:
        query = "SHOW synchronous_commit" if is_postgres else "PRAGMA synchronous"
        return str(session.connection.execute(query).fetchone()[0])

    levels = [database.write(level, is_durable=is_durable).result() for is_durable in (False, True, False)]

    assert levels == (["off", "on", "off"] if is_postgres else ["1", "2", "1"])


async def test_a_pair_of_somebody_else_is_not_kept(logins: LedgerLogins) -> None:
    """The account keeps whom it reads, and needs its login; asked twice, because COMMIT was not answered, too."""
    await connected(logins)
    lease = await begun(logins, "TG-1")
    kept_twice = [await logins.keep(lease, A, "TG-1", pair(2, user="1002")) for _ in range(2)]
    after = await kept(logins)

    assert kept_twice == [False, False]
    assert (after.state.standing, after.state.user_id, after.refresh) == (Standing.NEEDS_LOGIN, "1001", "TG-1")
    assert "1002" in (after.state.reason or "")
    assert (await granted(logins)).lease.scope == SCOPE


async def test_a_pair_that_does_not_say_whose_it_is_is_of_whom_the_one_before_was(logins: LedgerLogins) -> None:
    """It was bought with that one's token; of a first token nobody knows until a pair says it."""
    lease = await begun(logins, "TG-first", is_first=True)
    kept_all = [await logins.keep(lease, A, "TG-first", pair(1, user=""))]
    users = [(await kept(logins)).state.user_id]
    for number, user in ((2, "1001"), (3, "")):
        lease = await begun(logins, f"TG-{number - 1}")
        kept_all.append(await logins.keep(lease, A, f"TG-{number - 1}", pair(number, user=user)))
        users.append((await kept(logins)).state.user_id)

    assert kept_all == [True, True, True]
    assert users == [None, "1001", "1001"]
    assert (await kept(logins)).tokens == pair(3)


async def test_secrets_are_found_by_how_their_ids_end(store: LedgerStore) -> None:
    """Of all accounts in one statement; those that another key closed are left out."""

    def work(session: Session) -> None:
        for key, name in ((KEY, "loja1/client_id"), (KEY, "loja1/client_secret"), (bytes(32), "loja2/client_id")):
            put_secret(session, key, secret_id=name, secret="4242")

    store._database.write(work).result()

    assert store._database.read(lambda s: get_secrets(s, KEY, ending="/client_id")) == {"loja1/client_id": "4242"}
