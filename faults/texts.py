"""Hostile texts through all commands, and lines without an end."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from faults import fuzz_seeds
from faults.fuzz import fuzz
from faults.outcome import Outcome

_SECONDS_A_TEXT = 20.0
_SECONDS_A_LINE = 300
_MEGABYTES_A_LINE = 100
_MOST_MEGABYTES = {"refused": 150, "cut": 400, "trained": 800}  # with torch 250 before the text is read
_SPLIT_WORDS = 3  # of the models; the fastest for this text
# The command and its options; how it must end.
_LONG_LINES = (
    ("score", "refused"),
    ("score --json --tokens", "refused"),
    ("score --nbest kaldi", "refused"),
    ("perplexity --state reset", "refused"),
    ("tokenize --ids", "refused"),
    ("sample --prompt-file", "refused"),
    ("perplexity", "cut"),
    ("tokenize --stats", "cut"),
    ("train", "trained"),
)


def texts(scale: float, seed: int) -> Outcome:
    """Hostile texts of all kinds, each through one command with one model."""
    number = max(1, round(600 * scale))
    target = "faults.text_target:read_text"
    return fuzz("text-fuzz", target, fuzz_seeds.write_checkpoints, number, seed, _SECONDS_A_TEXT)


def long_lines(scale: float, seed: int) -> Outcome:
    """Texts of 100 MB without a line break, piped in: refused before they are read, or cut, in little memory.

    Args:
        scale: of the length.
    """
    outcome = Outcome("long-lines")
    megabytes = max(5, round(_MEGABYTES_A_LINE * scale))
    with tempfile.TemporaryDirectory() as folder:
        model = fuzz_seeds.write_checkpoints(Path(folder))[_SPLIT_WORDS]
        for command, ending in _LONG_LINES:
            outcome.tried += 1
            found = _pipe_in(command, model, megabytes, ending)
            if found:
                outcome.lost.append(f"{command} of a line of {megabytes} MB: {found}")
    return outcome


def _pipe_in(command: str, model: Path, megabytes: int, ending: str) -> str:
    """What was wrong; nothing if it ended as it must."""
    name, *options = command.split()
    made = ["--steps", "2", "--level", "word", "--split", "whitespace", "--hidden-size", "8", "--threads", "1",
            "-o", str(model.with_name("new")), "--force"]  # fmt: skip
    options = [*(made if name == "train" else ["-m", str(model)]), "-q", *options]
    child = subprocess.Popen(
        [sys.executable, "-m", "rnngen", name, *options, "-"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(model.parent)},
    )  # fmt: skip
    watch = threading.Timer(_SECONDS_A_LINE, child.kill)
    watch.start()
    errors: list[bytes] = []
    reader = threading.Thread(target=lambda: errors.append(child.stderr.read()))  # type: ignore[union-attr]
    reader.start()
    n_written = _write_a_line(child, megabytes)
    _, status, usage = os.wait4(child.pid, 0)
    watch.cancel()
    reader.join()
    child.returncode = os.waitstatus_to_exitcode(status)
    said = b"".join(errors).decode("utf-8", "replace")
    peak = usage.ru_maxrss / 1024
    if child.returncode != (ending == "refused") or said.count("\n") != child.returncode:
        return f"exit code {child.returncode}: {said[-300:]!r}"
    # Standard input that is read once is not read to its end.
    if ending == "refused" and name in ("score", "tokenize") and n_written >= 4 << 20:
        return f"{n_written:,} bytes were read before it was refused"
    return f"{peak:.0f} MB of memory" if peak > _MOST_MEGABYTES[ending] else ""


def _write_a_line(child: subprocess.Popen[bytes], megabytes: int) -> int:
    """Pipe words of a hundred letters into a process until all are written, or it has gone; the bytes written."""
    assert child.stdin is not None
    piece = b"".join(b"%099d " % number for number in range(10_000))
    n_written = 0
    try:
        for _ in range(megabytes):
            n_written += child.stdin.write(piece)
        child.stdin.close()
    except BrokenPipeError:
        pass
    return n_written
