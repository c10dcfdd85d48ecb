"""Standard error that nobody reads: no write waits, and what is lost is counted and told."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Thread

import pytest

from comporta.observability.unhurried import QUEUED_MAX, Unhurried

fcntl = pytest.importorskip("fcntl", reason="the pipes here are POSIX")
LINE = "x" * 99 + "\n"
LINES = 3 * QUEUED_MAX // len(LINE)
PIPE_MIN = 4096


@dataclass
class Pipe:
    """A pipe that takes hardly anything, and what is written into it without hurry."""

    stream: Unhurried = field(init=False)
    dropped: int = 0

    def __post_init__(self) -> None:
        self.reading, self.writing = os.pipe()
        fcntl.fcntl(self.writing, getattr(fcntl, "F_SETPIPE_SZ", 1031), PIPE_MIN)
        self.stream = Unhurried(self.writing, self._drop, lambda lines: print(f"lost {lines}", file=self.stream))

    def _drop(self, lines: int) -> None:
        self.dropped += lines

    def rest(self) -> list[str]:
        """Read until the writer has ended, and return the lines."""
        ending = Thread(target=self._end)
        ending.start()
        with os.fdopen(self.reading) as reader:
            lines = reader.read().splitlines(keepends=True)
        ending.join()
        return lines

    def _end(self) -> None:
        self.stream.end(30)
        os.close(self.writing)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """Return one that nobody reads yet."""
    made = Pipe()
    yield made
    made.stream.end(0)


def test_what_is_read_comes_whole_and_in_order(pipe: Pipe) -> None:
    """Also what `print` writes in pieces, and a last line without its end."""
    for number in range(100):
        print(number, "of", 100, file=pipe.stream, flush=True)
    pipe.stream.write("the end")

    assert pipe.rest() == [*(f"{number} of 100\n" for number in range(100)), "the end\n"]
    assert pipe.dropped == 0


def test_nobody_waits_for_a_reader_that_does_not_read(pipe: Pipe) -> None:
    """As many lines are kept as were promised, and each other one is counted. A write that waited would hang here."""
    for _ in range(LINES):
        pipe.stream.write(LINE)

    kept = len(pipe.rest())
    assert kept + pipe.dropped == LINES
    assert 0 <= kept - QUEUED_MAX // len(LINE) <= PIPE_MIN // len(LINE) + 1


def test_a_loss_is_told_where_it_was_as_soon_as_there_is_room(pipe: Pipe) -> None:
    """Once, not between every two lines that a slow reader leaves room for."""
    for _ in range(LINES):
        pipe.stream.write(LINE)
    half, taken = QUEUED_MAX // 2, 0
    while taken < half + 2 * PIPE_MIN:
        taken += len(os.read(pipe.reading, PIPE_MIN))
        if taken < half:
            pipe.stream.write(LINE)
    lost = pipe.dropped
    pipe.stream.write("a rest that waits for its end, ")
    pipe.stream.write("which comes\n")
    rest = pipe.rest()

    assert lost > 0
    assert rest[-2:] == [f"lost {lost}\n", "a rest that waits for its end, which comes\n"]
    assert [line for line in rest if line.startswith("lost")] == [f"lost {lost}\n"]


def test_a_line_that_cannot_be_written_is_lost_and_no_error(pipe: Pipe) -> None:
    """The reader has gone: what a run logs must not end the run."""
    os.close(pipe.reading)
    pipe.stream.write(LINE)
    pipe.stream.end()

    assert pipe.dropped == 1


def test_a_descriptor_that_does_not_wait_is_tried_again(pipe: Pipe) -> None:
    """Some terminal programs leave it so behind."""
    os.set_blocking(pipe.writing, False)
    for _ in range(200):
        pipe.stream.write(LINE)

    assert pipe.rest() == [LINE] * 200
    assert pipe.dropped == 0


PROGRAM = """
from comporta.observability.unhurried import hurry_nobody
import sys
hurry_nobody(lambda lines: None, lambda lines: None)
for _ in range(int(sys.argv[1])):
    print("x" * 99, file=sys.stderr)
"""


@pytest.mark.full
@pytest.mark.parametrize(("lines", "is_read"), [(3, True), (3_000, False)])
def test_a_process_ends_whether_or_not_its_last_lines_are_read(lines: int, *, is_read: bool) -> None:
    """What can be written is written before the end; what cannot, is waited for a second and no longer."""
    line = [sys.executable, "-c", PROGRAM, str(lines)]
    with subprocess.Popen(line, stderr=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stderr is not None
        assert process.wait(timeout=9) == 0
        said = process.stderr.read()

    assert not is_read or said == LINE * lines


def test_without_standard_error_nothing_changes() -> None:
    """It is closed, as a service manager may do."""
    line = ["sh", "-c", f'exec "{sys.executable}" -c "$0" 3 2>&-', PROGRAM]

    assert subprocess.run(line, check=False, timeout=9).returncode == 0
