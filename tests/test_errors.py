"""The tree of errors and its page in the docs say the same."""

import inspect
import re
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from comporta import errors, errors_alerts, errors_guard, errors_mercadolivre, errors_odoo, errors_postgres, errors_web
from comporta.errors import ComportaError, RateLimited, SourceUnavailable

PAGE = Path(__file__).parent.parent / "docs/reference/errors.md"
ROW = re.compile(
    r'\| <a id="(?P<anchor>[^"]+)"></a>(?P<code>\S+) \| `(?P<name>\w+)` \| (?P<meaning>.+) \| (?P<step>.+) \|'
)

GROUPS = {errors.Retryable, errors.StopRun, errors.StandDown, errors_web.RequestRefused}
"""Never raised themselves: they are what a catcher names."""


def below(parent: type[ComportaError]) -> Iterator[type[ComportaError]]:
    """Yield every class of the product under one, wherever it was defined."""
    for child in parent.__subclasses__():
        if child.__module__.startswith("comporta."):
            yield child
            yield from below(child)


assert all(
    (
        errors_alerts.__doc__,
        errors_guard.__doc__,
        errors_mercadolivre.__doc__,
        errors_odoo.__doc__,
        errors_postgres.__doc__,
    )
), "imported for its classes: nothing else here would load them"
RAISED = sorted((cls for cls in below(ComportaError) if cls not in GROUPS), key=lambda cls: cls.__name__)


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    """Read the page's table."""
    return [match.groupdict() for match in ROW.finditer(PAGE.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("cls", RAISED)
def test_an_error_has_a_code_and_a_next_step_of_its_own(cls: type[ComportaError]) -> None:
    """No class borrows its parent's code or leaves the reader without a next step."""
    own = vars(cls)

    assert re.fullmatch(r"CMP-[A-Z]+-\d{3}", own["code"])
    assert own["next_step"].endswith(".")
    assert inspect.getdoc(cls)


def test_codes_are_unique() -> None:
    """One code means one thing."""
    twice = [code for code, times in Counter(cls.code for cls in RAISED).items() if times > 1]

    assert twice == []


def test_a_group_has_no_code() -> None:
    """A group is caught, never raised; a code would invite raising it."""
    assert {group.code for group in GROUPS} == {""}


def test_the_page_lists_every_error_as_the_code_has_it(rows: list[dict[str, str]]) -> None:
    """Code, meaning and next step are the same in docs/reference/errors.md, and nothing else is there."""
    documented = {(row["code"], row["name"], row["meaning"], row["step"]) for row in rows}

    assert documented == {(cls.code, cls.__name__, str(inspect.getdoc(cls)), cls.next_step) for cls in RAISED}
    assert len(rows) == len(documented)


def test_the_json_leads_to_the_anchor_on_the_page(rows: list[dict[str, str]]) -> None:
    """What `docs` names in JSON is there to be jumped to."""
    anchors = {row["anchor"] for row in rows}

    assert {cls("message").as_json()["docs"].removeprefix("docs/reference/errors.md#") for cls in RAISED} == anchors


def test_a_next_step_can_be_said_more_exactly_where_it_is_raised() -> None:
    """The place that raises may know better than the class."""
    usual = SourceUnavailable("odoo/matriz: no answer")
    better = SourceUnavailable("odoo/matriz: no answer", next_step="Start the server.")

    assert usual.as_json()["next_step"] == SourceUnavailable.next_step
    assert better.as_json()["next_step"] == "Start the server."
    assert str(better) == better.message == "odoo/matriz: no answer"


def test_a_rate_limit_carries_the_pause_the_source_asks_for() -> None:
    """Without the source's own wish, the budget decides."""
    assert RateLimited("slow down", retry_after=timedelta(seconds=3)).retry_after == timedelta(seconds=3)
    assert RateLimited("slow down").retry_after is None
