"""When a pass may claim its window: what the source's own count says against what was read.

``before`` and ``after`` are the source's count of the window, read before the first page and after the
last; ``read`` is how many distinct records the pass read. Three equal numbers prove nothing was missed
that a count can show. Anything else is not judged by guessing: the window is listed again by key and
compared with the table (engine.verify), and a total that fell must be explained record by record.

Offset pages that were each seen to overlap with the one before (``is_unbroken``) prove more than a count
can: then the total may be wrong, or missing (``None``), as long as it is not higher than what was read.
"""

from enum import StrEnum

LISTINGS_MAX = 4
"""How often a window is listed again before the run fails with the numbers."""


class Verdict(StrEnum):
    """What the three numbers allow."""

    AGREED = "agreed"
    EMPTY_UNCONFIRMED = "empty_unconfirmed"
    LIST_AGAIN = "list_again"


def judge(*, before: int | None, read: int, after: int | None, is_unbroken: bool = False) -> Verdict:
    """Decide whether the window may close.

    >>> judge(before=3, read=3, after=3).value, judge(before=3, read=0, after=3).value
    ('agreed', 'empty_unconfirmed')
    >>> judge(before=3, read=5, after=None).value, judge(before=3, read=5, after=None, is_unbroken=True).value
    ('list_again', 'agreed')
    """
    if read == before == after or (is_unbroken and read > 0 and read >= (after or 0)):
        return Verdict.AGREED
    if read == 0 and max(before or 0, after or 0) > 0:
        return Verdict.EMPTY_UNCONFIRMED
    if read == 0 and is_unbroken:
        return Verdict.AGREED
    return Verdict.LIST_AGAIN
