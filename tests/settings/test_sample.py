"""The comporta.toml that `comporta init` writes: what stands behind each # is a setting that works."""

import re
from pathlib import Path

from comporta.cli.accounts import SAMPLE
from comporta.settings.reading import read_settings
from comporta.settings.tree import EmailSettings, Settings, StreamSettings


def uncommented(folder: Path) -> Settings:
    """Return the sample as it is read once the # is taken away before each key and table."""
    path = folder / "comporta.toml"
    path.write_text(re.sub(r"^# (?=\[|\w+ = )", "", SAMPLE, flags=re.MULTILINE), encoding="utf-8")
    return read_settings(path, environ={})


def test_what_is_commented_out_can_be_used(tmp_path: Path) -> None:
    """Who takes a # away and writes an own value has an account of each source, and is told of trouble."""
    settings = uncommented(tmp_path)

    assert {each.source for each in settings.accounts.values()} == {"odoo", "activecampaign", "mercadolivre"}
    assert settings.alerts.email.port == EmailSettings().port
    assert settings.alerts.email.to


def test_what_is_shown_of_a_stream_is_what_holds_without_it(tmp_path: Path) -> None:
    """Else who uncomments a line to look at it changes something."""
    stream = uncommented(tmp_path).accounts["matriz"].streams["sale.order"]
    usual = StreamSettings("sale.order")

    assert (stream.every, stream.overlap, stream.timeout) == (usual.every, usual.overlap, usual.timeout)
    assert all(f"# {key} = " in SAMPLE for key in ("every", "overlap", "timeout"))
