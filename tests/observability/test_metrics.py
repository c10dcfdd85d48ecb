"""The closed list of metrics: the same on its page, in the code that tells them, and in what Prometheus reads."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from comporta.observability.metrics import METRICS, Kind, Metrics

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs/reference/metrics.md"
UNITS = (
    "_seconds",
    "_bytes",
    "_total",
    "_info",
    "_requests",
    "_records",
    "_runs",
    "_per_second",
    "_holes",
    "_login",
    "_accounts",
    "_schedulers",
)


def test_the_page_lists_every_metric_and_no_other() -> None:
    """Kind, labels and meaning too."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+?) \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    table = [(name, each.kind.value, ", ".join(each.labels) or "-", each.means) for name, each in METRICS.items()]

    assert rows == table


def test_every_metric_is_told_by_somebody() -> None:
    """Who draws a metric that never comes looks at an empty picture."""
    files = [path for path in sorted((ROOT / "src/comporta").rglob("*.py")) if path.name != "metrics.py"]
    words = {word for path in files for word in re.findall(r'"(comporta_\w+)"', path.read_text(encoding="utf-8"))}

    assert set(METRICS) - words == set()


@pytest.mark.parametrize("name", METRICS)
def test_a_name_is_as_prometheus_has_them(name: str) -> None:
    """Ours first, its unit last; a counter is a total, and nothing else is one."""
    metric = METRICS[name]

    assert re.fullmatch(r"comporta_[a-z_]+", name)
    assert name.endswith(UNITS)
    assert name.endswith("_total") is (metric.kind is Kind.COUNTER)
    assert metric.kind is not Kind.HISTOGRAM or name.endswith("_seconds")


def test_what_was_told_is_shown() -> None:
    """Counted, observed, and seen in a picture; negative waits of two clocks count as none."""
    metrics = Metrics()
    metrics.count("comporta_runs_total", account="a", stream="s", state="failed")
    metrics.count("comporta_runs_total", 2, account="a", stream="s", state="failed")
    metrics.observe("comporta_event_loop_lag_seconds", -1.0)
    metrics.show(lambda: {"comporta_holes": [(("a", "s"), 3.0)]})
    shown = metrics.text().decode()

    assert 'comporta_runs_total{account="a",state="failed",stream="s"} 3.0' in shown
    assert "comporta_event_loop_lag_seconds_sum 0.0" in shown
    assert 'comporta_holes{account="a",stream="s"} 3.0' in shown
    assert "_created" not in shown


def test_prometheus_can_read_it() -> None:
    """Its own parser finds every metric of the table, with its meaning."""
    families = {each.name: each.documentation for each in text_string_to_metric_families(Metrics().text().decode())}

    assert {name.removesuffix("_total"): metric.means for name, metric in METRICS.items()}.items() <= families.items()


def test_a_name_that_is_not_on_the_list_is_refused() -> None:
    """The list is closed, or it is no list."""
    with pytest.raises(KeyError):
        Metrics().count("comporta_surprises_total")


@pytest.mark.full
def test_only_a_server_loads_the_library() -> None:
    """A sync that finds nothing takes less time than its import."""
    loaded = "import sys, comporta.cli.app, comporta.bootstrap.workspaces; print('prometheus_client' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)

    assert said.stdout.strip() == "False"
