"""Promise 7, of the metrics: what the dashboard and the rules name is there when a server has done its work."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.acceptance.company import Company
from tests.acceptance.project import Project, until
from tests.acceptance.promql import names_in
from tests.acceptance.serving import Serving, serving

from comporta.observability.metrics import METRICS

ROOT = Path(__file__).parent.parent.parent
DASHBOARD = ROOT / "deploy/grafana/comporta.json"
RULES = ROOT / "deploy/prometheus/alerts.yml"
OF_PROMETHEUS = {"up"}
"""What Prometheus says of whom it asks."""
LABELS_OF_PROMETHEUS = {"job", "instance"}
ENDED = "SELECT count(DISTINCT stream) FROM cmp_run WHERE state = 'succeeded'"
STREAMS = 5
FRESH = 'comporta_freshness_seconds{account="matriz",stream="sale.order"} '


def panels() -> list[dict[str, Any]]:
    """Return every panel that draws something."""
    return [each for each in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"] if each["type"] != "row"]


def expressions() -> list[str]:
    """Return every expression of the dashboard and of the rules."""
    drawn = [target["expr"] for panel in panels() for target in panel["targets"]]
    variables = json.loads(DASHBOARD.read_text(encoding="utf-8"))["templating"]["list"]
    chosen = [each["query"].partition("(")[2].partition(",")[0] for each in variables if each["type"] == "query"]
    rules = re.findall(r"^ +expr: (.+)$", RULES.read_text(encoding="utf-8"), re.MULTILINE)
    return [*drawn, *[re.sub(r"\{.*", "", each) for each in chosen], *rules]


def series_of(name: str) -> set[str]:
    """Return the names under which a metric of the table is asked for."""
    metric = METRICS[name]
    return {f"{name}_{part}" for part in ("bucket", "sum", "count")} if metric.buckets else {name}


@pytest.mark.parametrize("expression", expressions())
def test_an_expression_names_what_there_is(expression: str) -> None:
    """Metrics of the table or of the process, and labels that one of them has."""
    metrics, labels = names_in(expression)
    known = {series: name for name in METRICS for series in series_of(name)}
    ours = {known[each] for each in metrics if each in known}
    allowed = {label for name in ours for label in METRICS[name].labels} | LABELS_OF_PROMETHEUS

    assert {each for each in metrics - known.keys() if not each.startswith("process_")} - OF_PROMETHEUS == set()
    assert labels - allowed == set()


def test_every_metric_is_drawn() -> None:
    """What is measured and never looked at costs for nothing."""
    drawn = set().union(*(names_in(each)[0] for each in expressions()))

    assert [name for name in METRICS if not series_of(name) & drawn] == []


def test_every_rule_says_what_to_do() -> None:
    """In so many words."""
    rules = RULES.read_text(encoding="utf-8").split("- alert: ")[1:]

    assert len(rules) > 10
    assert [rule.split()[0] for rule in rules if not re.search(r"summary: .+\n +fix: .+", rule)] == []


@pytest.mark.parametrize("wrong", ["sum(x", "sum(x))", "rate(x[5m)", "smu(x)"])
def test_what_is_no_expression_is_noticed(wrong: str) -> None:
    """Else the check of the names would find nothing in it, and be content."""
    with pytest.raises(ValueError, match=re.escape(wrong)):
        names_in(wrong)


def drawn_after(server: Serving, wanted: str) -> str | None:
    """Return what a server shows once that is there."""
    with urlopen(f"{server.url}/metrics", timeout=20) as answer:
        text: str = answer.read().decode()
    return text if wanted in text else None


@pytest.mark.full
@pytest.mark.timeout(120)
def test_a_server_shows_all_that_is_named(project: Project, company: Company, way: str) -> None:
    """After a sync: every gauge of the ledger with a figure, every metric that is named by a dashboard or a rule."""
    with serving(project, "--run-now") as server:
        until(lambda: project.value(ENDED) == STREAMS, "every stream has been read")
        with urlopen(f"{server.url}/metrics", timeout=20) as answer:
            kind, text = answer.headers["Content-Type"], answer.read().decode()
        again = until(lambda: drawn_after(server, FRESH), "the next picture is taken") or ""
    families = list(text_string_to_metric_families(text))
    shown = {each.name for each in families} | {f"{each.name}_total" for each in families if each.type == "counter"}
    shown |= {f"{each.name}_{part}" for each in families for part in ("bucket", "sum", "count")}
    named = set().union(*(names_in(each)[0] for each in expressions())) - OF_PROMETHEUS

    assert kind.startswith("text/plain; version=")
    assert named - shown == set()
    for line in (
        r'comporta_holes\{account="matriz",stream="sale.order"\} 0.0',
        r"comporta_schedulers 1.0",
        r'comporta_runs_total\{account="matriz",state="succeeded",stream="sale.order"\} [1-9].*',
        r'comporta_run_duration_seconds_count\{account="matriz",stream="sale.order"\} [1-9].*',
        r'comporta_records_total\{account="matriz",result="inserted",stream="sale.order"\} [1-9].*',
        r'comporta_requests_sent_total\{account="matriz",stream="sale.order"\} [1-9].*',
        r'comporta_http_request_duration_seconds_count\{method="GET",route="/metrics",status="200"\} [1-9].*',
    ):
        assert re.search(f"^{line}$", again, re.MULTILINE), line
