"""The text of a run, or the clock, changes while it runs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from random import Random

from faults.outcome import Outcome
from faults.processes import (
    LONGEST_SECONDS,
    MODEL,
    RUNS,
    SMALL,
    Place,
    Trial,
    a_text,
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
from faults.signals import expect_same_end, train_and_signal
from rnngen.text.corpus import FileText, survey

STEPS = ("--steps", "300")
_SECONDS = 3.0  # of the budget of the runs whose clock jumps
_JUMP = 3600  # seconds


def text_changed(scale: float, seed: int) -> Outcome:
    """The text is changed or removed while it is read, while it is trained on, and before `--resume`."""
    return campaign("text-changed", some(_TEXTS, scale), seed)


def clock_set_back(scale: float, seed: int) -> Outcome:
    """The time of day jumps while `--time` counts."""
    trials = [_jump("back", -_JUMP, _by_python), _jump("on", _JUMP, _by_python)]
    if shutil.which("cc"):
        trials.insert(1, _jump("back, under the interpreter too", -_JUMP, _by_library))
    return campaign("clock-set-back", some(trials, scale), seed)


def _remove(place: Place) -> None:
    place.text.unlink()


def _change_in_place(place: Place) -> None:
    with place.text.open("r+b") as file:
        file.seek(100)
        file.write(b"Quite another text.\n" * 20)


def _cut(place: Place) -> None:
    os.truncate(place.text, place.text.stat().st_size // 3)


def _lengthen(place: Place) -> None:
    with place.text.open("ab") as file:
        file.write(b"And a line more.\n" * 50)


def _replace(place: Place) -> None:
    other = place.folder / "other"
    other.write_text(a_text(2500), "utf-8")
    os.replace(other, place.text)


_Change = Callable[[Place], None]


def _while_read(what: str, change: _Change) -> Trial:
    def attempt(place: Place, random: Random) -> None:
        place.text.write_text(a_text(3000) * 800, "utf-8")  # 13 MB: reading them takes a second
        known = {survey(FileText([str(place.text)])).sha256}
        with place.started(*place.train("--steps", "3", "--valid-fraction", "0.001", "-q")) as process:
            wait_for(process, place.lock.exists)  # it starts to read
            time.sleep(random.uniform(0, 1.0))
            change(place)
            ended = end_of(process)
        if ended.code:
            expect_refusal(ended)
            expect(not place.model.exists(), "there is an error and a model")
            return
        if place.text.exists():
            known.add(survey(FileText([str(place.text)])).sha256)
        expect_end(ended, 0)
        expect(whole(place.model).training["text_sha256"] in known, "it was trained on a mixture of the two texts")

    return f"the text is {what} while it is read", attempt


def _while_training(what: str, change: _Change) -> Trial:
    def attempt(place: Place, random: Random) -> None:
        options = (*STEPS, *RUNS[random.choice(list(RUNS))])
        expected = reference(*options)
        with place.started(*place.train("-q", *options)) as process:
            wait_for(process, place.resume.exists)
            time.sleep(random.uniform(0, 0.3))
            change(place)
            expect_end(end_of(process), 0)
        expect_same(place.model, expected)

    return f"the text is {what} while it is trained on", attempt


def _before_resume(what: str, change: _Change, said: str) -> Trial:
    def attempt(place: Place, random: Random) -> None:
        content = place.text.read_bytes()
        options = (*STEPS, *RUNS[random.choice(list(RUNS))])
        expected = reference(*options)
        expect_end(train_and_signal(place, random, options, signal.SIGTERM), 128 + signal.SIGTERM)
        change(place)
        before = place.resume.read_bytes()
        expect_refusal(place.run("train", "--resume", f"./{MODEL}", "-q"), said)
        expect(place.resume.read_bytes() == before, "the refused run has changed the resume file")
        place.text.write_bytes(content)
        expect_same_end(place, expected)

    return f"the text is {what} before --resume", attempt


_TEXTS: list[Trial] = [
    _while_read("changed", _change_in_place),
    _before_resume("changed", _change_in_place, "is not the one that the run started with"),
    _while_training("removed", _remove),
    _while_read("removed", _remove),
    _before_resume("removed", _remove, "is not there"),
    _while_read("cut", _cut),
    _while_training("changed", _change_in_place),
    _while_read("made longer", _lengthen),
    _while_read("replaced", _replace),
]

_SITECUSTOMIZE = """
import datetime, sys, time
true_time, start = time.time, time.monotonic()
def now():
    return true_time() + ({jump} if time.monotonic() - start > 2 else 0)
def now_ns():
    return int(now() * 1e9)
class Jumping(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(now(), tz)
time.time, time.time_ns, datetime.datetime = now, now_ns, Jumping
"""

_LIBRARY = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/time.h>
#include <time.h>
static int (*true_gettime)(clockid_t, struct timespec *);
static long start;
static long jump(void) {
    struct timespec now;
    true_gettime(CLOCK_MONOTONIC, &now);
    if (!start) start = now.tv_sec;
    return now.tv_sec - start > 2 ? JUMP : 0;
}
int clock_gettime(clockid_t clock, struct timespec *found) {
    if (!true_gettime) true_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int code = true_gettime(clock, found);
    if (clock == CLOCK_REALTIME && !code) found->tv_sec += jump();
    return code;
}
int gettimeofday(struct timeval *found, void *zone) {
    struct timespec now;
    int code = clock_gettime(CLOCK_REALTIME, &now);
    found->tv_sec = now.tv_sec;
    found->tv_usec = now.tv_nsec / 1000;
    return code;
}
time_t time(time_t *found) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (found) *found = now.tv_sec;
    return now.tv_sec;
}
"""


def _by_python(place: Place, jump: int) -> dict[str, str]:
    """The environment of a process whose Python sees another time after two seconds."""
    (place.folder / "sitecustomize.py").write_text(_SITECUSTOMIZE.format(jump=jump), "utf-8")
    return {"PYTHONPATH": f"{place.folder}{os.pathsep}{place.environment()['PYTHONPATH']}"}


def _by_library(place: Place, jump: int) -> dict[str, str]:
    """The same for all libraries of the process."""
    source, library = place.folder / "clock.c", place.folder / "clock.so"
    source.write_text(_LIBRARY, "utf-8")
    command = ["cc", "-shared", "-fPIC", f"-DJUMP={jump}", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    return {"LD_PRELOAD": str(library)}


def _jump(what: str, jump: int, how: Callable[[Place, int], dict[str, str]]) -> Trial:
    def attempt(place: Place, random: Random) -> None:
        environment = how(place, jump)
        started = time.monotonic()
        arguments = ("train", place.text, *SMALL, "-o", f"./{MODEL}", "--time", f"{_SECONDS}s", "-q")
        ended = place.run(*arguments, environment=environment)
        expect_end(ended, 0)
        seconds = time.monotonic() - started
        expect(seconds < LONGEST_SECONDS / 2, f"a run of {_SECONDS} s takes {seconds:.0f} s")
        training = whole(place.model).training
        expect(0.5 * _SECONDS < training["seconds"] < 5 * _SECONDS, f"it says that it took {training['seconds']} s")

    return f"the clock is set {what}", attempt
