"""Ctrl-C, a terminal that is closed, a machine that shuts down: the right exit code, and nothing is lost."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

from faults.outcome import Outcome
from faults.processes import (
    LONGEST_SECONDS,
    RUNS,
    Ended,
    LostError,
    Place,
    Trial,
    campaign,
    end_of,
    expect,
    expect_end,
    expect_no_crash,
    expect_same,
    reference,
    some,
    stamp,
    wait_for,
    whole,
)
from rnngen.checkpoint import Checkpoint
from rnngen.errors import CheckpointError

STEPS = ("--steps", "300")
N_STOPS = 20
# Becomes the process of a terminal, as that of a shell's is.
_ON_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


def signals(scale: float, seed: int) -> Outcome:
    """SIGINT, SIGTERM, SIGHUP while it trains."""
    return campaign("signals", some(_SIGNALS, scale), seed)


def many_stops(scale: float, seed: int) -> Outcome:
    """A run that is stopped and resumed twenty times."""
    n_stops = max(2, round(N_STOPS * min(scale, 1.0)))

    def stop_often(place: Place, random: Random) -> None:
        _stop_often(place, random, n_stops)

    return campaign("many-stops", some([("a run stopped often", stop_often)], scale), seed)


def terminal_closed(scale: float, seed: int) -> Outcome:
    """The window of the terminal is closed while the display is on."""
    return campaign("terminal-closed", some(_TERMINALS, scale), seed)


def _of_a_kind(random: Random) -> tuple[str, ...]:
    return (*STEPS, *RUNS[random.choice(list(RUNS))])


def expect_resumable(place: Place) -> None:
    """The resume file is whole, and the checkpoint if there is one. Raises LostError."""
    from rnngen.runs import resume_file  # torch is only imported here

    try:
        resume_file.load(place.resume)
    except CheckpointError as error:
        raise LostError(str(error)) from None
    if place.model.exists():
        whole(place.model)
    expect(not place.lock.exists(), "the lock is still there")


def expect_same_end(place: Place, expected: Checkpoint) -> None:
    """Resumed, the run ends as the one that was not stopped. Raises LostError."""
    expect_end(place.run("train", "--resume", f"./{place.model.name}", "-q"), 0)
    expect_same(place.model, expected)
    expect(not place.resume.exists(), "the run has ended, and its resume file is still there")


def train_and_signal(place: Place, random: Random, options: tuple[str, ...], *numbers: int, before: str = "") -> Ended:
    """Send signals to a run, some time after its first step."""
    with place.started(*place.train("-q", *options), before=before) as process:
        began = wait_for(process, place.resume.exists)
        expect(began, f"it ended before it began: {process.poll()}")
        time.sleep(random.uniform(0, 0.2))
        for number in numbers:
            process.send_signal(number)
            time.sleep(random.uniform(0, 0.05))
        return end_of(process)


def _stopped_by(number: int, times: int = 1) -> Trial:
    def attempt(place: Place, random: Random) -> None:
        options = _of_a_kind(random)
        expected = reference(*options)
        ended = train_and_signal(place, random, options, *[number] * times)
        expect_end(ended, 128 + number)
        expect(len(ended.err.splitlines()) <= 1, f"more than a line: {ended.err[-300:]!r}")
        expect_resumable(place)
        expect_same_end(place, expected)

    return f"{signal.Signals(number).name}{', a second after it' * (times > 1)}", attempt


def _ignored(place: Place, random: Random) -> None:
    options = _of_a_kind(random)
    expected = reference(*options)
    expect_end(train_and_signal(place, random, options, signal.SIGHUP, before="trap '' HUP"), 0)
    expect_same(place.model, expected)


def _before_the_first_step(place: Place, random: Random) -> None:
    with place.started(*place.train("-q", *STEPS)) as process:
        wait_for(process, place.lock.exists)
        time.sleep(random.uniform(0, 0.5))
        process.send_signal(signal.SIGINT)
        ended = end_of(process)
    expect_end(ended, 130)
    expect(not place.lock.exists(), "the lock is still there")
    if place.resume.exists():
        expect_resumable(place)


_SIGNALS: list[Trial] = [
    _stopped_by(signal.SIGINT),
    _stopped_by(signal.SIGTERM),
    _stopped_by(signal.SIGHUP),
    _stopped_by(signal.SIGINT, 2),
    ("SIGHUP under nohup", _ignored),
    ("Ctrl-C before the first step", _before_the_first_step),
    _stopped_by(signal.SIGTERM),
    ("Ctrl-C before the first step", _before_the_first_step),
]


def _stop_often(place: Place, random: Random, n_stops: int) -> None:
    options = _of_a_kind(random)
    expected = reference(*options)
    arguments = place.train("-q", *options)
    for stop in range(n_stops):
        before = stamp(place.resume)
        with place.started(*arguments, "--save-every", "0.05") as process:
            wait_for(process, lambda before=before: stamp(place.resume) not in (before, None))  # type: ignore[misc]
            process.send_signal(random.choice((signal.SIGINT, signal.SIGTERM, signal.SIGHUP)))
            ended = end_of(process)
        if ended.code == 0 and not place.resume.exists():
            break  # it was at its end
        expect_end(ended, 130, 143, 129)
        try:
            expect_resumable(place)
        except LostError as lost:
            raise LostError(f"after {stop + 1} stops {lost}") from None
        arguments = ("train", "--resume", f"./{place.model.name}", "-q")
    if place.resume.exists():
        expect_same_end(place, expected)
    expect_same(place.model, expected)


def _close_terminal(place: Place, random: Random, *, controlling: bool, before: str = "") -> Ended:
    """A run with its display on a terminal that goes away."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "rnngen", *map(str, place.train(*STEPS, *RUNS["characters"]))]
    if before:
        command = ["/bin/sh", "-c", f'{before}; exec "$@"', "sh", *command]
    if controlling:
        command = [sys.executable, "-c", _ON_TERMINAL, *command]
    environment = place.environment() | {"TERM": "xterm-256color"}
    with subprocess.Popen(
        command, cwd=place.folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True,
    ) as process:  # fmt: skip
        os.close(theirs)
        try:
            _read_until(ours, place.resume, process)
        finally:
            os.close(ours)
        try:
            code = process.wait(LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            raise LostError("it still runs") from None
        finally:
            process.kill()
    return Ended(code, "", "")


def _read_until(terminal: int, path: Path, process: subprocess.Popen[bytes]) -> None:
    """Read the display until a file exists. A terminal that is not read would block the process."""
    os.set_blocking(terminal, False)

    def there() -> bool:
        with contextlib.suppress(OSError):
            os.read(terminal, 1 << 16)
        return path.exists()

    wait_for(process, there)
    time.sleep(0.2)


def _closed(before: str = "", *, controlling: bool, code: int) -> Trial:
    def attempt(place: Place, random: Random) -> None:
        expected = reference(*STEPS, *RUNS["characters"])
        ended = _close_terminal(place, random, controlling=controlling, before=before)
        expect_no_crash(ended)
        expect(ended.code == code, f"it ended with {ended.code} and not {code}")
        if code:
            expect_resumable(place)
            expect_same_end(place, expected)
        expect_same(place.model, expected)

    what = "that it belongs to" if controlling else "that it only writes to"
    return f"a terminal {what} is closed{', under nohup' * bool(before)}", attempt


_TERMINALS: list[Trial] = [
    _closed(controlling=True, code=129),
    _closed(controlling=False, code=0),
    _closed("trap '' HUP", controlling=True, code=0),
]
