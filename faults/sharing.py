"""Several processes on one file: two runs on one name, many on one cache, and a cache that others have damaged."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from faults.outcome import Outcome
from faults.processes import (
    MODEL,
    RUNS,
    Place,
    Trial,
    campaign,
    end_of,
    expect,
    expect_end,
    expect_refusal,
    expect_same,
    reference,
    some,
    wait_for,
    whole,
)
from faults.signals import expect_resumable

STEPS = ("--steps", "20")


def two_runs(scale: float, seed: int) -> Outcome:
    """A second run on a name is refused with the number of the first, but not after a killed run."""
    return campaign("two-runs", some(_TWO_RUNS, scale), seed)


def shared_cache(scale: float, seed: int) -> Outcome:
    """Pairs of runs that start together with the same new cache, and a process that clears it meanwhile."""
    pairs: list[Trial] = [(f"two {name} runs with one cache", _Pair(name)) for name in RUNS]
    return campaign("shared-cache", some(pairs, scale), seed)


def damaged_cache(scale: float, seed: int) -> Outcome:
    """What the cache holds is no longer what was written."""
    return campaign("damaged-cache", some([(what, _Damage(what)) for what in _DAMAGES], scale), seed)


@contextlib.contextmanager
def _a_long_run(place: Place) -> Iterator[int]:
    """A run that is training; its number. It must end as asked when the block is left."""
    with place.started(*place.train("--time", "10m", "-q")) as process:
        expect(wait_for(process, place.resume.exists), "the first run does not start")
        yield process.pid
        expect(process.poll() is None, "the first run has ended because of the second")
        process.send_signal(signal.SIGTERM)
        expect_end(end_of(process), 128 + signal.SIGTERM)
    expect_resumable(place)


def _second(*arguments: str) -> Trial:
    def attempt(place: Place, random: Random) -> None:
        with _a_long_run(place) as pid:
            given = arguments or place.train(*STEPS, "--force", "-q")
            expect_refusal(place.run(*given), f"process {pid}")

    return " ".join(arguments[:2] or ("train", "--force")) + " beside a run of the same name", attempt


def _after_a_killed_one(place: Place, random: Random) -> None:
    with place.started(*place.train("--time", "10m", "-q")) as process:
        wait_for(process, place.resume.exists)
    expect(place.lock.exists(), "a killed run leaves no lock, so nothing is tried here")
    place.lock.write_text("1\n", "utf-8")  # a process that runs, and is not of rnngen
    expect_end(place.run(*place.train(*STEPS, "--force", "-q")), 0)
    whole(place.model)
    expect(not place.lock.exists(), "the lock of the killed run is still there")


_TWO_RUNS: list[Trial] = [
    _second(),
    ("a run after one that was killed", _after_a_killed_one),
    _second("train", "--resume", f"./{MODEL}", "-q"),
]


class _Pair:
    """Two runs at once, and one that clears their cache again and again."""

    def __init__(self, name: str) -> None:
        self._options = (*STEPS, *RUNS[name])

    def __call__(self, place: Place, random: Random) -> None:
        expected = reference(*self._options)
        arguments = place.train(*self._options, "-q")
        with place.started(*arguments) as one, place.started(*arguments, "-o", "./other.safetensors") as two:
            while one.poll() is None or two.poll() is None:
                expect_end(place.run("tokenize", "--clear-cache", "-q"), 0)
                time.sleep(random.uniform(0, 0.2))
            expect_end(end_of(one), 0)
            expect_end(end_of(two), 0)
        expect_same(place.model, expected)
        expect_same(place.folder / "other.safetensors", expected)


def _flip(path: Path, random: Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(random.choice((1, 1, 5))):
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    path.write_bytes(content)


def _truncate(path: Path, random: Random) -> None:
    os.truncate(path, random.randrange(path.stat().st_size))


def _swap(path: Path, random: Random) -> None:
    """Whole, but another one's."""
    others = [other for other in path.parent.iterdir() if other != path]
    shutil.copyfile(random.choice(others), path)


def _link(path: Path, random: Random) -> None:
    """A link to a file that the run must not touch."""
    target = path.parent / "elsewhere"
    target.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(target)


def _folder(path: Path, random: Random) -> None:
    path.unlink()
    path.symlink_to(path.parent)


_DAMAGES = {
    "bits are flipped": _flip,
    "cut short": _truncate,
    "the entry of another text": _swap,
    "bits are flipped again": _flip,
    "a link": _link,
    "a link to a folder": _folder,
}


class _Damage:
    """All entries are damaged between two runs; the second notices, and writes them anew."""

    def __init__(self, what: str) -> None:
        self._damage = _DAMAGES[what]

    def __call__(self, place: Place, random: Random) -> None:
        options = (*STEPS, *RUNS[random.choice(list(RUNS))])
        expected = reference(*options)
        expect_end(place.run(*place.train(*options, "-q", "-o", "./first.safetensors")), 0)
        entries = {path: path.read_bytes() for path in place.cache.rglob("*") if path.is_file()}
        expect(len(entries) > 1, f"there is no cache to damage: {list(place.cache.rglob('*'))}")
        for path in entries:
            self._damage(path, random)
        expect_end(place.run(*place.train(*options, "-q")), 0)
        expect_same(place.model, expected)
        for path, content in entries.items():
            found = path.read_bytes()
            expect(not path.is_symlink() and found == content, f"{path.name} was not written anew")
