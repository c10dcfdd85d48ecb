"""docs/explanation/promises.md names, for each promise, the tests that speak of it."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/explanation/promises.md"


def spoken_of(module: Path) -> set[int]:
    """Return the numbers of the promises that the first line of a module names: 1, "1, 2 and 4", "1 to 5"."""
    first = module.read_text(encoding="utf-8").partition("\n")[0]
    named = re.match(r'"""Promises? ([\d, andto]+)', first)
    if named is None:
        return set()
    numbers = [int(number) for number in re.findall(r"\d+", named[1])]
    return set(range(numbers[0], numbers[-1] + 1) if " to " in named[1] else numbers)


def test_every_test_of_a_promise_stands_in_its_row() -> None:
    """Who reads "Promise 6" at the top of a test finds it, and who doubts promise 6 finds the test."""
    rows = dict(re.findall(r"^\| (\d+) \| (.+)$", PAGE.read_text("utf-8"), re.MULTILINE))
    modules = {module.name: spoken_of(module) for module in ROOT.glob("tests/acceptance/test_*.py")}

    assert list(rows) == [str(number) for number in range(1, 11)]
    assert [
        (name, number)
        for name, numbers in modules.items()
        for number in numbers
        if f"acceptance/{name})" not in rows[str(number)]
    ] == []
