"""Faults on demand: what is to go wrong, how often, for which calls.

A fault is written ``name[=value[:times]][@label]``. For most the value is a probability; ``times`` ends
the fault after so many strikes: ``error_502=1:3`` spoils the next three answers; ``forbidden@users``
strikes only calls whose label contains ``users``.
"""

from dataclasses import dataclass
from random import Random
from threading import Lock
from typing import Any

from comporta.errors import BadValue


@dataclass(slots=True, eq=False)
class Fault:
    """One active fault; ``label`` narrows it to calls whose label contains that text."""

    name: str
    value: str = "1"
    times: int | None = None
    label: str = ""

    @property
    def number(self) -> float:
        """Return the value as a number."""
        return float(self.value)

    def as_json(self) -> dict[str, Any]:
        """Return the fault as ``GET /_faults`` lists it."""
        return {"name": self.name, "value": self.value, "times": self.times, "label": self.label}


class Faults:
    """The faults of one simulator. Every method may be called from any thread."""

    def __init__(self, known: dict[str, str], rng: Random) -> None:
        self._known = known
        self._rng = rng
        self._lock = Lock()
        self._active: list[Fault] = []
        self.struck: dict[str, int] = {}

    def add(self, text: str, *, times: int | None = None, label: str = "") -> Fault:
        """Add a fault as written; refuse a name or a value this simulator does not know.

        Where the known value is a list like ``absent|string``, another must be one of its words, or a
        number if the list has one.
        """
        text, _, place = text.partition("@")
        name, _, rest = text.partition("=")
        value, _, count = rest.partition(":")
        if name not in self._known:
            raise _refused(f"unknown fault {name!r}; expected one of {', '.join(sorted(self._known))}")
        if count and not count.isdigit():
            raise _refused(f"fault {text!r}: {count!r} is not a number of times")
        choices = self._known[name].split("|")
        fault = Fault(name, value or choices[0], int(count) if count else times, place or label)
        if fault.value not in choices and not _may_be(fault.value, choices):
            raise _refused(f"fault {text!r}: {fault.value!r}; expected {_expected(choices)}")
        if fault.times is None and name == "slow_page":
            fault.times = 1
        with self._lock:
            self._active.append(fault)
        return fault

    def clear(self, name: str = "") -> None:
        """Remove the faults of that name, or all."""
        with self._lock:
            self._active = [fault for fault in self._active if name and fault.name != name]

    def listed(self) -> list[dict[str, Any]]:
        """Return the active faults as JSON values."""
        with self._lock:
            return [fault.as_json() for fault in self._active]

    def strikes(self, name: str, label: str = "") -> Fault | None:
        """Return the fault if it hits this call; its value is not a probability but a setting."""
        return self._draw(name, label, is_chance=False)

    def happens(self, name: str, label: str = "") -> bool:
        """Tell whether a fault whose value is a probability hits this call."""
        return self._draw(name, label, is_chance=True) is not None

    def names(self, name: str, wanted: str) -> bool:
        """Tell whether a fault whose value is a name is active for it."""
        with self._lock:
            chosen = [fault for fault in self._active if fault.name == name and fault.value == wanted]
        return any(self._count(fault) for fault in chosen)

    def _draw(self, name: str, label: str, *, is_chance: bool) -> Fault | None:
        with self._lock:
            chosen = [fault for fault in self._active if fault.name == name and fault.label in label]
            lucky = [fault for fault in chosen if is_chance and self._rng.random() >= fault.number]
        hits = [fault for fault in chosen if fault not in lucky]
        return next((fault for fault in hits if self._count(fault)), None)

    def _count(self, fault: Fault) -> bool:
        """Use up one strike; ``False`` where none is left."""
        with self._lock:
            if fault.times is not None:
                if fault.times <= 0 or fault not in self._active:
                    return False
                fault.times -= 1
                if fault.times == 0:
                    self._active = [known for known in self._active if known is not fault]
            self.struck[fault.name] = self.struck.get(fault.name, 0) + 1
            return True


def _refused(message: str) -> BadValue:
    return BadValue(message, next_step="Correct it; docs/reference/sandbox.md lists the faults and their values.")


def _may_be(value: str, choices: list[str]) -> bool:
    """Tell whether a value that is not listed is good: a name, or a number where a number is listed.

    >>> _may_be("sale.order", ["res.partner"]), _may_be("7", ["none", "30"]), _may_be("late", ["none", "30"])
    (True, True, False)
    """
    if any(map(_is_number, choices)):
        return _is_number(value)
    return len(choices) == 1


def _expected(choices: list[str]) -> str:
    words = [choice for choice in choices if not _is_number(choice)]
    return " or ".join([*words, "a number"] if len(words) < len(choices) else words)


def _is_number(text: str) -> bool:
    """Tell whether a value reads as a number.

    >>> _is_number("0.5"), _is_number("sale.order")
    (True, False)
    """
    try:
        float(text)
    except ValueError:
        return False
    return True
