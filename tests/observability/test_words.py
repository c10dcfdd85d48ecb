"""Events in words: each in both languages, of fields that are really written."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import comporta
from comporta.bootstrap.workspaces import open_workspace
from comporta.core.counts import Counts
from comporta.core.language import Language
from comporta.destinations import told as fitted
from comporta.observability.events import EVENTS
from comporta.observability.words import WORDS, placeholders, said
from comporta.ports.progress import LogLine
from comporta.sandbox.activecampaign import ActiveCampaignSandbox
from comporta.sandbox.odoo import OdooSandbox
from comporta.settings.reading import read_settings

SOURCE = Path(comporta.__file__).parent
TOML = """
database = "sqlite:///shop.db"
[accounts.loja]
source = "odoo"
url = "{url}"
database = "demo"
login = "demo"
api_key = "file:key"
"""
CRM = """
database = "sqlite:///shop.db"
[accounts.crm]
source = "activecampaign"
url = "{url}"
api_key = "file:key"
limit = "500/1s"
"""


def test_every_event_has_words_in_every_language() -> None:
    """And no words are kept for what is no event."""
    assert set(WORDS) == set(EVENTS)
    assert [step for step, words in WORDS.items() if set(words) != set(Language) or not all(words.values())] == []


@pytest.mark.parametrize("step", WORDS)
def test_the_languages_say_the_same(step: str) -> None:
    """Phrase by phrase, of the same fields."""
    english, portuguese = (list(map(placeholders, WORDS[step][language])) for language in Language)

    assert portuguese == english


def test_every_field_of_a_phrase_stands_in_the_code() -> None:
    """A phrase of a field that nobody writes is never said."""
    texts = [path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py") if path.name != "words.py"]
    written = {word for text in texts for word in re.findall(r'"(\w+)"', text)}
    wanted = {name for words in WORDS.values() for phrase in words[Language.EN] for name in placeholders(phrase)}

    assert wanted - written - set(Counts().as_json()) == set()


def test_a_request_that_is_sent_again_says_when() -> None:
    """Which attempt it will be, of how many; a line of an older version says no time."""
    fields = {"operation": "deals: page", "code": "CMP-NET-006", "error": "429", "attempt": 2, "attempts": 5}

    assert said("request_retried", {**fields, "delay_s": 1.5}, Language.EN) == (
        "deals: page: went wrong (CMP-NET-006), sent again in 1.5 s, attempt 2 of 5: 429"
    )
    assert said("request_retried", {**fields, "delay_s": 1.5}, Language.PT) == (
        "deals: page: deu errado (CMP-NET-006), nova tentativa em 1,5 s, 2 de 5: 429"
    )
    assert said("request_retried", fields, Language.EN) == (
        "deals: page: went wrong (CMP-NET-006), sent again, attempt 2 of 5: 429"
    )


def test_a_run_says_what_it_was_asked_for_where_it_is_not_the_usual() -> None:
    """What it reads then, the window says."""
    assert said("run_started", {"attempt": 1, "attempts": 4}, Language.EN) == "started: attempt 1 of 4"
    assert said("run_started", {"attempt": 1, "attempts": 4}, Language.PT) == "iniciada: tentativa 1 de 4"
    assert said("run_started", {"request": "full", "attempt": 1, "attempts": 4}, Language.EN) == (
        "started: full, attempt 1 of 4"
    )


@pytest.mark.parametrize(
    ("line", "portuguese"),
    [
        (fitted.table_made("odoo_x", 12), "tabela odoo_x criada com 12 colunas"),
        (fitted.columns_made("odoo_x", ["a", "b"]), "tabela odoo_x: novas colunas a, b"),
        (fitted.column_widened("odoo_x", "a", "numeric"), "tabela odoo_x: a agora é numeric"),
        (fitted.view_made("orders", is_there=False), "visão orders criada"),
        (fitted.view_made("orders", is_there=True), "visão orders refeita"),
        (
            fitted.view_left("deals_a", "view x builds on it"),
            (
                "a visão deals_a ficou como estava, sem os campos personalizados mais recentes: view x builds on it;"
                " remova o que depende dela, e a próxima execução a refaz"
            ),
        ),
    ],
)
def test_what_became_of_a_table_or_a_view_is_said_in_words(line: LogLine, portuguese: str) -> None:
    """In English as it is stored."""
    assert said(line.step, line.fields, Language.EN) == line.message
    assert said(line.step, line.fields, Language.PT) == portuguese


def test_fields_that_are_not_there_leave_the_message() -> None:
    """As in the log of an older version."""
    assert said("page_read", {"rows": 1}, Language.PT) is None
    assert said("something_else", {}, Language.PT) is None


def project(folder: Path, text: str) -> Path:
    """Write settings and a key into a folder."""
    (folder / "key").write_text("demo", encoding="utf-8")
    path = folder / "comporta.toml"
    path.write_text(text, encoding="utf-8")
    return path


async def lines_of(config: Path) -> list[LogLine]:
    """Return every line of every run."""
    async with open_workspace(read_settings(config)) as workspace:
        runs = await workspace.store.runs(limit=1_000)
        return [line for run in runs for _, _, line in await workspace.store.log(run.id)]


@pytest.fixture
def odoo() -> Iterator[OdooSandbox]:
    """Serve a small company."""
    with OdooSandbox(records=30) as sandbox:
        yield sandbox


@pytest.mark.full
@pytest.mark.parametrize("language", Language)
async def test_what_real_runs_write_is_said_in_words(tmp_path: Path, odoo: OdooSandbox, language: Language) -> None:
    """A first load, one that finds nothing, everything again, a comparison: no line of them lacks its fields."""
    config = project(tmp_path, TOML.format(url=odoo.url))
    odoo.faults.add("error_502=1:1")
    async with open_workspace(read_settings(config)) as workspace:
        await workspace.sync()
        odoo.people.step(20)
        await workspace.sync()
        await workspace.reconcile("loja/sale.order", repair=True)
    lines = await lines_of(config)

    assert [line for line in lines if said(line.step, line.fields, language) is None] == []
    steps = {line.step for line in lines}
    assert steps >= {"run_started", "run_succeeded", "lease_released", "page_read", "request_retried", "window_planned"}


async def test_a_crm_is_told_in_portuguese(tmp_path: Path) -> None:
    """Pages are numbered out of how many, because the source says how many records there are."""
    with ActiveCampaignSandbox(records=250) as crm:
        config = project(tmp_path, CRM.format(url=crm.url))
        async with open_workspace(read_settings(config)) as workspace:
            await workspace.sync(["crm/deals"])
        lines = await lines_of(config)
    told = [said(line.step, line.fields, Language.PT) for line in lines]

    assert None not in told
    assert any(re.match(r"página 1 de \d+: 100 registros", each or "") for each in told)
    assert any(each and each.startswith("concluída com sucesso: 250 lidos") for each in told)


async def test_a_refused_and_a_failed_run_are_told(tmp_path: Path, odoo: OdooSandbox) -> None:
    """Why it failed, and when it is tried again."""
    config = project(tmp_path, TOML.format(url=odoo.url).replace("file:key", "file:wrong"))
    (tmp_path / "wrong").write_text("no such key", encoding="utf-8")
    async with open_workspace(read_settings(config)) as workspace:
        await workspace.sync(["loja/sale.order"])
    lines = await lines_of(config)
    told = {line.step: said(line.step, line.fields, Language.PT) for line in lines}

    assert (told["run_failed"] or "").startswith("falhou: CMP-")
    assert None not in told.values()
