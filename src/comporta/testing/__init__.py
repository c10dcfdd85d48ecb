"""What tests of Comporta and of adapters for it stand on: a clock that jumps, sources that obey."""

from comporta.testing.budget_log import MemoryLog
from comporta.testing.clock import FakeClock
from comporta.testing.reader import FakeReader
from comporta.testing.script import CALLS, Script, Turn
from comporta.testing.source import FakeSource
from comporta.testing.stream import FakeRecord, FakeStream, FakeTransaction

__all__ = [
    "CALLS",
    "FakeClock",
    "FakeReader",
    "FakeRecord",
    "FakeSource",
    "FakeStream",
    "FakeTransaction",
    "MemoryLog",
    "Script",
    "Turn",
]
