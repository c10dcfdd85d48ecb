"""Which metrics and labels an expression of Prometheus names: enough of its grammar to find every name in it."""

import re

FUNCTIONS = frozenset(
    {
        "sum",
        "max",
        "min",
        "count",
        "rate",
        "increase",
        "last_over_time",
        "delta",
        "histogram_quantile",
        "label_values",
        "time",
        "avg",
    }
)
WORDS = frozenset({"by", "without", "on", "and", "or", "unless", "bool", "offset"})


def names_in(expression: str) -> tuple[set[str], set[str]]:
    """Return the metrics and the labels that are named; raise for what is no expression.

    >>> metrics, labels = names_in('sum by (a) (rate(x_total{b=~"c|d"}[5m]) unless x_total offset 1h) > 2 * y')
    >>> sorted(metrics), sorted(labels)
    (['x_total', 'y'], ['a', 'b'])
    """
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expression)
    _expect_balance(bare, expression)
    labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"\"", bare))
    for listed in re.findall(r"\b(?:by|without|on)\s*\(([^()]*)\)", bare):
        labels |= set(re.findall(r"\w+", listed))
    bare = re.sub(r"\{[^{}]*\}|\[[^\[\]]*\]|\b(?:by|without|on)\s*\([^()]*\)", " ", bare)
    metrics = set()
    for name, called in re.findall(r"([A-Za-z_:][\w:]*)\s*(\(?)", re.sub(r"\b\d[\d.]*(?:e\d+|[smhdwy])?\b", " ", bare)):
        if called and name not in FUNCTIONS | WORDS:
            raise ValueError(f"{name} is no function: {expression}")
        if not called and name not in WORDS | FUNCTIONS:
            metrics.add(name)
    return metrics, labels - {"le"}


def _expect_balance(bare: str, expression: str) -> None:
    pairs = {")": "(", "]": "[", "}": "{"}
    still_open: list[str] = []
    for letter in bare:
        if letter in pairs.values():
            still_open.append(letter)
        elif letter in pairs and (not still_open or still_open.pop() != pairs[letter]):
            raise ValueError(f"{letter} closes nothing: {expression}")
    if still_open:
        raise ValueError(f"{still_open[-1]} stays open: {expression}")
