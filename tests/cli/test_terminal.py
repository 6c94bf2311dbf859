"""No text and no file can inject terminal escape sequences; a pipe gets every byte."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import unicodedata
from typing import TextIO, cast

import pytest
from rich.console import Console

from rnngen.cli.app import run
from rnngen.cli.progress import ROOM_FOR_ECHO, _Live, _panel
from rnngen.cli.terminal import guarded, harmless, harmless_message, unguarded

HOSTILE = "\x1b]0;TAKEN\x07 wake\x1b[2J the \x9b31mferry\x7f\x08 \u202ebell"
TEXT = f"{HOSTILE}\nthe ferry knows no king;\n" * 60


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def controls(text: str) -> set[str]:
    return {c for c in text if unicodedata.category(c) == "Cc"} - {"\n", "\t"}


def test_each_control_character_is_shown_as_a_sign_and_nothing_else_is_changed():
    everything = "".join(map(chr, (*range(0xD800), *range(0xE000, 0x110000))))
    shown = harmless(everything)
    assert controls(shown) == set()
    assert shown.startswith("␀␁␂␃␄␅␆␇␈\t\n␋␌␍␎␏")
    assert shown[0x7F:0x88] == "␡\\x80\\x81"
    assert shown[shown.index("\xa0") :] == everything[0xA0:]


def test_a_message_is_read_in_the_order_in_which_it_was_written():
    turning = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    assert harmless(turning) == turning
    assert harmless_message(f"a{turning}\x1b\n") == "a" + turning.encode("unicode_escape").decode() + "␛\n"


def test_the_guard_stands_before_a_terminal_only_and_once():
    pipe, terminal = io.StringIO(), Terminal()
    assert guarded(pipe) is pipe
    assert unguarded(pipe) is pipe
    stream = guarded(terminal)
    assert guarded(stream) is stream
    assert unguarded(stream) is terminal
    assert stream.isatty()


def test_a_sequence_in_pieces_is_as_harmless_as_whole():
    terminal = Terminal()
    stream = guarded(cast(TextIO, terminal))
    assert [stream.write(character) for character in "\x1b[2J"] == [1, 1, 1, 1]
    stream.writelines(["\x1b", "]0;x", "\x07\n"])
    print("\x9b", file=stream, flush=True)
    assert terminal.getvalue() == "␛[2J␛]0;x␇\n\\x9b\n"


def test_past_the_guard_colours_come_as_they_are():
    terminal = Terminal()
    unguarded(guarded(terminal)).write("\x1b[2mdim\x1b[0m")
    assert terminal.getvalue() == "\x1b[2mdim\x1b[0m"


# The command on a terminal.


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A folder with a hostile text and a model that has learnt to write like it."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "text\x1b[2J.txt").write_text(TEXT, "utf-8", newline="")
    small = ["--steps", "60", "--hidden-size", "24", "--lr", "0.02", "--threads", "1", "-q"]
    assert run(["train", str(folder / "text\x1b[2J.txt"), "-o", str(folder / "model.safetensors"), *small]) == 0
    return folder


class TerminalFile(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def on_terminal(hostile, monkeypatch):
    """A function: run the command with stdout and stderr on a terminal; the code, and what the terminal got."""
    monkeypatch.chdir(hostile)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")

    def call(*arguments):
        terminal = TerminalFile(io.BytesIO(), "utf-8", newline="\n")
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", terminal)
            patch.setattr(sys, "stderr", terminal)
            code = run(arguments)
        terminal.flush()
        return code, terminal.buffer.getvalue().decode()

    return call


def process_on_terminal(folder, *arguments):
    """The same for a process on a terminal of the system."""
    ours, theirs = pty.openpty()
    env = os.environ | {"TERM": "xterm-256color", "COLUMNS": "100"}
    command = [sys.executable, "-m", "rnngen", *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=env, cwd=folder
    ) as child:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 1 << 16):
                shown += piece
        except OSError:
            pass  # the end, in Linux
        finally:
            os.close(ours)
    return child.returncode, shown.decode().replace("\r\n", "\n")


SOURCE = "text\x1b[2J.txt"


@pytest.mark.parametrize(
    "arguments",
    [
        ["sample", "--seed", "1", "--temp", "0.3", "--length", "300", "--prompt", HOSTILE],
        ["sample", "-n", "3", "--json", "--length", "80"],
        ["score", SOURCE],
        ["score", SOURCE, "--keep"],
        ["score", SOURCE, "--tokens"],
        ["score", SOURCE, "--words", "--json"],
        ["score", SOURCE, "--format", "srilm"],
        ["score", SOURCE, "--sort", "perplexity"],
        ["tokenize", SOURCE],
        ["tokenize", SOURCE, "--json"],
        ["perplexity", SOURCE],
        ["info", "model.safetensors"],
    ],
)
def test_what_is_printed_cannot_take_over_the_terminal(on_terminal, arguments):
    model = [] if arguments[0] == "info" else ["-m", "model.safetensors"]
    code, shown = on_terminal(*arguments, *model)
    assert code == 0
    assert controls(shown) == set()
    if arguments[0] in ("sample", "score", "info"):
        assert re.search(r"␛|\\u001b|\\x1b", shown)


@pytest.mark.parametrize(
    "arguments", [["tokenize"], ["score", "--tokens"], ["score", "--words"], ["score", "--format", "srilm"]]
)
def test_only_a_terminal_gets_signs_for_format_characters(hostile, on_terminal, arguments):
    (hostile / "signs.txt").write_text("می\u200cخواهم C:\\tmp\n", "utf-8")
    code, shown = on_terminal(*arguments, "signs.txt", "-m", "model.safetensors")
    assert code == 0
    assert "\u200c" not in shown
    if arguments != ["tokenize"]:  # characters that are unknown read <unk>
        assert "\\u200c" in shown
    assert "\\\\" not in shown


@pytest.mark.parametrize("arguments", [["score"], ["score", "--words"], ["score", "--color"], ["perplexity"]])
def test_the_name_of_a_file_in_a_column_is_escaped_on_a_terminal(hostile, on_terminal, arguments):
    for name in ("a\u202eb", "c"):
        (hostile / name).write_text("bell\n", "utf-8")
    code, shown = on_terminal(*arguments, "a\u202eb", "c", "-m", "model.safetensors")
    assert code == 0
    assert "\u202e" not in shown
    assert "a\\u202eb" in shown


def test_the_path_of_a_new_checkpoint_is_escaped_on_a_terminal_alone(hostile, on_terminal, rnngen):
    (hostile / "a\u202eb").write_text("bell\n" * 50, "utf-8")
    small = ("a\u202eb", "--steps", "2", "--hidden-size", "8", "--threads", "1", "-q")
    code, shown = on_terminal("train", *small)
    assert code == 0
    assert "checkpoints/a\\u202eb.safetensors" in shown
    assert rnngen("train", *small, "--force").out == "checkpoints/a\u202eb.safetensors\n"


def test_what_a_process_prints_cannot_take_over_the_terminal(hostile):
    code, shown = process_on_terminal(hostile, "score", SOURCE, "--json", "-m", "model.safetensors")
    assert code == 0
    assert controls(shown) == set()
    assert "\\u001b" in shown
    code, shown = process_on_terminal(hostile, "score", "\x1b]0;x\x07")
    assert code == 1
    assert controls(shown) == set()


def test_painted_lines_have_our_colours_and_no_other_sequence(on_terminal):
    code, shown = on_terminal("score", SOURCE, "--color", "--alternatives", "2", "-m", "model.safetensors")
    without_colours = re.sub(r"\x1b\[(0|2|38;5;16;48;5;\d+)m", "", shown)
    assert code == 0
    assert len(without_colours) < len(shown)
    assert controls(without_colours) == set()
    assert "\\x1b[2J" in without_colours


@pytest.mark.parametrize(
    "arguments",
    [
        ["score", "\x1b]0;x\x07"],
        ["train", "--\x1b[2J"],
        ["info", "\x9b2J\u202e"],
        ["tokenize", SOURCE, "--level", "\x1b[2J"],
    ],
)
def test_an_error_line_cannot_take_over_the_terminal(on_terminal, arguments):
    code, shown = on_terminal(*arguments)
    assert code in (1, 2)
    assert controls(shown) == set()
    assert "\u202e" not in shown
    assert shown.splitlines()[-1].startswith("rnngen: ")


def test_the_display_of_a_run_moves_the_cursor_and_the_text_does_not(hostile):
    code, shown = process_on_terminal(hostile, "train", SOURCE, "--steps", "20", "--hidden-size", "16",
                                      "--threads", "1", "-o", "again.safetensors")  # fmt: skip
    assert code == 0
    ours = re.sub(r"\x1b\[(\?25[hl]|2K|1A|[\d;]*m)|\r", "", shown)
    assert len(ours) < len(shown)
    assert controls(ours) == set()
    assert "train loss" in ours


@pytest.mark.parametrize("arguments", [["score", "--keep", SOURCE], ["sample", "--prompt", HOSTILE, "--length", "1"]])
def test_a_pipe_gets_the_text_as_it_is(hostile, process, arguments, monkeypatch):
    monkeypatch.chdir(hostile)
    done = process(*arguments, "-q", "-m", "model.safetensors")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(HOSTILE)


def test_an_error_line_that_goes_to_a_pipe_is_as_it_is(process):
    assert "\x1b[2J" in process("info", "\x1b[2J").err


# Terminals that are closed, and Ctrl-C on one.


@pytest.mark.parametrize("stream", ["stderr", "stdout"])
def test_a_run_goes_on_when_its_terminal_is_closed(hostile, start, stream, monkeypatch):
    monkeypatch.chdir(hostile)
    ours, theirs = pty.openpty()
    child = start("train", SOURCE, "--steps", "40", "--hidden-size", "16", "--threads", "1", "-o",
                  f"{stream}.safetensors", "--force", "--seed", "1", env=os.environ | {"TERM": "xterm"},
                  **{stream: theirs})  # fmt: skip
    os.close(theirs)
    if stream == "stderr":
        os.read(ours, 1)
    os.close(ours)
    out, err = child.communicate(timeout=120)
    assert b"Traceback" not in (out or b"") + (err or b"")
    assert child.returncode == 0
    assert (hostile / f"{stream}.safetensors").exists()


@pytest.mark.parametrize("arguments", [["score", SOURCE], ["sample", "--length", "20"], ["info"], ["score", "missing"]])
def test_a_closed_terminal_gives_an_exit_code_and_no_traceback(hostile, arguments):
    log = hostile / "stderr"
    for streams in ("1 2", "1"):
        code = f"""if True:
            import os, pty, sys
            for stream in map(int, "{streams}".split()):
                ours, theirs = pty.openpty()
                os.dup2(theirs, stream); os.close(theirs); os.close(ours)
            os.execv(sys.executable, [sys.executable, "-m", "rnngen", *sys.argv[1:], "-q"])"""
        with log.open("wb") as file:
            done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=hostile, stderr=file,
                                  env=os.environ | {"RNNGEN_MODEL": "model.safetensors"}, timeout=120)  # fmt: skip
        assert done.returncode == 1
        assert "Traceback" not in log.read_text()
        assert log.read_text().count("\n") == (streams == "1")


@pytest.mark.parametrize("width", [100, 60, 30])
def test_the_display_leaves_room_for_the_echo_of_ctrl_c_in_its_last_line(width):
    rows = [("time", "0:01"), ("validation", "2.0"), ("sample", "漢字 " * 100)]
    console = Console(file=io.StringIO(), width=width)
    last = console.render_lines(_panel(0.5, rows, width - ROOM_FOR_ECHO), pad=False)[-1]
    assert width - 2 * ROOM_FOR_ECHO < sum(segment.cell_length for segment in last) <= width - ROOM_FOR_ECHO


def test_what_is_said_while_the_display_is_drawn_comes_after_it(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    live = _Live()
    live._draw(lambda: (live.print("stopping\x1b[2J [bold]:bell:"), terminal.write("drawn "))[0])
    assert terminal.getvalue() == "drawn stopping␛[2J [bold]:bell:\n"
