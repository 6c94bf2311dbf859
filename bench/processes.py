"""Items of whole processes that do little: the time that they need to start."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from bench.rows import Row
from bench.setting import Setting, rnngen
from bench.timing import alternate, best, medians, run_process


def help_text(setting: Setting) -> Iterator[Row]:
    """`rnngen --help` beside the import of what its command line is made with."""
    commands = {"ours": [rnngen(), "--help"], "typer": [sys.executable, "-c", "import typer"]}
    contenders = {name: partial(_seconds, command) for name, command in commands.items()}
    times = _measure(contenders, 21, setting)
    yield Row("help", "`rnngen --help`, by `import typer`", "s", times["ours"], times["typer"], 2, details=times)


def sample_start(setting: Setting) -> Iterator[Row]:
    """A short sample beside the import of torch."""
    sample = [rnngen(), "sample", "--model", str(setting.checkpoint), "--length", "200", "--seed", "1"]
    contenders = {"ours": partial(_seconds, sample)}
    for threads in setting.threads:
        contenders[f"torch/{threads}"] = partial(_seconds, [sys.executable, "-c", "import torch"], threads)
    times = _measure(contenders, 7, setting)
    what = "`rnngen sample --length 200`, GRU 512, by `import torch`"
    yield Row("sample-start", what, "s", times["ours"], best(times, "torch"), 0.25, details=times)


def _measure(contenders: Mapping[str, Callable[[], float]], rounds: int, setting: Setting) -> dict[str, float]:
    if not setting.quick:
        alternate(contenders, 1)  # the first of each fills the system's cache of files
    return medians(alternate(contenders, setting.rounds(rounds)))


def _seconds(command: list[str], threads: int | None = None) -> float:
    return run_process(command, threads).seconds
