"""Long work shows a bar on the terminal with the share done, the rate and the time left; it is gone when it is over."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rnngen.cli import work_bar
from rnngen.cli.app import run
from rnngen.cli.work_bar import ERASE, WorkBar, bar_line, clock
from rnngen.work import BYTES, Progress

HALF = Progress(what="text.txt", done=2.1e6, total=4.2e6, unit=BYTES)


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def time() -> Clock:
    return Clock()


@pytest.fixture
def terminal() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def shown(terminal: io.StringIO, time: Clock) -> WorkBar:
    return WorkBar(terminal, time)


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (80, "text.txt  ███████████████                  50%  30.0 kB/s  1:10 left"),
        (60, "text.txt  ███████████              50%  30.0 kB/s  1:10 left"),
        (40, "text.txt   50%  30.0 kB/s  1:10 left"),
        (30, "t…   50%  30.0 kB/s  1:10 left"),
    ],
)
def test_a_bar_has_the_share_done_the_rate_and_the_time_left_and_fits(width, line):
    assert bar_line(HALF, 70.0, width) == line
    assert len(line) <= width


def test_of_a_pipe_the_amount_and_the_rate_are_shown():
    progress = Progress(what="standard input", done=90_000, unit="characters")
    assert bar_line(progress, 30.0, 79) == "standard input  90,000 characters  3,000 characters/s"


def test_work_that_cannot_be_counted_shows_its_time():
    assert bar_line(Progress(what="SentencePiece learns the subwords"), 65.0, 79) == (
        "SentencePiece learns the subwords  1:05"
    )


def test_a_name_of_wide_signs_is_shortened_by_columns():
    from rich.cells import cell_len

    line = bar_line(Progress(what="漢字" * 30, done=1, total=2, unit=BYTES), 1.0, 40)
    assert cell_len(line) <= 40
    assert line.startswith("漢字")
    assert "…" in line


def test_times_are_clocks():
    assert [clock(seconds) for seconds in (0, 7.4, 62, 3723)] == ["0:00", "0:07", "1:02", "1:02:03"]


def test_the_bar_appears_when_the_work_takes_over_two_seconds_and_is_gone_when_it_is_over(shown, terminal, time):
    shown.take(HALF)
    time.seconds = 1.9
    shown.tick()
    assert terminal.getvalue() == ""
    time.seconds = 2.0
    shown.tick()
    assert terminal.getvalue().startswith(f"{ERASE}text.txt  ")
    assert terminal.getvalue().endswith("left\r")
    shown.take(None)
    shown.tick()
    assert terminal.getvalue().endswith(f"left\r{ERASE}")


def test_lines_that_flow_on_the_terminal_need_no_bar(shown, terminal, time):
    shown.take(HALF)
    for _ in range(10):
        time.seconds += 1.5
        with shown.writing("a line\n"):
            pass
        shown.tick()
    assert terminal.getvalue() == ""


def test_the_bar_makes_way_before_a_line_and_waits_for_the_end_of_one(shown, terminal, time):
    shown.take(HALF)
    time.seconds = 5.0
    shown.tick()
    before = terminal.getvalue()
    with shown.writing("half a line"):
        assert terminal.getvalue() == before + ERASE
    time.seconds = 60.0
    shown.tick()
    assert terminal.getvalue() == before + ERASE
    with shown.writing(" and its end\n"):
        pass
    time.seconds = 63.0
    shown.tick()
    assert terminal.getvalue().count("text.txt") == 2


def test_a_terminal_that_is_closed_stops_no_work(time):
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError

    shown = WorkBar(Closed(), time)
    shown.take(HALF)
    time.seconds = 3.0
    shown.tick()
    shown.erase()


# Whole commands; the work draws the bar itself, at once and every time that it moves.


class TerminalFile(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def on_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[str, str]]:
    """A function: run a command with stderr or both streams on a terminal; stdout's file and what the terminal got."""
    take = WorkBar.take

    def take_and_tick(self: WorkBar, progress: Progress | None) -> None:
        take(self, progress)
        self.tick()

    monkeypatch.setattr(work_bar, "SILENCE", 0.0)
    monkeypatch.setattr(work_bar, "_keep_ticking", lambda shown, ended: None)
    monkeypatch.setattr(WorkBar, "take", take_and_tick)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")

    def call(*arguments: object, both: bool = False) -> tuple[str, str]:
        terminal, file = TerminalFile(io.BytesIO(), "utf-8", newline="\n"), io.StringIO()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", terminal if both else file)
            patch.setattr(sys, "stderr", terminal)
            assert run([str(argument) for argument in arguments]) == 0
        terminal.flush()
        return file.getvalue(), terminal.buffer.getvalue().decode()  # type: ignore[attr-defined]

    return call


def screen(written: str) -> list[str]:
    """What a terminal shows of a text in the end."""
    lines = [""]
    for line in written.split("\n"):
        for part in line.split("\r"):
            lines[-1] = part.removeprefix("\x1b[K") if part.startswith("\x1b[K") else part + lines[-1][len(part) :]
        lines.append("")
    return lines[:-1]


@pytest.fixture
def text(tmp_path: Path) -> str:
    path = tmp_path / "text.txt"
    path.write_text("The bell shall ring again.\n" * 300)
    return str(path)


@pytest.mark.parametrize(
    "arguments",
    [
        ["score"], ["score", "--sort", "perplexity"], ["perplexity"], ["perplexity", "--context", "4"], ["tokenize"],
        ["tokenize", "--stats"],
    ],
)  # fmt: skip
@pytest.mark.parametrize("both", [False, True])
def test_a_long_command_shows_a_bar_that_is_gone_when_it_is_over(on_terminal, rnngen, models, text, arguments, both):
    command = [*arguments, text, "-m", models["char"]]
    data, terminal = on_terminal(*command, both=both)
    assert "text.txt  " in terminal
    assert "%" in terminal
    assert "left" in terminal
    piped = rnngen(*command)
    assert "\r" not in piped.err
    if both:
        assert [line for line in screen(terminal) if "text.txt  " in line or " left" in line] == []
    else:
        assert data == piped.out
        assert "\n".join(screen(terminal)) == piped.err


@pytest.mark.parametrize("arguments", [["score"], ["perplexity"], ["tokenize"]])
def test_quiet_shows_no_bar(on_terminal, models, text, arguments):
    assert on_terminal(*arguments, text, "-m", models["char"], "-q")[1] == ""


def test_a_dumb_terminal_gets_no_bar(on_terminal, models, text, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert "\r" not in on_terminal("perplexity", text, "-m", models["char"])[1]


def test_training_shows_how_far_it_has_read_the_text(on_terminal, text, tmp_path):
    _, terminal = on_terminal("train", text, "--steps", 5, "--hidden-size", 8, "--threads", 1, "-o", tmp_path / "out")
    assert "reading the text  " in terminal
    assert "the vocabulary (char)  " in terminal
    assert "encoding the text  " in terminal


def test_the_reader_of_a_pipe_may_be_a_pager_so_the_bar_ends_with_the_first_line(monkeypatch):
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb"), os.fdopen(theirs, "w") as pipe:
        terminal = TerminalFile(io.BytesIO(), "utf-8")
        shown = WorkBar(terminal, Clock())
        watched = work_bar._watched(pipe, shown)
        monkeypatch.setattr(work_bar, "SILENCE", 0.0)
        shown.take(HALF)
        shown.tick()
        watched.write("first line\n")
        shown.tick()
    terminal.flush()
    assert terminal.buffer.getvalue().decode().endswith(f"50%\r{ERASE}")  # type: ignore[attr-defined]
