"""Faults on demand: what is to go wrong, how often, for which calls.

A fault is written ``name``, ``name=value`` or ``name=value:times``. For most the value is a probability;
``times`` ends the fault after so many strikes: ``error_502=1:3`` spoils the next three answers.
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
        """Add a fault written ``name[=value[:times]]``; refuse a name this simulator does not know."""
        name, _, rest = text.partition("=")
        value, _, count = rest.partition(":")
        if name not in self._known:
            raise BadValue(f"unknown fault {name!r}; expected one of {', '.join(sorted(self._known))}")
        if count and not count.isdigit():
            raise BadValue(f"fault {text!r}: {count!r} is not a number of times")
        fault = Fault(name, value or self._known[name], int(count) if count else times, label)
        if _is_number(self._known[name]) and not _is_number(fault.value):
            raise BadValue(f"fault {text!r}: {fault.value!r} is not a number")
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
