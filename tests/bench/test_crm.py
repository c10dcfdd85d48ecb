"""The measurement of ActiveCampaign's limit: a simulator of its own for each, and who is incomplete is named."""

import pytest
from bench.crm import Used, crm_table

from bench import crm


@pytest.mark.full
@pytest.mark.timeout(60)
def test_the_share_is_of_the_times_that_the_simulator_saw() -> None:
    """All rows, no refusal, and a share that is one: the ninth request waits for a second to pass."""
    used = crm._one("comporta", 0, 750)

    assert isinstance(used, Used), used
    assert used.refused == 0
    assert 0 < used.share <= 1


def test_who_could_not_be_measured_is_named() -> None:
    """With the reason, once, beside those who could."""
    found: crm.Found = {
        latency: {**dict.fromkeys(crm.NEEDS, "no such package"), "comporta": Used(0.98, 31, 0, 6.2)}
        for latency in (0, 200)
    }

    text = crm_table(found)

    assert "| comporta | 98% | 31 | 0 | 6.2 | 98% | 31 | 0 | 6.2 |" in text
    assert text.count("dlt: not measured: no such package") == 1
