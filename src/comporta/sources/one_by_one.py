"""Whether what was said instead of a record is about that record, or about the source.

One record that answers oddly, however often it is asked for, must not stop the others: it is handed on with what was
said. A login that is lost, a right that the application lacks, a throttle, a filter that is ignored and a server that
cannot be reached concern every record, and end the run. That all of many answered oddly, whoever asked can tell.
"""

from collections.abc import Awaitable, Iterable
from typing import TypeVar

from comporta.core.record import Rejected
from comporta.errors import (
    ComportaError,
    FilterIgnored,
    LoginNeeded,
    LoginRefused,
    RecordAbsent,
    SourceAnsweredPage,
    SourceBadGateway,
    SourceChangedShape,
    SourceRefused,
    SourceTruncated,
)
from comporta.errors_mercadolivre import PolicyRefused

T = TypeVar("T")
OF_ONE = (RecordAbsent, SourceRefused, SourceChangedShape, SourceBadGateway, SourceTruncated, SourceAnsweredPage)
OF_ALL = (LoginRefused, LoginNeeded, PolicyRefused, FilterIgnored)


def is_of_one(error: ComportaError) -> bool:
    """Say whether an error may be one record's own.

    >>> is_of_one(SourceBadGateway("500")), is_of_one(LoginRefused("401"))
    (True, False)
    """
    return isinstance(error, OF_ONE) and not isinstance(error, OF_ALL)


async def told_or_why(asking: Awaitable[T]) -> T | ComportaError:
    """Return what is told of one record, or why nothing is; raise what is not about this one."""
    try:
        return await asking
    except ComportaError as error:
        if is_of_one(error):
            return error
        raise


def unseen(answers: Iterable[tuple[object, object]]) -> list[Rejected]:
    """Return what was said instead of records, of pairs of key and answer."""
    return [
        Rejected(str(key), each.code, each.message, "{}") for key, each in answers if isinstance(each, ComportaError)
    ]
