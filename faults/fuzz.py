"""Untrusted files: thousands of damaged ones, each read by a child process that may crash.

A damaged file must either load, and then be used, or end in the right error with one line. Everything else is a loss:
a traceback, a crash, more than a GiB of memory, more than a few seconds. The number in a loss makes its file again:
`python -m faults.fuzz_child TARGET FOLDER SEED NUMBER NUMBER+1`.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from faults import fuzz_seeds
from faults.outcome import Outcome

SECONDS_A_FILE = 5.0
_SECONDS_TO_START = 60.0


def checkpoints(scale: float, seed: int) -> Outcome:
    """Damaged checkpoints of all levels and cells."""
    return fuzz("checkpoint-fuzz", "read_checkpoint", fuzz_seeds.write_checkpoints, _number(20_000, scale), seed)


def tokenizer_files(scale: float, seed: int) -> Outcome:
    """Damaged tokenizer files of all levels."""
    return fuzz("tokenizer-fuzz", "read_tokenizer_file", fuzz_seeds.write_tokenizers, _number(10_000, scale), seed)


def nbest_lists(scale: float, seed: int) -> Outcome:
    """Damaged lines of n-best lists, of all forms."""
    return fuzz("nbest-fuzz", "read_nbest_list", fuzz_seeds.write_nbest_lists, _number(20_000, scale), seed)


def arpa_files(scale: float, seed: int) -> Outcome:
    """Damaged ARPA files; they are read by KenLM, in C++. Without the module `kenlm` all are refused."""
    return fuzz("arpa-fuzz", "read_arpa", fuzz_seeds.write_arpa, _number(5_000, scale), seed)


def resume_files(scale: float, seed: int) -> Outcome:
    """Damaged resume files of runs that differ; a run that goes on from one makes a step."""
    from faults import fuzz_resume  # torch is only imported here

    target = "faults.fuzz_resume:read_resume_file"
    return fuzz("resume-fuzz", target, fuzz_resume.write_resume_files, _number(3_000, scale), seed)


def fuzz(
    kind: str,
    target: str,
    write_seeds: Callable[[Path], list[Path]],
    n_files: int,
    seed: int,
    seconds_a_file: float = SECONDS_A_FILE,
    endings: Counter[str] | None = None,
) -> Outcome:
    """Let children read `n_files` damaged files; after a death the next child goes on with the next file.

    Args:
        target: a function of `fuzz_targets`, or `module:function`; `fuzz_targets` says of which form.
        write_seeds: writes the good files, named `seed...`, into a folder.
        endings: counts how the files ended.
    """
    outcome = Outcome(kind)
    target = target if ":" in target else f"faults.fuzz_targets:{target}"
    with tempfile.TemporaryDirectory() as folder:
        write_seeds(Path(folder))
        while outcome.tried < n_files:
            first = outcome.tried
            with _Child(target, folder, seed, first, n_files) as child:
                if child.answer(_SECONDS_TO_START) != "ready":
                    raise RuntimeError(f"{target} cannot read the good files: {child.ending()}")
                for number in range(first, n_files):
                    answer = child.answer(seconds_a_file)
                    outcome.tried += 1
                    ending = answer.removeprefix(f"{number} ") if answer else child.ending()
                    if endings is not None:
                        endings[ending if ending in ("loaded", "refused") else "lost"] += 1
                    if ending not in ("loaded", "refused"):
                        outcome.lost.append(f"{target} {seed} {number}: {ending}")
                    if not answer:
                        break
    return outcome


def _number(count: int, scale: float) -> int:
    return max(1, round(count * scale))


class _Child:
    """A process that answers in lines."""

    def __init__(self, target: str, folder: str, seed: int, first: int, last: int) -> None:
        command = [sys.executable, "-m", "faults.fuzz_child", target, folder, str(seed), str(first), str(last)]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=environment, cwd=Path(__file__).parents[1],
        )  # fmt: skip
        self._answers: queue.Queue[str] = queue.Queue()
        self._late = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()

    def answer(self, seconds: float) -> str:
        """The next line; none when the process has ended, or took longer."""
        try:
            return self._answers.get(timeout=seconds)
        except queue.Empty:
            self._late = True
            return ""

    def ending(self) -> str:
        """Why there is no answer."""
        return "it takes too long" if self._late else f"the process died with status {self._process.wait()}"

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line.rstrip("\n"))
        self._answers.put("")
