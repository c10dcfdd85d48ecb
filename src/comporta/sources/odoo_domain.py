"""Odoo's search domains: prefix notation, made explicit so that terms can be and-ed to any of them.

``['|', a, b]`` and a plain ``[a, b]`` (an implicit and) must not be concatenated as they are: the
added term would change what an operator applies to only where its operands are not complete.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from comporta.core.instant import instant_text
from comporta.errors import BadValue

Domain = list[object]

_ARITY = {"&": 2, "|": 2, "!": 1}
_TERM_LENGTH = 3
_SECOND = timedelta(seconds=1)


def normalise(domain: Sequence[object]) -> Domain:
    """Return the domain with every operator written out.

    >>> normalise([("a", "=", 1), "|", ("b", "=", 2), ("c", "=", 3)])
    ['&', ['a', '=', 1], '|', ['b', '=', 2], ['c', '=', 3]]
    """
    result: Domain = []
    open_places = 1
    for token in domain:
        if open_places == 0:
            result.insert(0, "&")
            open_places = 1
        if isinstance(token, str) and token in _ARITY:
            open_places += _ARITY[token] - 1
            result.append(token)
        else:
            open_places -= 1
            result.append(_term(token))
    if domain and open_places:
        message = (
            f"domain {list(domain)!r} ends {open_places} terms too early; expected two after each & or |, one after !"
        )
        raise BadValue(message)
    return result


def _term(token: object) -> Domain:
    if isinstance(token, list | tuple) and len(token) == _TERM_LENGTH and isinstance(token[1], str):
        return list(token)
    message = f'domain has the term {token!r}; expected ["field", "operator", value], or one of & | !'
    raise BadValue(message)


def all_of(*domains: Sequence[object]) -> Domain:
    """Return the domain that admits what every one of the domains admits.

    >>> all_of([["id", ">", 7]], ["|", ["a", "=", 1], ["b", "=", 2]], [])
    ['&', ['id', '>', 7], '|', ['a', '=', 1], ['b', '=', 2]]
    """
    present = [normal for domain in domains if (normal := normalise(domain))]
    return [*("&" for _ in present[1:]), *(token for normal in present for token in normal)]


@dataclass(frozen=True, slots=True)
class Bounds:
    """A window rounded outward to whole seconds, since Odoo shows and compares no finer ones."""

    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        if self.since is not None:
            object.__setattr__(self, "since", self.since.astimezone(UTC).replace(microsecond=0))
        if self.until is not None:
            object.__setattr__(self, "until", _ceiling(self.until.astimezone(UTC)))

    def domain(self, stamp: str | None) -> Domain:
        """Return the terms to send; without bounds none at all, so that rows without a stamp come too."""
        terms: Domain = []
        if stamp is not None and self.since is not None:
            terms.append([stamp, ">=", odoo_text(self.since)])
        if stamp is not None and self.until is not None:
            terms.append([stamp, "<", odoo_text(self.until)])
        return terms

    def admits(self, stamps: Sequence[str]) -> bool:
        """Say whether all these canonical stamps lie within."""
        is_late_enough = self.since is None or not stamps or min(stamps) >= instant_text(self.since)
        return is_late_enough and (self.until is None or not stamps or max(stamps) < instant_text(self.until))

    def __str__(self) -> str:
        since = "" if self.since is None else f"{instant_text(self.since)} <= "
        return f"{since}write_date" + ("" if self.until is None else f" < {instant_text(self.until)}")


def _ceiling(instant: datetime) -> datetime:
    return instant if instant.microsecond == 0 else instant.replace(microsecond=0) + _SECOND


def odoo_text(instant: datetime) -> str:
    """Return the only form that every version understands: UTC, no zone, whole seconds."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "seconds")
