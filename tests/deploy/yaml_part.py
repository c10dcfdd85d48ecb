"""Reads the part of YAML that deploy/compose.yaml is written in: maps and lists by indentation, plain values, [flows].

A whole reader of YAML is a dependency that nothing else here needs. What this one does not know, it refuses.
"""

import json
import re
from typing import Any

Lines = list[tuple[int, str]]


def read_yaml(text: str) -> Any:  # noqa: ANN401  whatever stands there
    """Return what a text says."""
    whole = [(number, line) for number, line in enumerate(text.splitlines(), 1) if not re.match(r"\s*(#|$)", line)]
    lines: Lines = []
    for number, line in whole:
        if "\t" in line or line.rstrip() != line:
            raise ValueError(f"line {number}: a tab, or blanks at its end")
        lines.append((len(line) - len(line.lstrip()), line.strip()))
    value, rest = _block(lines)
    if rest:
        raise ValueError(f"{rest[0][1]!r}: indented otherwise than what it belongs to")
    return value


def _block(lines: Lines) -> tuple[Any, Lines]:
    depth = lines[0][0]
    return _list(lines, depth) if lines[0][1].startswith("- ") else _map(lines, depth)


def _list(lines: Lines, depth: int) -> tuple[list[Any], Lines]:
    found = []
    while lines and lines[0][0] == depth:
        if not lines[0][1].startswith("- "):
            raise ValueError(f"{lines[0][1]!r}: expected an item of a list")
        found.append(_scalar(lines[0][1][2:]))
        lines = lines[1:]
    return found, lines


def _map(lines: Lines, depth: int) -> tuple[dict[str, Any], Lines]:
    found: dict[str, Any] = {}
    while lines and lines[0][0] == depth:
        match = re.fullmatch(r"([\w.-]+):(?: (.+))?", lines[0][1])
        if match is None or match[1] in found:
            raise ValueError(f"{lines[0][1]!r}: expected a key that is new")
        lines = lines[1:]
        if match[2] is None and lines and lines[0][0] > depth:
            found[match[1]], lines = _block(lines)
        else:
            found[match[1]] = _scalar(match[2]) if match[2] else None
    return found, lines


def _scalar(text: str) -> Any:  # noqa: ANN401  as above
    if text[0] in '["':
        return json.loads(text)
    if text[0] in "{&*!|>'%@`" or " #" in text or ": " in text:
        raise ValueError(f"{text!r}: more YAML than this reads")
    return text
