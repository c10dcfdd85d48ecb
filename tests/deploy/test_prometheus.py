"""What we give Prometheus and Grafana, in the eyes of Prometheus' own tool, where that is installed."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from comporta.observability.metrics import METRICS, Kind, Metrics

HERE = Path(__file__).parent
DEPLOY = HERE.parent.parent / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana/comporta.json").read_text("utf-8"))
PANELS = DASHBOARD["panels"]
TARGETS = [(panel, target) for panel in PANELS for target in panel.get("targets", [])]
VARIABLES = {"$__rate_interval": "5m", "$account": ".*", "$stream": ".*"}
"""What Grafana puts in their places."""
GRAFANA = frozenset({"__rate_interval"})
"""Variables that it has by itself."""
OLDEST_SCHEMA = 36
"""Of Grafana 9, the first that knows all that we draw with; older ones are migrated with guesses."""
PromTool = Callable[..., str]


@pytest.fixture
def promtool() -> PromTool:
    """Run Prometheus' own tool and return what it has to complain of."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not there; Debian has it in the package prometheus")

    def run(*arguments: str, text: str | None = None) -> str:
        done = subprocess.run([program, *arguments], input=text, capture_output=True, text=True, check=False)
        return "" if done.returncode == 0 and not done.stderr else f"{done.stdout}{done.stderr}"

    return run


def test_prometheus_takes_the_example_and_the_rules(promtool: PromTool) -> None:
    """The configuration, and each rule with its templates."""
    assert promtool("check", "config", str(DEPLOY / "prometheus/prometheus.yml")) == ""
    assert promtool("check", "rules", str(DEPLOY / "prometheus/alerts.yml")) == ""


def test_the_rules_tell_what_they_should(promtool: PromTool) -> None:
    """The scenes are in the file; no rule is without one."""
    rules, scenes = (path.read_text("utf-8") for path in (DEPLOY / "prometheus/alerts.yml", HERE / "alerts_told.yml"))

    assert set(re.findall(r"- alert: (\w+)", rules)) == set(re.findall(r"alertname: (\w+)", scenes))
    assert promtool("test", "rules", str(HERE / "alerts_told.yml")) == ""


def test_prometheus_reads_each_expression_of_the_dashboard(promtool: PromTool, tmp_path: Path) -> None:
    """As a recording rule, with what Grafana would put in; a broken one is noticed."""

    def checked(*expressions: str) -> str:
        rules = [{"record": f"panel:{number}", "expr": each} for number, each in enumerate(expressions)]
        (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}), "utf-8")
        return promtool("check", "rules", str(tmp_path / "rules.yml"))

    assert checked(*(_filled(target["expr"]) for _, target in TARGETS)) == ""
    assert "parse error" in checked("sum by (a) (rate(x[5m])")


def test_prometheus_has_nothing_to_say_against_the_metrics(promtool: PromTool) -> None:
    """Names, units and help texts, of all of them with a figure."""
    metrics = Metrics()
    metrics.show(lambda: {name: [(each.labels, 1.0)] for name, each in METRICS.items()})
    for name, each in METRICS.items():
        labels = dict.fromkeys(each.labels, "x")
        if each.kind is Kind.COUNTER:
            metrics.count(name, **labels)
        elif each.kind is Kind.HISTOGRAM:
            metrics.observe(name, 1.0, **labels)
    text = metrics.text().decode()

    assert promtool("check", "metrics", text=text) == ""
    assert "counter metrics should have" in promtool("check", "metrics", text="# HELP x y\n# TYPE x counter\nx 1\n")


def test_the_dashboard_holds_together() -> None:
    """Each panel has its own id, place and queries; Grafana knows the form; every variable is one that there is."""
    ids = [panel["id"] for panel in PANELS]
    named = {found for _, target in TARGETS for found in re.findall(r"\$\{?(\w+)", json.dumps(target))}
    variables = {each["name"]: each for each in DASHBOARD["templating"]["list"]}

    assert len(set(ids)) == len(ids)
    assert [panel["title"] for panel in PANELS if len(_refs(panel)) != len(set(_refs(panel)))] == []
    assert [(one["title"], two["title"]) for one, two in combinations(PANELS, 2) if _overlap(one, two)] == []
    assert named - GRAFANA <= variables.keys()
    assert DASHBOARD["schemaVersion"] >= OLDEST_SCHEMA
    assert (DASHBOARD["uid"], DASHBOARD.get("id")) == ("comporta", None)


def test_the_dashboard_asks_the_prometheus_that_is_chosen() -> None:
    """No panel, query or variable names one of ours."""
    sources = [panel["datasource"] for panel in PANELS if panel["type"] != "row"]
    sources += [target["datasource"] for _, target in TARGETS if "datasource" in target]
    sources += [each["datasource"] for each in DASHBOARD["templating"]["list"] if each["type"] == "query"]
    (chosen,) = [each for each in DASHBOARD["templating"]["list"] if each["type"] == "datasource"]

    assert (chosen["name"], chosen["query"]) == ("datasource", "prometheus")
    assert [each for each in sources if each != {"type": "prometheus", "uid": "${datasource}"}] == []


def test_what_a_panel_shows_in_seconds_is_seconds() -> None:
    """A count that shares the panel says so for itself, or two failures would be read as two seconds."""
    wrong = [
        (panel["title"], target["refId"])
        for panel, target in TARGETS
        if _unit(panel, target) == "s" and "_seconds" not in target["expr"]
    ]

    assert wrong == []


@pytest.mark.parametrize("name", ["account", "stream"])
def test_what_is_chosen_above_holds_for_every_panel_that_could_keep_it(name: str) -> None:
    """A panel of all accounts among panels of one would be read wrongly."""
    wanted = f'{name}=~"${name}"'
    series = re.compile(r"(comporta_\w+)(\{[^}]*\})?")
    loose = [
        (panel["title"], metric)
        for panel, target in TARGETS
        for metric, chosen in series.findall(target["expr"])
        if name in METRICS[_metric(metric)].labels and wanted not in chosen
    ]

    assert loose == []


def _metric(series: str) -> str:
    return series if series in METRICS else series.rpartition("_")[0]


def _filled(expression: str) -> str:
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def _unit(panel: Any, target: Any) -> str | None:  # noqa: ANN401  JSON
    told: str | None = panel["fieldConfig"]["defaults"].get("unit")
    for override in panel["fieldConfig"]["overrides"]:
        if override["matcher"] == {"id": "byFrameRefID", "options": target["refId"]}:
            told = next((each["value"] for each in override["properties"] if each["id"] == "unit"), told)
    return told


def _refs(panel: Any) -> list[str]:  # noqa: ANN401  JSON
    return [target["refId"] for target in panel.get("targets", [])]


def _overlap(one: Any, two: Any) -> bool:  # noqa: ANN401  JSON
    a, b = one["gridPos"], two["gridPos"]
    beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
    above = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
    return not (beside or above)
