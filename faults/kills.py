"""SIGKILL at any moment, many times: files stay whole, and the end is that of an undisturbed run."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

from faults.outcome import Outcome
from faults.processes import (
    AT_A_TIME,
    LOG,
    RUNS,
    LostError,
    Place,
    end_of,
    expect,
    expect_end,
    expect_same,
    stamp,
    wait_for,
    whole,
)
from rnngen.checkpoint import Checkpoint
from rnngen.errors import CheckpointError
from rnngen.printable import plural

KIND = "SIGKILL"
N_KILLS = 200
STEPS = "300"
SAVE_EVERY = (0.02, 0.2)  # seconds; with the first a good part of the time goes into saving
_MOST_WORKERS = 8  # who kill, one after the other, the runs of a kind

_TEMPORARY = re.compile(r"\..*\.tmp")


@dataclass(frozen=True)
class Undisturbed:
    """The undisturbed run.

    Attributes:
        log: event, step and losses of each line.
        starting, training: seconds until its first resume file, and from there to its end.
    """

    model: Checkpoint
    log: list[tuple[Any, ...]]
    starting: float
    training: float


def sigkill(scale: float, seed: int) -> Outcome:
    """Kill runs at random moments of their whole life, imports included, and let them go on each time."""
    outcome = Outcome(KIND)
    n_kills = max(1, round(N_KILLS * scale))
    n_workers = min(_MOST_WORKERS, -(-n_kills // 5))
    shares = [n_kills // n_workers + (worker < n_kills % n_workers) for worker in range(n_workers)]
    names = [list(RUNS)[worker % len(RUNS)] for worker in range(n_workers)]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        undisturbed = dict(zip(names, pool.map(_let_run, dict.fromkeys(names)), strict=False))
        arguments = [
            (name, undisturbed[name], share, Random(f"{seed} {worker}"))
            for worker, (name, share) in enumerate(zip(names, shares, strict=True))
        ]
        for made, lost in pool.map(lambda given: _kill_often(*given), arguments):
            outcome.tried += made
            outcome.lost += lost
    return outcome


def _options(name: str) -> tuple[str, ...]:
    return ("--steps", STEPS, "--log", f"./{LOG}", "-q", *RUNS[name])


@contextlib.contextmanager
def _a_place() -> Iterator[Place]:
    with tempfile.TemporaryDirectory() as folder:
        yield Place(Path(folder))


def _let_run(name: str) -> Undisturbed:
    with _a_place() as place:
        started = time.monotonic()
        with place.started(*place.train(*_options(name), "--save-every", str(SAVE_EVERY[-1]))) as process:
            wait_for(process, place.resume.exists)
            starting = time.monotonic() - started
            expect_end(end_of(process), 0)
        training = time.monotonic() - started - starting
        return Undisturbed(whole(place.model), _losses(place.log), starting, training)


def _kill_often(name: str, undisturbed: Undisturbed, n_kills: int, random: Random) -> tuple[int, list[str]]:
    """So many kills, in as many runs as it takes; how many there were, and what was lost."""
    made, lost = 0, []
    while made < n_kills:
        chain = Chain(name, undisturbed, random)
        try:
            with _a_place() as chain.place:
                chain.go(n_kills - made)
        except LostError as loss:
            lost.append(f"{name}, after {plural(chain.n_kills, 'kill')}: {loss}")
            if not chain.n_kills:
                return n_kills, lost  # it does not even start
        made += chain.n_kills
    return made, lost


class Chain:
    """One run from its start to its end, however often it is killed."""

    place: Place

    def __init__(self, name: str, undisturbed: Undisturbed, random: Random) -> None:
        self._name, self._undisturbed, self._random = name, undisturbed, random
        self._left: set[str] = set()  # temporary files of the process that was killed
        self.n_kills = 0

    def go(self, most_kills: int) -> None:
        """Kill it so often at most, then let it end. Raises LostError."""
        while not self._has_ended():
            with self.place.started(*self._next()) as process:
                if self.n_kills < most_kills and self._kill(process):
                    self.n_kills += 1
                    self.look()
                else:
                    expect_end(end_of(process), 0)
                    expect(self._has_ended(), "it ended well, and left a resume file or no model")
        expect_same(self.place.model, self._undisturbed.model)
        expect(_losses(self.place.log) == self._undisturbed.log, "the log differs from that of the run not stopped")

    def _has_ended(self) -> bool:
        return self.place.model.exists() and not self.place.resume.exists()

    def _next(self) -> tuple[str | Path, ...]:
        every = ("--save-every", str(self._random.choice(SAVE_EVERY)))
        if self.place.resume.exists():
            return ("train", "--resume", f"./{self.place.model.name}", "--log", f"./{LOG}", "-q", *every)
        # The log of a run that was killed before its first step may be there.
        return self.place.train(*_options(self._name), *every, "--force")

    def _kill(self, process: subprocess.Popen[bytes]) -> bool:
        """Kill it at some moment; False when it ended before."""
        random, undisturbed = self._random, self._undisturbed
        before = stamp(self.place.log)
        if random.random() < 0.4:
            waited, seconds = True, random.uniform(0, 1.2 * undisturbed.starting)
        else:
            waited = wait_for(process, lambda: stamp(self.place.log) not in (None, before) or self._has_ended())
            seconds = random.choice((random.uniform(0, 3 * SAVE_EVERY[-1]), random.uniform(0, undisturbed.training)))
        if not waited:
            return False
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        if process.poll() is None and random.random() < 0.3:
            _catch_writing(self.place.folder, process)
        if process.poll() is not None:
            return False
        if stamp(self.place.log) not in (None, before):
            still = self._left & set(_temporary(self.place.folder))
            expect(not still, f"files of a killed run are left after the next has begun: {sorted(still)}")
        process.kill()
        return process.wait() == -9

    def look(self) -> None:
        """What a killed run has left is whole, and tells of all but the last moment. Raises LostError."""
        place = self.place
        self._left = set(_temporary(place.folder))
        for path in place.folder.glob("[!.]*"):
            known = path in (place.text, place.model, place.log, place.resume, place.cache)
            expect(known, f"an unexpected file: {path.name}")
        if place.model.exists():
            model = whole(place.model)
            ended = model.training["stopped_by"] is not None
            expect(place.resume.exists() or ended, "there is a model of an unfinished run, and no resume file")
        if place.resume.exists():
            self._look_at_resume()

    def _look_at_resume(self) -> None:
        from rnngen.runs import resume_file  # torch is only imported here

        try:
            state = resume_file.load(self.place.resume).state
        except CheckpointError as error:
            raise LostError(str(error)) from None
        lost = lost_seconds(state.number("seconds"), [line["seconds"] for line in _lines(self.place.log)
                                                        if line["event"] != "start"])  # fmt: skip
        expect(lost <= SAVE_EVERY[-1], f"{lost:.2f} s of work are lost, and it saves every {SAVE_EVERY[-1]} s")


def lost_seconds(saved: float, log: list[float]) -> float:
    """How much work is lost, besides what a run was just doing.

    Args:
        saved: seconds of the run, in its resume file.
        log: those of the lines of its log.
    """
    at = [saved, *(second for second in log if second > saved)]
    # It may be late by the writing of the last file, and by a step or a validation.
    longest = sorted(later - earlier for earlier, later in pairwise(at))[-2:]
    return at[-1] - at[0] - sum(longest)


def _catch_writing(folder: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait, for a moment, until a file is being written."""
    end = time.monotonic() + 2 * SAVE_EVERY[-1]
    while process.poll() is None and time.monotonic() < end and not _temporary(folder):
        time.sleep(0.0002)


def _temporary(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if _TEMPORARY.fullmatch(path.name)]


def _lines(log: Path) -> list[dict[str, Any]]:
    """The lines of a log; the last may be torn, where a process was killed."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for line in log.read_text("utf-8").splitlines(keepends=True):
            if line.endswith("\n"):
                found.append(json.loads(line))
    return found


def _losses(log: Path) -> list[tuple[Any, ...]]:
    """What of a log does not depend on time."""
    wanted = (
        "event",
        "step",
        "n_tokens",
        "learning_rate",
        *(f"{known}{part}_loss_nats" for known in ("", "known_") for part in ("train", "valid")),
    )
    return [tuple(line.get(name) for name in wanted) for line in _lines(log)]
