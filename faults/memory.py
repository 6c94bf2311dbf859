"""Less memory than a command needs, from almost none up: a result or one line, never a crash."""

from __future__ import annotations

from random import Random

from faults.outcome import Outcome
from faults.processes import MODEL, TEXT, Ended, Place, campaign, expect, expect_end, expect_refusal, some, write_model

_COMMANDS: dict[str, tuple[str, ...]] = {
    "sample": ("sample", "--length", "100", "-m", f"./{MODEL}", "-q"),
    "train": ("train", TEXT, "--steps", "3", "--threads", "1", "-q", "--force", "-o", "./other.safetensors"),
    "score": ("score", TEXT, "-m", f"./{MODEL}", "-q"),
    "perplexity": ("perplexity", TEXT, "-m", f"./{MODEL}", "-q"),
    "tokenize": ("tokenize", TEXT, "--level", "word", "-q"),
}
_LIMITS = {"train": (200, 500, 900, 1300, 2000, 4000)}  # MB of address space
_FEWEST, _MOST = 30, 310  # MB, of commands without torch
_STEPS = 8


def memory_limit(scale: float, seed: int) -> Outcome:
    """RLIMIT_AS in steps, for all that works with texts and models."""
    trials = [(f"{name} with little memory", _Steps(name)) for name in _COMMANDS]
    return campaign("memory-limit", some(trials, scale), seed)


class _Steps:
    """A command with more and more memory, until it has what it needs."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, place: Place, random: Random) -> None:
        write_model(place)
        width = (_MOST - _FEWEST) / _STEPS
        limits = [_FEWEST + width * (step + random.random()) for step in range(_STEPS)]
        limits = [limit + random.uniform(-60, 60) for limit in _LIMITS[self._name]] if self._name in _LIMITS else limits
        codes = [self._try(place, int(limit * 1024)) for limit in limits]
        expect(0 in codes, "it has no room with the largest of limits")

    def _try(self, place: Place, kib: int) -> int | None:
        """The code with a limit; None where Python itself has no room."""
        limit = f"ulimit -v {kib}"
        if place.run("--version", before=limit).code:
            return None
        ended = place.run(*_COMMANDS[self._name], before=limit)
        _expect_result_or_line(ended, kib)
        return ended.code


def _expect_result_or_line(ended: Ended, kib: int) -> None:
    expect(ended.code in (0, 1), f"with {kib:,} KiB it ended with {ended.code}: {ended.err[-300:]!r}")
    if ended.code:
        if ended.out:
            expect(len(ended.err.splitlines()) == 1, f"with {kib:,} KiB: {ended.err[-300:]!r}")
        else:
            expect_refusal(ended)
    else:
        expect_end(ended, 0)
