"""What may happen, in any order: the steps of ``lease_world`` as rules for hypothesis to choose from."""

from collections.abc import Callable
from datetime import timedelta
from itertools import permutations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.coordination.lease_invariants import check, check_reaped
from tests.coordination.lease_world import KEYS_PER_PAGE, PAGES, STREAMS, TTL, Engine, Fate, Worker, World

from comporta.core.instant import BEGINNING
from comporta.core.run import RunState
from comporta.core.window import Kind, Request, hole_requests
from comporta.ledger.batches import coverage_of

KEYS = PAGES * KEYS_PER_PAGE
HOLDER_ENDINGS = (
    RunState.SUCCEEDED,
    RunState.FAILED,
    RunState.TIMED_OUT,
    RunState.CANCELLED,
    RunState.INTERRUPTED,
)
streams = st.sampled_from([STREAMS[0]] * 3 + [*STREAMS])  # so that they meet
numbers = st.integers(0, 11)
keys = st.integers(0, KEYS - 1)
orders = st.sampled_from([list(order) for order in permutations(range(PAGES))])
# Most commits are answered, or no history gets anywhere.
fates = st.sampled_from([Fate.ANSWERED] * 4 + [Fate.ANSWER_LOST, Fate.DELAYED, Fate.DELAYED, Fate.NEVER_ARRIVED])
jumps = st.sampled_from([1, 5, TTL.seconds + 1, TTL.seconds + 1, -10, -3600, 3600])
kinds = st.sampled_from([Kind.INCREMENTAL] * 4 + [Kind.FULL, Kind.MANUAL, Kind.HOLE])


class LeaseMachine(RuleBasedStateMachine):
    """Workers, some of which should be dead, a reaper, people, clocks and sources."""

    def __init__(self, template: bytes, engine: Engine) -> None:
        super().__init__()
        self.world = World(template, engine)

    def teardown(self) -> None:
        self.world.wire.connection.close()

    @rule(stream=streams, changed=st.lists(keys, min_size=1, max_size=3), ahead=st.sampled_from([0, 0, 0, 5, 3600]))
    def the_source_is_written_to(self, stream: str, changed: list[int], ahead: int) -> None:
        for key in changed:
            self.world.write_source(stream, key, ahead=timedelta(seconds=ahead))

    @rule(at_the_source=st.sampled_from([0, 1, 5, 60]), here=jumps)
    def time_passes(self, at_the_source: int, here: int) -> None:
        self.world.source_clock += timedelta(seconds=at_the_source)
        self.world.clock.instant += timedelta(seconds=here)

    @rule(stream=streams, kind=kinds, since=st.integers(0, 30), length=st.integers(1, 60))
    def a_run_is_started(self, stream: str, kind: Kind, since: int, length: int) -> None:
        request = Request(kind)
        if kind is Kind.HOLE:
            coverage = coverage_of(self.world.wire.session(), f"shop/{stream}")
            request = next(iter(hole_requests(coverage, BEGINNING)), Request())
        elif kind is Kind.MANUAL:
            began = self.world.source_clock - timedelta(seconds=since)
            request = Request(kind, began, began + timedelta(seconds=length))
        if self.world.acquire(stream, request):
            self.world.plan(self.world.workers[-1])

    @rule(stream=streams, kind=kinds, order=orders, many=st.integers(1, PAGES), fate=fates)
    def a_run_is_on_its_way(self, stream: str, kind: Kind, order: list[int], many: int, fate: Fate) -> None:
        self.a_run_is_started(stream, kind, since=20, length=15)
        if self.world.workers:
            check(self.world)
            self.pages_are_written(-1, order, many, fate)

    @precondition(lambda self: any(worker.sent is None for worker in self.world.workers))
    @rule(number=numbers, page=st.integers(0, PAGES - 1))
    def a_page_is_read(self, number: int, page: int) -> None:
        worker = self._one(number, lambda each: each.sent is None)
        if page not in worker.written and page not in worker.fetched:
            self.world.fetch(worker, page)

    @precondition(lambda self: any(worker.sent is None for worker in self.world.workers))
    @rule(number=numbers, order=orders, many=st.integers(1, PAGES), fate=fates)
    def some_pages_are_written(self, number: int, order: list[int], many: int, fate: Fate) -> None:
        self.pages_are_written(number, order, many, fate)

    @precondition(lambda self: any(worker.sent is not None for worker in self.world.workers))
    @rule(number=numbers, fate=fates, gives_up=st.booleans())
    def an_unanswered_commit_is_settled_or_given_up(self, number: int, fate: Fate, gives_up: bool) -> None:
        worker = self._one(number, lambda each: each.sent is not None)
        if gives_up:
            self.world.finish(worker, RunState.FAILED)
        else:
            self.world.settle(worker, fate)

    @precondition(lambda self: self.world.wire.in_flight)
    @rule(number=numbers)
    def a_late_commit_arrives(self, number: int) -> None:
        self.world.deliver(number % len(self.world.wire.in_flight))

    @precondition(lambda self: self.world.workers)
    @rule(number=numbers)
    def a_heart_beats(self, number: int) -> None:
        self.world.renew(self._one(number))

    @precondition(lambda self: self.world.workers)
    @rule(number=numbers, state=st.none() | st.sampled_from(HOLDER_ENDINGS))
    def a_run_ends_or_dies(self, number: int, state: RunState | None) -> None:
        if state is None:
            self.world.crash(self._one(number))
        else:
            self.world.finish(self._one(number), state)

    @rule(unlocked=st.none() | streams)
    def the_reaper_or_a_person_comes(self, unlocked: str | None) -> None:
        if unlocked is None:
            self.world.reap()
            check_reaped(self.world)
        else:
            self.world.unlock(unlocked)

    @invariant()
    def nothing_is_broken(self) -> None:
        check(self.world)

    def pages_are_written(self, number: int, order: list[int], many: int, fate: Fate) -> None:
        """Write pages that are missing, in that order; the last of them may meet with misfortune."""
        able = [worker for worker in self.world.workers if worker.sent is None]
        if not able:
            return
        worker = able[number % len(able)]
        pages = [page for page in order if page not in worker.written][:many]
        for page in pages:
            if page not in worker.fetched:
                self.world.fetch(worker, page)
            self.world.commit(worker, page, fate if page == pages[-1] else Fate.ANSWERED)
            check(self.world)
            if worker not in self.world.workers:
                return

    def _one(self, number: int, condition: Callable[[Worker], bool] = lambda _: True) -> Worker:
        fitting = [worker for worker in self.world.workers if condition(worker)]
        return fitting[number % len(fitting)]
