"""Whole passes: what is gone at the source is marked or removed, and only with proof."""

from datetime import timedelta

import pytest
from tests.engine.workshop import Workshop, at, code, counted

from comporta.core.coverage import Interval
from comporta.core.instant import BEGINNING
from comporta.core.run import RunState
from comporta.core.window import Kind
from comporta.errors import SourceUnavailable

WHOLE = [Kind.FULL, Kind.CLEAR_FIRST]


async def test_a_full_pass_marks_what_is_gone(workshop: Workshop) -> None:
    """Rows that the source no longer has keep their place and are marked; what changed unseen is mended."""
    orders = workshop.source.stream()
    orders.put_many(range(1, 31), stamp=at(9))
    await workshop.run()
    orders.remove(7, 8)
    orders.put(9, stamp=at(9), name="changed without a new stamp")

    run = await workshop.run(Kind.FULL)

    assert counted(run) == (28, 0, 1, 27, 0, 2)
    assert workshop.deleted() == [7, 8]
    assert workshop.rows() == workshop.truth()
    assert len(workshop.query("SELECT id FROM fake_sale_order")) == 30


async def test_a_row_that_came_back_counts_as_updated(workshop: Workshop) -> None:
    """A marked row that the source has again is alive again."""
    orders = workshop.source.stream()
    orders.put_many(range(1, 31), stamp=at(9))
    await workshop.run()
    orders.remove(7)
    await workshop.run(Kind.FULL)
    orders.put(7, stamp=at(9), name="S00007")

    run = await workshop.run(Kind.FULL)

    assert counted(run) == (30, 0, 1, 29, 0, 0)
    assert workshop.deleted() == []


@pytest.mark.parametrize("kind", WHOLE)
async def test_a_whole_pass_takes_an_older_version_too(workshop: Workshop, kind: Kind) -> None:
    """A source restored from a backup goes back in time, and the table goes with it."""
    orders = workshop.source.stream()
    orders.put_many(range(1, 31), stamp=at(9))
    await workshop.run()
    orders.put(9, stamp=at(3), name="as it was")

    run = await workshop.run(kind)

    assert counted(run) == (30, 0, 1, 29, 0, 0)
    assert workshop.rows() == workshop.truth()


async def test_an_incremental_run_takes_no_older_version(workshop: Workshop) -> None:
    """Between two answers that overtook one another the newer stamp wins."""
    orders = workshop.source.stream()
    orders.put(1, stamp=at(11, 55), name="newer")
    await workshop.run()
    orders.put(1, stamp=at(11, 50), name="older")

    run = await workshop.run()

    assert counted(run) == (1, 0, 0, 1, 0, 0)
    assert workshop.rows() == {1: "newer"}


async def test_a_whole_pass_starts_coverage_anew(workshop: Workshop) -> None:
    """A source whose clock was set back is covered to its own present, not to the one it had before."""
    workshop.source.stream().put_many(range(1, 31), stamp=at(3))
    await workshop.run()
    workshop.source.offset = timedelta(hours=-5)

    await workshop.run(Kind.FULL)

    assert (await workshop.covered()).intervals == (Interval(BEGINNING, at(6, 58)),)


async def test_a_resumed_pass_looks_for_what_is_gone_whatever_the_numbers_say(workshop: Workshop) -> None:
    """One row gone and one rejected before the interruption: as many rows as were read, and yet not the same."""
    orders = workshop.source.stream()
    orders.put_many(range(2, 31), stamp=at(9))
    await workshop.run()
    orders.remove(30)
    orders.put(1, stamp=at(9), spoilt="a date of the year 0")
    workshop.source.script.on("page", skip=1, raises=SourceUnavailable("gone"))
    await workshop.run(Kind.FULL)

    run = await workshop.run(Kind.FULL)

    assert run.counts.deleted == 1
    assert workshop.deleted() == [30]


async def test_a_direct_look_saves_what_the_listing_left_out(workshop: Workshop) -> None:
    """A listing that forgets records is no proof of their deletion."""
    orders = workshop.source.stream()
    orders.put_many(range(1, 31), stamp=at(9))
    await workshop.run()
    orders.remove(7)
    workshop.source.script.on("listing", times=None, answers=lambda part: part[:-3])

    await workshop.run(Kind.FULL)

    assert workshop.deleted() == [7]


@pytest.mark.parametrize("kind", WHOLE)
async def test_a_forgetful_listing_takes_no_living_row(workshop: Workshop, kind: Kind) -> None:
    """Also where rows are really removed, each is looked at directly first."""
    orders = workshop.source.stream()
    orders.put_many(range(1, 31), stamp=at(9))
    await workshop.run()
    orders.remove(7)
    workshop.source.script.on("listing", times=None, answers=lambda part: part[:-3])

    await workshop.run(kind)

    assert workshop.rows() == workshop.truth()


async def test_too_many_deletions_stop_and_ask(workshop: Workshop) -> None:
    """Above the share nothing is marked, the window stays open, and a person's yes lets it through."""
    orders = workshop.source.stream()
    orders.put_many(range(1, 101), stamp=at(9))
    await workshop.run()
    orders.remove(*range(1, 31))
    workshop.passes(hours=1)

    stopped = await workshop.run(Kind.FULL)
    marked, covered = workshop.deleted(), await workshop.covered()
    confirmed = await workshop.run(Kind.FULL, confirmed=True)

    assert (stopped.state, code(stopped)) == (RunState.FAILED, "CMP-ROW-003")
    assert marked == []
    assert covered.end == at(11, 58)
    assert (confirmed.state, confirmed.counts.deleted) == (RunState.SUCCEEDED, 30)
    assert (await workshop.covered()).end == at(12, 58)
    assert await workshop.queued() == []


async def test_a_list_that_left_out_many_that_live_asks_nobody(workshop: Workshop) -> None:
    """Of the few that are looked at first some are there, so each is looked at, and only what is gone is marked."""
    orders = workshop.source.stream()
    orders.put_many(range(1, 101), stamp=at(9))
    await workshop.run()
    orders.remove(98, 99)
    workshop.source.script.on("listing", times=None, answers=lambda part: part[::2])
    workshop.passes(hours=1)

    run = await workshop.run(Kind.FULL)

    assert (run.error, run.counts.deleted) == (None, 2)
    assert workshop.deleted() == [98, 99]


async def test_a_few_deletions_ask_nobody(workshop: Workshop) -> None:
    """Twenty rows are marked whatever their share: small tables would ask all the time."""
    orders = workshop.source.stream()
    orders.put_many(range(1, 31), stamp=at(9))
    await workshop.run()
    orders.remove(*range(1, 21))

    run = await workshop.run(Kind.FULL)

    assert (run.state, run.counts.deleted) == (RunState.SUCCEEDED, 20)


async def test_what_left_the_domain_is_gone(workshop: Workshop) -> None:
    """A record that lives but is no longer admitted is marked; one that merely changed is not."""
    orders = workshop.source.stream()
    for key in range(1, 31):
        orders.put(key, stamp=at(9), name=f"S{key}", state="sale")
    workshop.account(workshop.plan(domain=(("state", "=", "sale"),)))
    await workshop.run()
    orders.put(3, state="cancel")
    orders.put(4, name="changed")

    run = await workshop.run(Kind.FULL)

    assert workshop.deleted() == [3]
    assert counted(run) == (29, 0, 1, 28, 0, 1)


async def test_clear_first_leaves_exactly_what_the_source_has(workshop: Workshop) -> None:
    """Rows that are gone are really removed, those marked before too, in the transaction that ends the pass."""
    orders = workshop.source.stream()
    orders.put_many(range(1, 31), stamp=at(9))
    await workshop.run()
    orders.remove(7)
    await workshop.run(Kind.FULL)
    orders.remove(8, 9)
    orders.put(10, stamp=at(9), name="changed without a new stamp")

    run = await workshop.run(Kind.CLEAR_FIRST)

    assert run.state is RunState.SUCCEEDED
    assert dict(workshop.query("SELECT id, name FROM fake_sale_order ORDER BY id")) == workshop.truth()
    assert run.counts.deleted == 2
    assert (await workshop.covered()).intervals == (Interval(BEGINNING, at(11, 58)),)


@pytest.mark.parametrize("page", range(4))
async def test_clear_first_empties_nothing_before_everything_is_here(workshop: Workshop, page: int) -> None:
    """A load that fails at any page leaves every old row where it was."""
    orders = workshop.source.stream()
    orders.put_many(range(1, 31), stamp=at(9))
    await workshop.run()
    orders.remove(*range(20, 31))
    orders.put_many(range(31, 61), stamp=at(9))
    workshop.source.script.on("page", skip=page, raises=SourceUnavailable("gone"))

    run = await workshop.run(Kind.CLEAR_FIRST)

    assert run.state is RunState.FAILED
    assert set(range(1, 31)) <= set(workshop.rows())


async def test_clear_first_of_another_account_touches_none_of_ours(workshop: Workshop) -> None:
    """A table is shared by accounts; each clears its own rows."""
    workshop.source.stream().put_many(range(1, 6), stamp=at(9))
    workshop.account()
    other = workshop.account(name="filial")
    await workshop.sync()
    workshop.source.stream().remove(1, 2)
    del workshop.plans["matriz"]

    await workshop.sync(wish=workshop.wish(Kind.CLEAR_FIRST))

    assert other.name == "filial"
    assert list(workshop.rows(account="filial")) == [3, 4, 5]
    assert list(workshop.rows(account="matriz")) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("kind", WHOLE)
async def test_a_row_deleted_behind_the_reader_does_not_stay(workshop: Workshop, kind: Kind) -> None:
    """Read on the first page, gone before the last: a whole pass notices by the counts and looks again."""
    orders = workshop.source.stream()
    orders.put_many(range(1, 31), stamp=at(9))
    workshop.source.script.on("page", skip=2, does=lambda: orders.remove(3))

    run = await workshop.run(kind)

    assert run.state is RunState.SUCCEEDED, run.error
    assert workshop.rows() == workshop.truth()
