"""Search domains in prefix notation, and bounds in whole seconds."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comporta.errors import BadValue
from comporta.sources.odoo_domain import Bounds, all_of, normalise

TERM = st.tuples(st.sampled_from("abc"), st.just("="), st.booleans())
TREE = st.recursive(
    TERM.map(lambda term: [term]),
    lambda inner: (
        st.tuples(st.sampled_from("&|"), inner, inner).map(lambda parts: [parts[0], *parts[1], *parts[2]])
        | inner.map(lambda operand: ["!", *operand])
    ),
    max_leaves=6,
)
DOMAIN = st.lists(TREE, max_size=3).map(lambda trees: [token for tree in trees for token in tree])


def admits(domain: Sequence[object], row: dict[str, bool]) -> bool:
    """Evaluate a domain as Odoo defines it: prefix operators, terms side by side are and-ed."""
    tokens = list(domain)

    def operand() -> bool:
        token = tokens.pop(0)
        if token == "!":
            return not operand()
        if token in ("&", "|"):
            left, right = operand(), operand()
            return (left and right) if token == "&" else (left or right)
        assert isinstance(token, list | tuple)
        return row[str(token[0])] is token[2]

    result = True
    while tokens:
        result = operand() and result
    return result


ROW = st.fixed_dictionaries({name: st.booleans() for name in "abc"})


@given(domains=st.lists(DOMAIN, max_size=3), row=ROW)
def test_anded_domains_admit_what_each_admits(domains: list[list[object]], row: dict[str, bool]) -> None:
    """However the domains are written, and-ing changes the meaning of none."""
    together = all_of(*domains)

    assert admits(together, row) is all(admits(domain, row) for domain in domains)


@given(domain=DOMAIN)
def test_normalising_twice_changes_nothing(domain: list[object]) -> None:
    """A normal domain is its own normal form, one expression long."""
    once = normalise(domain)

    assert normalise(once) == once
    assert once.count("&") + once.count("|") == max(0, sum(isinstance(token, list) for token in once) - 1)


@pytest.mark.parametrize(
    ("domain", "words"),
    [
        (["|", ["a", "=", 1]], "ends 1 terms too early"),
        (["!"], "ends 1 terms too early"),
        ([["a", "="]], r"the term \['a', '='\]"),
        (["or", ["a", "=", 1], ["b", "=", 1]], "the term 'or'"),
        ([["a", 1, "="]], "the term"),
    ],
)
def test_a_malformed_domain_is_a_bad_setting(domain: list[object], words: str) -> None:
    """It is refused before any request, with the term that is wrong."""
    with pytest.raises(BadValue, match=words):
        normalise(domain)


INSTANTS = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-3))])).filter(
    lambda at: datetime(2, 1, 1, tzinfo=UTC) < at < datetime(9998, 1, 1, tzinfo=UTC)
)


@given(since=INSTANTS, until=INSTANTS)
def test_bounds_only_widen(since: datetime, until: datetime) -> None:
    """Rounding asks for more than was wanted by less than a second, and never for less."""
    bounds = Bounds(since, until)

    assert bounds.since is not None
    assert bounds.until is not None
    assert (bounds.since.microsecond, bounds.until.microsecond) == (0, 0)
    assert timedelta(0) <= since - bounds.since < timedelta(seconds=1)
    assert timedelta(0) <= bounds.until - until < timedelta(seconds=1)


def test_no_bounds_are_no_terms() -> None:
    """A first load filters by nothing, and everything is within."""
    bounds = Bounds()

    assert bounds.domain("write_date") == []
    assert bounds.admits(["2026-03-01T10:00:00.000000Z"])


def test_stamps_are_sent_in_the_one_form_every_version_understands() -> None:
    """UTC, a blank, whole seconds, no zone: 19 refuses a zone, 16 ignores it."""
    bounds = Bounds(datetime(2026, 3, 1, 7, 0, tzinfo=timezone(timedelta(hours=-3))))

    assert bounds.domain("write_date") == [["write_date", ">=", "2026-03-01 10:00:00"]]
