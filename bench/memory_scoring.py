"""The item of peak memory of `rnngen score`, with a large text that is piped in and stored nowhere."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.rows import BenchError, Row
from bench.setting import Setting, rnngen
from bench.timing import environment, run_process

MEGABYTES = 1000
QUICK_MEGABYTES = 2
MOST_MEGABYTES = 300
TRAINED_CHARS = 100_000
WORDS_BETWEEN = 19  # new words
NEW_WORDS_A_LINE = 10
LINES_AT_A_TIME = 1000


def score_memory(setting: Setting) -> Iterator[Row]:
    """Peak resident memory of scoring a gigabyte that is piped in, with a model so small that it takes minutes."""
    size = QUICK_MEGABYTES if setting.quick else MEGABYTES
    sample, model = setting.folder / "begin.txt", setting.folder / "tiny.safetensors"
    sample.write_text(setting.text.read_text("utf-8")[:TRAINED_CHARS], "utf-8")
    run_process([rnngen(), "train", str(sample), "--level", "word", "--steps", "2",
                 "--hidden-size", "4", "--vocab-size", "64", "--force", "-q", "--output", str(model)])  # fmt: skip
    seconds, megabytes = _score(model, sample, size)
    what = f"peak memory of `rnngen score`, a tiny model of words, on {size} MB piped in"
    yield Row("memory-score", what, "MB", megabytes, target=MOST_MEGABYTES, details={"seconds": seconds})


def _score(model: Path, sample: Path, megabytes: int) -> tuple[float, float]:
    """Seconds and peak megabytes."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [rnngen(), "score", "-q", "--model", str(model), "-"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment(1),
    )  # fmt: skip
    assert process.stdin is not None
    with process.stdin:
        for block in text_blocks(sample.read_text("utf-8").split(), megabytes):
            process.stdin.write(block)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise BenchError(f"rnngen score ended with {process.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024
    return time.perf_counter() - start, usage.ru_maxrss * unit / 1e6


def text_blocks(words: list[str], megabytes: int) -> Iterator[bytes]:
    """Lines of words that the model knows, with ever new ones among them; of about this size together."""
    known = " ".join(words[:WORDS_BETWEEN])
    number = n_bytes = 0
    while n_bytes < megabytes * 1e6:
        lines = []
        for _ in range(LINES_AT_A_TIME):
            lines.append(" ".join(f"{known} new{number + place}" for place in range(NEW_WORDS_A_LINE)))
            number += NEW_WORDS_A_LINE
        block = ("\n".join(lines) + "\n").encode()
        yield block
        n_bytes += len(block)
