"""Whoever wants to break it: strikes workers, server and connections, as the dice say.

The dice decide what is done, to whom and when; what it hits is the machine's affair, so a seed repeats the
plan and not every interleaving. All that was done is in ``log``, with the second it was done in.
"""

import heapq
import itertools
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random

from tests.chaos.crew import LEASE_S, Crew, Worker, send, wake
from tests.servers.proxy import Odds, Proxy

TICK_S = 0.02
EVERY_S = 0.8
"""Between two strikes, on average."""
STOPPED_S = (1.15 * LEASE_S, 2.6 * LEASE_S)
CALM = Odds()
STORMS = (
    Odds(swallow=0.15, drop_before=0.1, delay=0.1, delay_s=0.3),
    Odds(delay=0.5, delay_s=0.25),
    Odds(cut=0.004),
    Odds(swallow=0.05, delay=0.1, cut=0.001, delay_s=1.2),
)
MENU: Mapping[str, float] = {
    "kill": 10,
    "stop": 12,
    "replace": 4,
    "terminate": 6,
    "restart": 4,
    "crash": 2,
    "storm": 14,
    "cut": 6,
    "half_close": 4,
    "late_commit": 10,
    "swallow": 8,
    "drop_before": 5,
    "silence": 4,
    "refuse": 4,
}
Act = Callable[["Nemesis", Worker], None]


@dataclass
class Nemesis:
    """Plays against a crew until told to stop; ``menu`` says what it may do, and how readily."""

    crew: Crew
    dice: Random
    menu: Mapping[str, float] = field(default_factory=lambda: MENU)
    every_s: float = EVERY_S
    tell: Callable[[str], None] = lambda _: None
    log: list[str] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)
    _due: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    _asleep: set[int] = field(default_factory=set)

    def play(self, seconds: float, is_over: Callable[[], bool]) -> None:
        """Strike for so long, or until it is over, and leave everything healed behind."""
        end = time.monotonic() + seconds
        strike_at = time.monotonic()
        while time.monotonic() < end and not is_over():
            if time.monotonic() >= strike_at:
                self._strike()
                strike_at += self.dice.expovariate(1 / self.every_s)
            self._look_after()
            time.sleep(TICK_S)
        self.heal()

    def heal(self) -> None:
        """Undo whatever lasts: sleep, silence, refusal, storms."""
        while self._due:
            heapq.heappop(self._due)[2]()
        for worker in self.crew.workers:
            worker.proxy.planned.clear()
            worker.proxy.roll(0, CALM)
            worker.proxy.accept()
            wake(worker)

    def say(self, what: str) -> None:
        """Note what happened, with its second."""
        line = f"{time.monotonic() - self._began:7.2f} {what}"
        self.log.append(line)
        self.tell(line)

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something when its time has come."""
        heapq.heappush(self._due, (time.monotonic() + seconds, next(self._numbers), act))

    def _strike(self) -> None:
        (act,) = self.dice.choices(list(self.menu), list(self.menu.values()))
        worker = self.dice.choice(self.crew.workers)
        self.done[act] += 1
        self.say(f"{act} {worker.name}")
        ACTS[act](self, worker)

    def _look_after(self) -> None:
        """Do what is due; hire anew where a process has ended; see to those who stopped themselves."""
        while self._due and self._due[0][0] <= time.monotonic():
            heapq.heappop(self._due)[2]()
        for worker in self.crew.workers:
            code = worker.process.poll()
            if code is not None:
                if code not in {0, -signal.SIGKILL, -signal.SIGTERM}:
                    self.faults.append(f"{worker.name} ended with {code}:\n{self.crew.errors(worker)}")
                self.say(f"hire {worker.name} after {code}")
                self.crew.rehire(worker)
            elif worker.is_stopped and worker.process.pid not in self._asleep:
                self.done["stopped itself"] += 1
                self.sleep(worker)

    def sleep(self, worker: Worker) -> None:
        """Let a stopped process be stopped for longer than its lease; some never wake."""
        pid = worker.process.pid
        self._asleep.add(pid)
        seconds, dies = self.dice.uniform(*STOPPED_S), self.dice.random() < 0.2
        self.say(f"{worker.name} is stopped for {seconds:.2f} s{' and then killed' if dies else ''}")

        def end() -> None:
            self._asleep.discard(pid)
            if worker.process.pid == pid:
                send(worker, signal.SIGKILL if dies else signal.SIGCONT)

        self.later(seconds, end)


def _stop(nemesis: Nemesis, worker: Worker) -> None:
    if worker.process.pid not in nemesis._asleep:
        send(worker, signal.SIGSTOP)
        nemesis.sleep(worker)


def _replace(nemesis: Nemesis, worker: Worker) -> None:
    """Ask a worker to hand over, as at a deploy; one that takes too long is killed."""
    process = worker.process
    wake(worker)
    send(worker, signal.SIGTERM)
    nemesis.later(10, lambda: process.kill() if process.poll() is None else None)


def _terminate(nemesis: Nemesis, worker: Worker) -> None:
    nemesis.crew.server.kill_backends(nemesis.crew.server.url(nemesis.crew.database))


def _crash(nemesis: Nemesis, worker: Worker) -> None:
    """Kill the server's first process, as if memory had run out, and start it again."""
    nemesis.crew.server.kill()
    nemesis.crew.server.start()


def _storm(nemesis: Nemesis, worker: Worker) -> None:
    odds, seconds = nemesis.dice.choice(STORMS), nemesis.dice.uniform(1, 4)
    nemesis.say(f"{worker.name}: {odds} for {seconds:.1f} s")
    worker.proxy.roll(nemesis.dice.randrange(2**32), odds)
    nemesis.later(seconds, lambda: worker.proxy.roll(0, CALM))


def _late_commit(nemesis: Nemesis, worker: Worker) -> None:
    """Hold a COMMIT back, tell the client that the connection is lost, and let the server have it later."""
    held = worker.proxy.counts["delayed"]
    worker.proxy.on_commit("delay", nemesis.dice.uniform(0.2, 1.2))
    _when_delayed(nemesis, worker.proxy, held, tries=100)


def _when_delayed(nemesis: Nemesis, proxy: Proxy, held: int, *, tries: int) -> None:
    if proxy.counts["delayed"] > held:
        proxy.half_close()
        nemesis.done["late commit"] += 1
    elif tries:
        nemesis.later(TICK_S, lambda: _when_delayed(nemesis, proxy, held, tries=tries - 1))


def _silence(nemesis: Nemesis, worker: Worker) -> None:
    worker.proxy.silence()
    nemesis.later(nemesis.dice.uniform(0.5, 3), worker.proxy.cut)


def _refuse(nemesis: Nemesis, worker: Worker) -> None:
    worker.proxy.refuse()
    worker.proxy.cut()
    nemesis.later(nemesis.dice.uniform(0.5, 2.5), worker.proxy.accept)


ACTS: Mapping[str, Act] = {
    "kill": lambda nemesis, worker: nemesis.crew.kill(worker),
    "stop": _stop,
    "replace": _replace,
    "terminate": _terminate,
    "restart": lambda nemesis, worker: nemesis.crew.server.restart(immediate=True),
    "crash": _crash,
    "storm": _storm,
    "cut": lambda nemesis, worker: worker.proxy.cut(),
    "half_close": lambda nemesis, worker: worker.proxy.half_close(),
    "late_commit": _late_commit,
    "swallow": lambda nemesis, worker: worker.proxy.on_commit("swallow"),
    "drop_before": lambda nemesis, worker: worker.proxy.on_commit("drop_before"),
    "silence": _silence,
    "refuse": _refuse,
}
