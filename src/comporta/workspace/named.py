"""Accounts and streams by what people call them; a name that nothing has is told with the nearest one.

A stream is always ``ACCOUNT/STREAM``: streams of one name are at many accounts.
"""

from collections.abc import Iterable
from difflib import get_close_matches

from comporta.coordination.plans import Accounts
from comporta.errors import UnknownAccount


def stream_named(plans: Accounts, name: str) -> tuple[str, str]:
    """Return account and stream, or raise ``UnknownAccount``."""
    account, slash, stream = name.partition("/")
    if not slash:
        whole = [f"{each}/{one}" for each, plan in plans.items() for one in plan.streams if name in (each, one)]
        such = f", such as {whole[0]}" if whole else ""
        raise UnknownAccount(f"{name!r} names no stream; expected ACCOUNT/STREAM{such}")
    streams = plans[account_named(plans, account)].streams
    if stream not in streams:
        message = f"account {account!r} has no stream {stream!r}{_nearest(stream, streams)}"
        raise UnknownAccount(message)
    return account, stream


def account_named(plans: Accounts, name: str) -> str:
    """Return the name of an account, or raise ``UnknownAccount``."""
    if name not in plans:
        message = f"there is no account {name!r}{_nearest(name, plans)}"
        raise UnknownAccount(message)
    return name


def _nearest(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, known, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(known) or 'none'}"
