"""The rescuer: takes expired leases away, so that nothing dead is called running, and those that a person releases.

Every process that has the database open rescues, without a leader: the statement is safe to run by many
at once. It also runs once when a database is opened, so that ``comporta runs`` after a crash tells the
truth although nothing else was alive.
"""

from datetime import timedelta

from comporta.errors import DestinationRefused, Retryable
from comporta.ports.clock import Clock
from comporta.ports.events import Observer
from comporta.ports.store import Store

EVERY = timedelta(seconds=10)


async def rescue_forever(store: Store, clock: Clock, retention: timedelta, observer: Observer) -> None:
    """Reap every ten seconds until cancelled, and forget history that is older than its retention."""
    while True:
        await clock.sleep(EVERY)
        try:
            await rescue(store, observer)
            await store.forget(clock.now() - retention)
        except (Retryable, DestinationRefused):
            # The database is busy or full now: the next round asks again, and nothing dead can write meanwhile.
            continue


async def rescue(store: Store, observer: Observer) -> None:
    """Reap once, and tell of every run that is lost: there may be nobody else left to do it."""
    for lost in await store.reap():
        observer.taken(lost)


async def release(store: Store, observer: Observer, scope: str) -> bool:
    """Take a lease away because a person says so, tell of the run that is lost, and say whether anybody held it."""
    lost = await store.unlock(scope)
    for run in lost or ():
        observer.taken(run)
    return lost is not None
