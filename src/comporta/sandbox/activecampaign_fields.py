"""The invented custom fields of deals: one of every type, labels as people write them, and their values.

Two labels differ only in an accent and in case, and one has no letter at all: whoever makes column
names of them must cope. Old values of lists are texts joined by bars.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from comporta.sandbox import invented
from comporta.sandbox.activecampaign_world import Row

FIELDS: tuple[tuple[str, str, tuple[str, ...] | None], ...] = (
    ("Origem", "dropdown", ("Site", "Indicação", "Feira", "Anúncio")),
    ("Mensalidade", "currency", None),
    ("Planos de interesse", "multiselect", ("Plano Básico", "Plano Prático", "Plano Avançado")),
    ("Observações", "textarea", None),
    ("Região", "text", None),
    ("REGIAO", "text", None),
    ("Início previsto", "date", None),
    ("Última reunião", "datetime", None),
    ("Forma de pagamento", "radio", ("Boleto", "Cartão", "Pix")),
    ("Módulos contratados", "checkbox", ("Estoque", "Emissão de notas", "Relatórios")),
    ("Código interno", "hidden", None),
    ("Nº de usuários", "number", None),
    (" – ", "text", None),
)
REGIONS = ("Sul", "Sertão", "Região dos Lagos", "Maranhão de Dentro", "")
OLD_FORM_SHARE = 0.15


def definitions() -> Iterator[Row]:
    """Yield the rows of ``dealCustomFieldMeta``, without id, stamps and links."""
    for place, (label, kind, options) in enumerate(FIELDS, 1):
        yield {
            "fieldLabel": label,
            "fieldType": kind,
            "fieldOptions": list(options) if options else None,
            "fieldDefault": "" if options else None,
            "fieldDefaultCurrency": "brl" if kind == "currency" else None,
            "isFormVisible": place % 2,
            "isRequired": 0,
            "displayOrder": place,
            "personalization": label.strip().upper().replace(" ", "_"),
            "knownFieldId": None,
            "hideFieldFlag": int(kind == "hidden"),
        }


def entry(deal: int, field: int, value: Row) -> Row:
    """Return a row of ``dealCustomFieldData``; its three references are numbers where its id is a text."""
    return {"dealCustomFieldMetumId": field, "dealId": deal, "customFieldId": field, **value}


def invent_value(definition: Row, rng: Random, near: datetime, zone: ZoneInfo) -> Row:
    """Return ``fieldValue``, and for money its currency, in the form of the field's type."""
    kind = definition["fieldType"]
    options: list[str] = definition["fieldOptions"] or ["–"]
    day = (near + timedelta(days=rng.randint(-30, 90), minutes=rng.randint(0, 1440))).astimezone(zone)
    is_old = rng.random() < OLD_FORM_SHARE
    if kind == "currency":
        return {"fieldValue": rng.randint(100, 900_000), "fieldCurrency": "brl"}
    if kind in {"multiselect", "checkbox"}:
        chosen = rng.sample(options, rng.randint(1, len(options)))
        return {"fieldValue": f"||{'||'.join(chosen)}||" if is_old else chosen}
    value: Any = {
        "dropdown": rng.choice(options),
        "radio": rng.choice(options),
        "text": rng.choice(REGIONS),
        "textarea": rng.choice(invented.NOTES),
        "hidden": f"C-{rng.randint(1, 99_999):05d}",
        "number": f"{rng.randint(1, 20_000) / 100:.2f}",
        "date": f"{day:%Y-%m-%d}{' 00:00:00' if is_old else ''}",
        "datetime": day.replace(microsecond=0).isoformat(),
    }[kind]
    return {"fieldValue": value}
