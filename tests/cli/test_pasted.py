"""What a seller pastes from the browser is read as they meant it, and an address without a code is called that."""

import pytest

from comporta.cli.callback import query_of

BACK = "https://localhost/callback"


@pytest.mark.parametrize(
    "pasted",
    [f"{BACK}?code=TG-1&state=s", f'"{BACK}?code=TG-1&state=s"', f"<{BACK}?state=s&code=TG-1>",
     f"'{BACK}?code=TG-1&state=s' ", f"{BACK}?code=TG-1&state=s#_=_", "code=TG-1&state=s", " TG-1\r\n", '"TG-1"'],
)  # fmt: skip
def test_a_code_is_found_however_it_was_copied(pasted: str) -> None:
    """With quotes around it, with what browsers put after it, or alone."""
    assert query_of(pasted, "s") == {"code": "TG-1", "state": "s"}


@pytest.mark.parametrize("pasted", [BACK, f"{BACK}?", "localhost/callback", f"{BACK}#code"])
def test_an_address_without_a_code_is_no_code(pasted: str) -> None:
    """It would be sent as one, and refused as one that is too old."""
    assert "code" not in query_of(pasted, "s")
