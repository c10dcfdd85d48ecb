"""Comporta keeps the business data of many accounts in one SQL database you own.

From Python, ``comporta.sync("matriz/sale.order", since=timedelta(minutes=120))`` does what the command
``comporta sync`` does and returns the runs. The rest of the package is imported when it is used.
"""

TYPE_CHECKING = False  # importing typing takes half as long as an interpreter takes to start
if TYPE_CHECKING:
    from typing import Any

    from comporta.api import sync

__all__ = ["__version__", "sync"]
__version__ = "0.1.0"


def __getattr__(name: str) -> "Any":  # noqa: ANN401  what a module attribute is
    if name == "sync":
        from comporta.api import sync

        return sync
    message = f"module 'comporta' has no attribute {name!r}"
    raise AttributeError(message)
