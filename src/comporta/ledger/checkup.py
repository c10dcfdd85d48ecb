"""What a look at a database told, changing nothing: for ``comporta doctor``, ``settings``, ``migrate --check``.

Each database has its own way to look (``sqlite_checkup``, ``postgres_checkup``); people are told the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Checkup:
    """What was seen. ``facts`` are for people, in the order they are asked for; ``problems`` is empty when all is well.

    Where it could not even be looked at (``is_looked_at``), ``problems`` say why and nothing else says anything.
    ``accounts`` are those that ``comporta connect`` kept. A database that is not there is an answer, not an error.
    ``secrets`` says which key closed each stored one. ``clock`` is the database's, ``None`` where it has ours.
    """

    where: str
    exists: bool
    revision: str | None = None
    facts: Mapping[str, object] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    accounts: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    clock: datetime | None = None
    is_looked_at: bool = True
