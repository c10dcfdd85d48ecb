"""Blocking calls that may hang, in threads that nobody waits for when the process ends.

A channel's library waits for its server as long as it likes; an executor's threads would keep the process alive for it.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future


async def in_thread(work: Callable[[], None]) -> None:
    """Do something blocking in a thread of its own, which goes on by itself if nobody waits any more."""
    done: Future[None] = Future()

    def run() -> None:
        if not done.set_running_or_notify_cancel():
            return
        try:
            work()
        except BaseException as error:  # noqa: BLE001  handed on to who waits
            done.set_exception(error)
        else:
            done.set_result(None)

    threading.Thread(target=run, name="comporta-channel", daemon=True).start()
    await asyncio.wrap_future(done)
