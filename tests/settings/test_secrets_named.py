"""A secret is named in the settings, and revealed where it is needed: from the environment or from a file."""

import errno
from pathlib import Path

import pytest

from comporta.errors import SecretMissing
from comporta.settings.reading import reveal
from comporta.settings.values import SecretReference


def test_a_secret_is_revealed_from_where_it_is(tmp_path: Path) -> None:
    """From the environment and from a file without the line's end."""
    file = tmp_path / "key"
    file.write_text("s3cret\n", encoding="utf-8")

    assert reveal(SecretReference("env", "K"), what="x", environ={"K": "s3cret\r\n"}) == "s3cret"
    assert reveal(SecretReference("file", str(file)), what="x") == "s3cret"


@pytest.mark.parametrize("reference", [SecretReference("env", "K"), SecretReference("file", "/nowhere/key")])
def test_a_missing_secret_says_what_to_set(reference: SecretReference) -> None:
    """The name of the variable or of the file is in the message and in the next step."""
    with pytest.raises(SecretMissing) as caught:
        reveal(reference, what="account a", environ={})

    assert reference.name in caught.value.message
    assert reference.name in caught.value.next_step
    with pytest.raises(SecretMissing, match="channel") as of_a_channel:
        reveal(reference, what="a channel", environ={})
    assert "connect" not in of_a_channel.value.next_step


def test_a_secret_that_is_closed_to_this_user_is_not_to_be_written_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there; root may read every file, so the system's refusal is played here."""

    def closed(*_: object) -> str:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "read_text", closed)
    with pytest.raises(SecretMissing) as caught:
        reveal(SecretReference("file", "/etc/key"), what="account a")

    assert caught.value.next_step == "Give the user that runs comporta the right to read /etc/key."


def test_a_secret_of_two_lines_is_refused_without_being_shown(tmp_path: Path) -> None:
    """No header takes it; a file with a note beside the key, or a variable that was pasted with more."""
    file = tmp_path / "key"
    file.write_text("# of the shop\ns3cret\n", encoding="utf-8")

    for reference in (SecretReference("env", "K"), SecretReference("file", str(file))):
        with pytest.raises(SecretMissing, match="one line") as caught:
            reveal(reference, what="account a", environ={"K": "s3\ncret"})
        assert "s3" not in caught.value.message + caught.value.next_step
