"""What differs between a table and its source."""

from hypothesis import given
from hypothesis import strategies as st

from comporta.core.compare import Differences, compare_stamps, differing_hours
from comporta.core.record import Bucket, Key

listings: st.SearchStrategy[dict[Key, str | None]] = st.dictionaries(
    st.integers(0, 9), st.none() | st.sampled_from(["a", "b"])
)
hours = st.sampled_from(["2026-03-01T08", "2026-03-01T09", "2026-03-01T10"])
sides = st.dictionaries(hours, st.tuples(st.integers(1, 3), st.integers(1, 9))).map(
    lambda chosen: [Bucket(hour, rows, key_sum) for hour, (rows, key_sum) in chosen.items()]
)


@given(listings)
def test_a_listing_does_not_differ_from_itself(listing: dict[Key, str | None]) -> None:
    """Records without a stamp included."""
    assert compare_stamps(listing, listing) == Differences(compared=len(listing))


@given(listings, listings)
def test_mending_what_differs_makes_both_equal(theirs: dict[Key, str | None], ours: dict[Key, str | None]) -> None:
    """Reading what is absent or stale and dropping what is extra is all there is to do, and no more."""
    found = compare_stamps(theirs, ours)
    kept = {key: stamp for key, stamp in ours.items() if key not in found.extra}
    mended = kept | {key: theirs[key] for key in (*found.absent, *found.stale)}

    assert mended == theirs
    assert found.total == len({*found.absent, *found.stale, *found.extra})
    assert [key for key in found.stale if ours[key] == theirs[key]] == []


@given(listings, listings)
def test_parts_of_a_comparison_add_up(theirs: dict[Key, str | None], ours: dict[Key, str | None]) -> None:
    """Compared range by range or at once, the same is found."""
    parts = Differences()
    for keys in (range(5), range(5, 10)):
        parts.add(compare_stamps({k: theirs[k] for k in keys if k in theirs}, {k: ours[k] for k in keys if k in ours}))
    whole = compare_stamps(theirs, ours)

    assert (parts.compared, parts.total) == (whole.compared, whole.total)
    assert (set(parts.absent), set(parts.stale)) == (set(whole.absent), set(whole.stale))


@given(sides, sides)
def test_an_hour_differs_if_either_number_does_or_only_one_side_has_it(
    theirs: list[Bucket], ours: list[Bucket]
) -> None:
    """In order of the hour."""
    known = {each.hour: each for each in ours}
    other = {each.hour: each for each in theirs}

    assert differing_hours(theirs, ours) == [h for h in sorted({*known, *other}) if known.get(h) != other.get(h)]
