"""What pages show of comporta.toml is what Comporta reads."""

import re
from pathlib import Path

import pytest

from comporta.settings.reading import read_settings

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("README*.md"), *ROOT.glob("docs/**/*.md")]
BLOCKS = [
    (f"{page.relative_to(ROOT)} {number}", block)
    for page in sorted(PAGES)
    for number, block in enumerate(
        re.findall(r"^```toml\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    )
]
ENVIRONMENT = {"DATABASE_URL": "postgresql://ana:secret@localhost/shop"}


@pytest.mark.parametrize(("place", "block"), BLOCKS, ids=[place for place, _ in BLOCKS])
def test_settings_on_a_page_can_be_used(place: str, block: str, tmp_path: Path) -> None:
    """Copied as they stand, they name keys that exist, with values that are taken."""
    path = tmp_path / "comporta.toml"
    path.write_text(block, encoding="utf-8")

    assert read_settings(path, environ=ENVIRONMENT).said or "[accounts" not in block
