"""What all items share: the text, how long to measure, a folder for files, a checkpoint."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench.make_checkpoint import NGRAM_ORDER
from bench.timing import run_process
from rnngen.cores import available_cores

TINY_SHAKESPEARE = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"


@dataclass(frozen=True)
class Setting:
    """One run of the benchmark.

    Attributes:
        text: an absolute path, UTF-8.
        folder: for what the items write; gone at the end.
        quick: few and short rounds, one thread for the references: to see that everything runs.
        seeds: runs of the quality item.
        pairs: a folder of texts with two columns; None without one.
    """

    text: Path
    folder: Path
    quick: bool = False
    seeds: int = 1
    pairs: Path | None = None

    def rounds(self, number: int) -> int:
        """How many rounds are measured, where `number` would be right."""
        return 1 if self.quick else number

    @property
    def seconds(self) -> float:
        """Of a round of what can be repeated as often as one likes."""
        return 0.02 if self.quick else 0.4

    @property
    def threads(self) -> list[int]:
        """The numbers of threads that a reference is tried with."""
        return [1] if self.quick else sorted({1, available_cores()})

    @property
    def is_tiny_shakespeare(self) -> bool:
        """Whether losses can be held against those that others have published."""
        return hashlib.sha256(self.text.read_bytes()).hexdigest() == TINY_SHAKESPEARE

    @cached_property
    def checkpoint(self) -> Path:
        """A GRU of 512 over the text's characters, with random weights: for times, as good as a trained one."""
        return self._make_checkpoint(0)

    @cached_property
    def counted_checkpoint(self) -> Path:
        """The same with the n-grams of the text."""
        return self._make_checkpoint(NGRAM_ORDER)

    def _make_checkpoint(self, ngram_order: int) -> Path:
        path = self.folder / f"gru512-{ngram_order}.safetensors"
        run_process([sys.executable, "-m", "bench.make_checkpoint", str(self.text), str(path), str(ngram_order)])
        return path


def rnngen() -> str:
    """The command, as it was installed beside this Python."""
    return str(Path(sys.executable).parent / "rnngen")
