"""Reconciliation finds what no stamp shows: late commits, moved hours, restored backups, deletions."""

import pytest
from tests.engine.workshop import ORDER_SCOPE, ORDERS, Workshop, at, code, counted

from comporta.core.run import Run, RunState
from comporta.core.window import Kind

Settled = tuple[str, frozenset[str]] | None
DONE = ("state", frozenset({"done"}))
MODES = pytest.mark.parametrize("exact", [False, True], ids=["hours", "exact"])


async def a_loaded_table(workshop: Workshop) -> None:
    """Load forty orders, stamped over four hours, and let an hour pass."""
    for key in range(1, 41):
        workshop.source.stream().put(key, stamp=at(6 + key % 4, key), name=f"S{key}")
    await workshop.run()
    workshop.passes(hours=1)
    await workshop.run()


async def compare(workshop: Workshop, *, exact: bool, repair: bool = True, confirmed: bool = False) -> Run:
    """Reconcile the orders."""
    return await workshop.run(Kind.RECONCILE, exact=exact, dry_run=not repair, confirmed=confirmed)


async def result(workshop: Workshop) -> dict[str, object]:
    """Return what is kept of the last reconciliation."""
    return dict((await workshop.store.facts(f"matriz/{ORDERS}")).reconcile_result or {})


@MODES
async def test_nothing_differs(workshop: Workshop, exact: bool) -> None:
    """An identical table is called identical, and no row is read or written."""
    await a_loaded_table(workshop)

    run = await compare(workshop, exact=exact)

    told = await result(workshop)
    assert run.state is RunState.SUCCEEDED
    assert counted(run) == (0, 0, 0, 0, 0, 0)
    assert (told["identical_percent"], told["missing"], told["different"], told["extra"]) == (100.0, 0, 0, 0)


@pytest.mark.parametrize(("lost", "percent"), [("id <= 10", 75.0), ("true", 0.0)])
async def test_rows_that_are_gone_here_are_part_of_the_whole(workshop: Workshop, lost: str, percent: float) -> None:
    """A table that somebody emptied is not identical."""
    await a_loaded_table(workshop)
    workshop.database.write(lambda s: s.connection.execute(f"DELETE FROM fake_sale_order WHERE {lost}")).result()

    await compare(workshop, exact=True)

    assert (await result(workshop))["identical_percent"] == percent


async def test_a_record_that_cannot_be_written_is_not_identical(workshop: Workshop) -> None:
    """The good version stays, but the source has another: nobody may read one hundred per cent."""
    await a_loaded_table(workshop)
    workshop.source.stream().put(7, stamp=at(6, 59), name="\ud800")

    run = await compare(workshop, exact=True)

    assert run.counts.rejected == 1
    assert (await result(workshop))["identical_percent"] == 97.5


@MODES
async def test_a_commit_later_than_the_overlap_is_found(workshop: Workshop, exact: bool) -> None:
    """A transaction of hours shows its rows under old stamps, where no window looks any more."""
    await a_loaded_table(workshop)
    late = workshop.source.stream().begin()
    late.put(41, name="very late")
    workshop.passes(hours=5)
    await workshop.run()
    late.commit()
    workshop.passes(minutes=30)
    await workshop.run()
    missed = workshop.rows() != workshop.truth()

    run = await compare(workshop, exact=exact)

    assert missed
    assert counted(run) == (1, 1, 0, 0, 0, 0)
    assert workshop.rows() == workshop.truth()
    assert (await result(workshop))["missing"] == 1


@MODES
async def test_the_hour_that_is_not_over_is_compared_too(workshop: Workshop, exact: bool) -> None:
    """What is missing in the running hour, up to the end of coverage, is found by key."""
    await a_loaded_table(workshop)
    workshop.passes(minutes=50)
    await workshop.run()
    workshop.source.stream().put(41, stamp=at(13, 10), name="in the running hour")

    run = await compare(workshop, exact=exact)

    assert counted(run) == (1, 1, 0, 0, 0, 0)
    assert workshop.rows() == workshop.truth()


@MODES
async def test_a_row_that_moved_to_another_hour_is_no_deletion(workshop: Workshop, exact: bool) -> None:
    """Two hours differ, one row is read again, none is marked."""
    await a_loaded_table(workshop)
    workshop.source.stream().put(5, stamp=at(10, 30), name="moved without being seen")

    run = await compare(workshop, exact=exact)

    assert counted(run) == (1, 0, 1, 0, 0, 0)
    assert workshop.deleted() == []
    assert workshop.rows() == workshop.truth()


@MODES
async def test_a_row_restored_from_a_backup_is_taken_back(workshop: Workshop, exact: bool) -> None:
    """The source has an older version under an older stamp: ours is overwritten, newer or not."""
    await a_loaded_table(workshop)
    workshop.source.stream().put(5, stamp=at(2), name="as it was")

    run = await compare(workshop, exact=exact)

    assert counted(run) == (1, 0, 1, 0, 0, 0)
    assert workshop.rows()[5] == "as it was"


@MODES
async def test_a_deletion_is_marked_after_a_direct_look(workshop: Workshop, exact: bool) -> None:
    """What the source does not list and does not know by key is marked, with its place kept."""
    await a_loaded_table(workshop)
    workshop.source.stream().remove(3, 9)

    run = await compare(workshop, exact=exact)

    assert run.counts.deleted == 2
    assert workshop.deleted() == [3, 9]
    assert "existing" in workshop.source.script.asked


@MODES
async def test_what_a_listing_forgot_is_not_deleted(workshop: Workshop, exact: bool) -> None:
    """A record that a listing leaves out but a direct look finds stays alive."""
    await a_loaded_table(workshop)
    workshop.source.stream().remove(3)
    workshop.source.script.on("listing", times=None, answers=lambda part: part[1:])

    run = await compare(workshop, exact=exact)

    assert run.state is RunState.SUCCEEDED
    assert workshop.deleted() == [3]


async def test_what_one_listing_forgot_is_not_even_looked_at(workshop: Workshop) -> None:
    """A list that shifted under its reader is taken again: a server that calls what lives gone is not asked."""
    await a_loaded_table(workshop)
    workshop.source.script.on("listing", answers=lambda part: part[1:])
    workshop.source.script.on("fetch", times=None, answers=lambda _: [])
    workshop.source.script.on("existing", times=None, answers=lambda _: frozenset())

    run = await compare(workshop, exact=True)

    assert (run.state, workshop.deleted()) == (RunState.SUCCEEDED, [])
    assert workshop.source.script.asked.count("existing") == 0


@MODES
async def test_a_fetch_that_comes_back_empty_deletes_nothing(workshop: Workshop, exact: bool) -> None:
    """Absent from listing and fetch, but found by a direct look: no proof, no deletion."""
    await a_loaded_table(workshop)
    workshop.source.script.on("listing", times=None, answers=lambda part: part[1:])
    workshop.source.script.on("buckets", answers=lambda buckets: buckets[1:])
    workshop.source.script.on("fetch", times=None, answers=lambda _: [])

    run = await compare(workshop, exact=exact)

    assert (run.state, workshop.deleted()) == (RunState.SUCCEEDED, [])


@MODES
async def test_too_many_deletions_stop_and_ask(workshop: Workshop, exact: bool) -> None:
    """A whole month gone is more likely a lost permission: nothing is marked until a person says yes."""
    await a_loaded_table(workshop)
    workshop.source.stream().remove(*range(1, 31))

    stopped = await compare(workshop, exact=exact)
    marked = workshop.deleted()
    confirmed = await compare(workshop, exact=exact, confirmed=True)

    assert (stopped.state, code(stopped), marked) == (RunState.FAILED, "CMP-ROW-003", [])
    assert stopped.error is not None
    assert f"`comporta reconcile matriz/{ORDERS} --repair --yes`" in stopped.error["next_step"]
    assert confirmed.counts.deleted == 30


@MODES
async def test_rows_that_left_the_domain_are_gone(workshop: Workshop, exact: bool) -> None:
    """Alive at the source, but not admitted any more."""
    for key in range(1, 31):
        workshop.source.stream().put(key, stamp=at(9), name=f"S{key}", state="sale")
    workshop.account(workshop.plan(domain=(("state", "=", "sale"),)))
    await workshop.run()
    workshop.source.stream().put(3, stamp=at(9), state="cancel")

    await compare(workshop, exact=exact)

    assert workshop.deleted() == [3]


@MODES
async def test_comparing_without_repair_writes_nothing(workshop: Workshop, exact: bool) -> None:
    """The counts say what a repair would do; the tables, coverage and the last result stay as they are."""
    await a_loaded_table(workshop)
    orders = workshop.source.stream()
    orders.put(41, stamp=at(8), name="late")
    orders.put(5, stamp=at(10), name="moved")
    orders.remove(3)
    before = workshop.everything()

    compared = await compare(workshop, exact=exact, repair=False)
    between = workshop.everything()
    repaired = await compare(workshop, exact=exact)

    assert between == before
    assert counted(compared) == counted(repaired) == (2, 1, 1, 0, 0, 1)
    assert workshop.rows() == workshop.truth()


async def test_the_same_hour_hides_a_changed_stamp_from_the_cheap_comparison(workshop: Workshop) -> None:
    """Count and sum of an hour are equal: only the exact comparison sees a stamp that moved within it."""
    await a_loaded_table(workshop)
    workshop.source.stream().put(4, stamp=at(6, 59), name="moved by minutes")

    cheap = await compare(workshop, exact=False)
    exact = await compare(workshop, exact=True)

    assert (counted(cheap), counted(exact)) == ((0, 0, 0, 0, 0, 0), (1, 0, 1, 0, 0, 0))


async def test_what_is_not_covered_is_not_compared(workshop: Workshop) -> None:
    """The source's present is left to the next run: its rows are not called missing."""
    await a_loaded_table(workshop)
    workshop.passes(hours=3)
    workshop.source.stream().put(41, name="brand new")

    await compare(workshop, exact=False)

    assert 41 not in workshop.rows()


async def test_there_is_nothing_to_compare_before_the_first_load(workshop: Workshop) -> None:
    """It says so, and what to do."""
    workshop.source.stream()

    run = await compare(workshop, exact=False)

    assert run.state is RunState.FAILED
    assert run.error is not None
    assert "comporta sync matriz/sale.order" in run.error["next_step"]


@MODES
async def test_a_reconciliation_moves_no_coverage(workshop: Workshop, exact: bool) -> None:
    """It repairs what was claimed; it claims nothing itself."""
    await a_loaded_table(workshop)
    before = await workshop.covered()
    workshop.passes(hours=1)

    await compare(workshop, exact=exact)

    assert await workshop.covered() == before
    checked = (await workshop.store.facts(f"matriz/{ORDERS}")).reconciled_at
    assert checked == at(14)


@MODES
async def test_what_lies_before_the_streams_start_is_not_loaded(workshop: Workshop, exact: bool) -> None:
    """A start is a wish: the daily comparison must not bring the years before it."""
    for key in range(1, 11):
        workshop.source.stream().put(key, stamp=at(key - 1, 29), name="before")
        workshop.source.stream().put(key + 10, stamp=at(9, 30 + key), name="since")
    workshop.account(workshop.plan(origin_text="2026-03-10T09:30:00.000000Z"))
    await workshop.run()

    run = await compare(workshop, exact=exact)

    assert run.state is RunState.SUCCEEDED
    assert list(workshop.rows()) == list(range(11, 21))


async def test_many_differing_hours_are_compared_by_key(workshop: Workshop) -> None:
    """After a restore every hour differs; each row is mended all the same."""
    for key in range(1, 61):
        workshop.source.stream().put(key, stamp=at(key % 24, day=5 + key % 4), name="now")
    await workshop.run()
    for key in range(1, 61):
        workshop.source.stream().put(key, stamp=at(key % 24, 5, day=4 + key % 4), name="restored")

    run = await compare(workshop, exact=False)

    assert counted(run) == (60, 0, 60, 0, 0, 0)
    assert set(workshop.rows().values()) == {"restored"}


@pytest.mark.parametrize(("rows_max", "found"), [(0, 0), (100, 1)], ids=["by hours", "every stamp"])
async def test_only_a_large_table_may_miss_a_stamp_that_moved_within_its_hour(
    workshop: Workshop, rows_max: int, found: int
) -> None:
    """Count and sum of keys of the hour stay the same, so hours are for tables that are too large for more."""
    await a_loaded_table(workshop)
    workshop.source.stream().put(4, stamp=at(6, 59), name="late, in its old hour")

    run = await workshop.run(Kind.RECONCILE, executor=workshop.executor(exact_rows_max=rows_max))

    assert run.counts.updated == found


@pytest.mark.parametrize(
    ("rows_max", "told"),
    [(0, "2 records of 2 hours are looked at again"), (100, "1 records are looked at again")],
    ids=["by hours", "every stamp"],
)
async def test_hours_are_told_of_only_where_they_were_compared(workshop: Workshop, rows_max: int, told: str) -> None:
    """Who reads "in 0 hours" looks for what went wrong."""
    await a_loaded_table(workshop)
    workshop.source.stream().put(4, stamp=at(9, 30), name="late, in another hour")

    run = await workshop.run(Kind.RECONCILE, executor=workshop.executor(exact_rows_max=rows_max))
    lines = [line.message for _, _, line in await workshop.store.log(run.id) if line.step == "reconcile_compared"]

    assert told in lines


async def test_a_stream_without_stamps_is_told_apart_from_one_that_was_never_read(workshop: Workshop) -> None:
    """Its every sync compares everything, so there is nothing else to do; and that is what is said."""
    workshop.source.stream(is_stamped=False).put_many(range(1, 6))
    await workshop.run()

    run = await compare(workshop, exact=False)

    assert code(run) == "CMP-SET-007"
    assert "each sync of it reads and compares everything" in (run.error or {})["message"]
    assert f"comporta sync matriz/{ORDERS}" in (run.error or {})["next_step"]


@pytest.mark.parametrize(("settled", "is_shown"), [(DONE, True), (DONE, False), (None, False)])
@pytest.mark.parametrize("kind", [Kind.FULL, Kind.CLEAR_FIRST])
async def test_a_pass_that_rows_are_hidden_from_is_no_comparison(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, kind: Kind, settled: Settled, *, is_shown: bool
) -> None:
    """Run every night, it would put off the look by key for ever; what is not hidden it has looked at itself."""
    monkeypatch.setattr("comporta.engine.recheck.RECHECKED_MAX", 3)
    orders = workshop.source.stream(settled=settled)
    orders.put_many(range(1, 9), stamp=at(9))
    await workshop.run(max_records=2)
    await workshop.run()
    loaded = (await workshop.store.facts(ORDER_SCOPE)).reconciled_at
    workshop.passes(hours=1)
    await compare(workshop, exact=True)
    before = await result(workshop)
    workshop.passes(hours=1)
    if not is_shown:
        orders.remove(8)

    run = await workshop.run(kind)

    is_hidden = settled is not None and not is_shown
    assert (run.state, loaded) == (RunState.SUCCEEDED, at(12))
    assert (await workshop.store.facts(ORDER_SCOPE)).reconciled_at == at(13 if is_hidden else 14)
    assert (await result(workshop) == before) == is_hidden
    assert before.get("rechecked_upto") == (None if settled is None else 3)


@pytest.mark.parametrize("settled", [DONE, None])
async def test_a_first_load_is_a_comparison(workshop: Workshop, settled: Settled) -> None:
    """Also where the counts did not agree, for orders kept coming: all that is here it brought."""
    workshop.source.stream(settled=settled).put_many(range(1, 9), stamp=at(9))
    workshop.source.script.on("count", answers=lambda count: count - 1)

    run = await workshop.run()

    assert "window_verified" in await workshop.steps(run)
    assert (await workshop.store.facts(ORDER_SCOPE)).reconciled_at == at(12)
