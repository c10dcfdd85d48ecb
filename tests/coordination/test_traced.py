"""Runs as spans of OpenTelemetry: what hangs from what, and what stays off unless it is asked for."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from tests.core.runs import make_run

from comporta.bootstrap.workspaces import open_workspace
from comporta.coordination.traced import Traced
from comporta.core.run import Run, RunState
from comporta.observability.otel import RunTrace, open_tracer
from comporta.sandbox.odoo import OdooSandbox
from comporta.settings.reading import read_settings

TOML = """
database = "sqlite:///shop.db"
[accounts.loja]
source = "odoo"
url = "{url}"
database = "demo"
login = "demo"
api_key = "file:key"
"""


@pytest.fixture
def odoo() -> Iterator[OdooSandbox]:
    """Serve a small company."""
    with OdooSandbox(records=30) as sandbox:
        yield sandbox


async def followed(folder: Path, odoo: OdooSandbox, key: str = "demo") -> tuple[Run, list[ReadableSpan]]:
    """Sync one stream and return its run and all spans."""
    (folder / "key").write_text(key, encoding="utf-8")
    (folder / "comporta.toml").write_text(TOML.format(url=odoo.url), encoding="utf-8")
    exporter = InMemorySpanExporter()
    with open_tracer("0", exporter=exporter) as tracer:
        traced = Traced(lambda attributes: RunTrace(tracer, attributes))
        async with open_workspace(read_settings(folder / "comporta.toml"), observer=traced) as workspace:
            (run,) = await workspace.sync(["loja/sale.order"])
    return run, list(exporter.get_finished_spans())


async def test_a_run_is_a_span_with_what_it_consists_of(tmp_path: Path, odoo: OdooSandbox) -> None:
    """Pages, batches and requests hang from it, and each says whose they are."""
    run, spans = await followed(tmp_path, odoo)
    (root,) = [span for span in spans if span.name == "run"]
    parts = [span for span in spans if span is not root]
    names = Counter(span.name for span in parts)

    assert run.state is RunState.SUCCEEDED
    assert names["request"] == run.requests_sent
    assert min(names["page"], names["batch"]) >= 1
    assert {span.parent.span_id for span in parts if span.parent} == {root.context.span_id}
    whose = {"comporta.run": run.id, "comporta.account": "loja", "comporta.stream": "sale.order"}
    assert [span.name for span in spans if not whose.items() <= (span.attributes or {}).items()] == []
    assert (root.attributes or {})["comporta.inserted"] == 30


async def test_a_failed_run_says_why_and_no_secret(tmp_path: Path, odoo: OdooSandbox) -> None:
    """By the error's code."""
    run, spans = await followed(tmp_path, odoo, key="a wrong and secret key")
    (root,) = [span for span in spans if span.name == "run"]

    assert run.error is not None
    assert (root.status.status_code, root.status.description) == (StatusCode.ERROR, run.error["code"])
    assert "secret" not in "".join(span.to_json() for span in spans)


def test_a_run_that_never_began_leaves_no_trace() -> None:
    """As one that was skipped."""
    begun = list[object]()
    traced = Traced(begun.append)  # type: ignore[arg-type]  # begins nothing
    traced.ended(make_run(state=RunState.SKIPPED))

    assert begun == []


@pytest.mark.full
def test_it_is_off_unless_it_is_asked_for() -> None:
    """Not even imported."""
    loaded = "import sys, comporta.cli.app, comporta.bootstrap.workspaces; print('opentelemetry' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)

    assert said.stdout.strip() == "False"


@pytest.mark.full
async def test_a_setting_turns_it_on(tmp_path: Path, odoo: OdooSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where spans go is what OpenTelemetry's own variables say; nobody there delays no run."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    (tmp_path / "key").write_text("demo", encoding="utf-8")
    (tmp_path / "comporta.toml").write_text("otel = true\n" + TOML.format(url=odoo.url), encoding="utf-8")
    async with open_workspace(read_settings(tmp_path / "comporta.toml")) as workspace:
        (run,) = await workspace.sync(["loja/sale.order"])

    assert run.state is RunState.SUCCEEDED
