"""What a coverage claim holds for."""

import pytest

from comporta.core.fingerprint import fingerprint

HERE = fingerprint(identity="db-1", query={"fields": ["id", "name"], "domain": [["active", "=", True]]})


@pytest.mark.parametrize(
    ("identity", "query"),
    [
        ("db-2", {"fields": ["id", "name"], "domain": [["active", "=", True]]}),
        ("db-1", {"fields": ["id"], "domain": [["active", "=", True]]}),
        ("db-1", {"fields": ["id", "name"], "domain": []}),
        ("db-1", {"fields": ["id", "name"], "domain": [["active", "=", 1]]}),
        ("db-1", {"fields": ["id", "name"]}),
    ],
    ids=["another database", "fewer fields", "another domain", "true is not 1", "no domain"],
)
def test_another_query_has_another_fingerprint(identity: str, query: dict[str, object]) -> None:
    """So its coverage starts from nothing."""
    assert fingerprint(identity=identity, query=query) != HERE


def test_the_fingerprint_is_the_same_on_every_machine_and_in_every_version() -> None:
    """A changed one would make every user load everything again."""
    assert fingerprint(identity="db-1", query={"fields": ["id"]}) == "ff7204d980876abae3746810"
