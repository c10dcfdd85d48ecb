"""The query fingerprint: what a coverage claim holds for.

A claim "everything stamped in this interval is in our table" is only true of one database behind the
URL, one set of fields, one domain, one set of companies. Another query has another fingerprint, and
its coverage starts from nothing.
"""

import hashlib
import json
from collections.abc import Mapping


def fingerprint(*, identity: str, query: Mapping[str, object]) -> str:
    """Return the fingerprint of a query against a source.

    >>> fingerprint(identity="a", query={"x": 1, "y": 2}) == fingerprint(identity="a", query={"y": 2, "x": 1})
    True
    """
    content = json.dumps([identity, query], sort_keys=True, default=str, ensure_ascii=True)
    return hashlib.blake2b(content.encode(), digest_size=12).hexdigest()
