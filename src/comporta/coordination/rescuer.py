"""The rescuer: takes expired leases away, so that nothing dead is called running.

Every process that has the database open rescues, without a leader: the statement is safe to run by many
at once. It also runs once when a database is opened, so that ``comporta runs`` after a crash tells the
truth although nothing else was alive.
"""

from datetime import timedelta

from comporta.errors import DestinationRefused, Retryable
from comporta.ports.clock import Clock
from comporta.ports.store import Store

EVERY = timedelta(seconds=10)


async def rescue_forever(store: Store, clock: Clock, retention: timedelta) -> None:
    """Reap every ten seconds until cancelled, and forget history that is older than its retention."""
    while True:
        await clock.sleep(EVERY)
        try:
            await store.reap()
            await store.forget(clock.now() - retention)
        except (Retryable, DestinationRefused):
            # The database is busy or full now: the next round asks again, and nothing dead can write meanwhile.
            continue
