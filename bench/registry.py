"""Who takes part: which script, which table it fills, what it needs, and what it cannot do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
SCRIPTS = "bench.contestants"


@dataclass(frozen=True)
class Contestant:
    """One script of ``bench.contestants``, with the table it fills on each kind of database.

    ``absent`` says of a kind why it does not take part there. ``needs`` names an environment, ``package`` what to
    show of it. ``reader`` is, by kind, a module that reads a file which only its own library can read. A limit is
    no contestant but the least that anybody must do; those that compare nothing run only in some ``cases``.
    """

    name: str
    module: str
    tables: Mapping[str, str]
    absent: Mapping[str, str] = field(default_factory=dict)
    needs: str | None = None
    package: str = ""
    reader: Mapping[str, str] = field(default_factory=dict)
    cases: frozenset[str] | None = None
    is_limit: bool = False

    def plays(self, kind: str, case: str) -> bool:
        """Say whether it takes part in a case on a kind of database."""
        return kind in self.tables and (self.cases is None or case in self.cases)


_BOTH = {"sqlite": "sale_order", "postgresql": "bench.sale_order"}
_FULL = frozenset({"full"})
_NO_SLING = (
    "its package on PyPI holds no program: it downloads one when first used, from outside PyPI,"
    " which the machine that this was written on cannot reach"
)

CONTESTANTS: Mapping[str, Contestant] = {
    each.name: each
    for each in (
        Contestant(
            "comporta",
            f"{SCRIPTS}.comporta_sync",
            {"sqlite": "odoo_sale_order", "postgresql": "mirror.odoo_sale_order"},
        ),
        Contestant("naive", f"{SCRIPTS}.naive", _BOTH),
        Contestant("dlt", f"{SCRIPTS}.dlt_pipeline", _BOTH, needs="dlt", package="dlt"),
        Contestant("singer", f"{SCRIPTS}.singer", _BOTH, needs="singer", package="singer-sdk"),
        Contestant(
            "airbyte",
            f"{SCRIPTS}.airbyte_read",
            _BOTH,
            needs="airbyte",
            package="airbyte",
            reader={"sqlite": f"{SCRIPTS}.duck"},
        ),
        Contestant("sling", "", {}, absent=dict.fromkeys(_BOTH, _NO_SLING)),
        Contestant("bare", f"{SCRIPTS}.bare", _BOTH, is_limit=True),
        Contestant("raw", f"{SCRIPTS}.raw", _BOTH, cases=_FULL, is_limit=True),
        Contestant("fetch", f"{SCRIPTS}.fetch", {"sqlite": "", "postgresql": ""}, cases=_FULL, is_limit=True),
    )
}
