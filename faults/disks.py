"""Folders and disks that cannot be written, or not to the end: old files stay whole, and what can be saved is saved.

A full file system and one that is read-only are mounted in a namespace of the process that meets them; where that is
not allowed, or there are no namespaces, these are skipped.
"""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path
from random import Random

from faults.outcome import Outcome
from faults.processes import (
    LOG,
    MODEL,
    RUNS,
    TEXT,
    Ended,
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
    write_model,
)
from rnngen.checkpoint import Checkpoint

STEPS = ("--steps", "20", *RUNS["characters"])
_BLOCK = 512  # bytes; in these `ulimit -f` of a POSIX shell counts
_OLD = b"what was there before"
_MOUNT = ["unshare", "--user", "--map-root-user", "--mount"]


def disk_full(scale: float, seed: int) -> Outcome:
    """No room for a file, or for a part of it only."""
    mounted = [_small_file_system(size) for size in (0, 16, 40, 64)]
    trials = [*_LIMITS, *(mounted if can_mount() else [])]
    outcome = campaign("disk-full", some(trials, scale), seed)
    if not can_mount():
        outcome.skipped.append(_NO_MOUNTS)
    return outcome


def read_only_folder(scale: float, seed: int) -> Outcome:
    """A folder that cannot be written is known before any work is done."""
    outcome = campaign("read-only-folder", some(_FOLDERS if can_mount() else _FOLDERS[-1:], scale), seed)
    if not can_mount():
        outcome.skipped.append(_NO_MOUNTS)
    return outcome


_NO_MOUNTS = "nothing can be mounted here, not even by unshare --user --mount"


@cache
def can_mount() -> bool:
    """Whether a process can have a file system of its own."""
    if not shutil.which("unshare"):
        return False
    return subprocess.run([*_MOUNT, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode == 0


def run_with_mounts(place: Place, mounts: str, *arguments: str | Path, **environment: str) -> Ended:
    """A command in a namespace where a shell has mounted something; nothing of that is seen outside."""
    # The shell must not become the process: what it mounts is copied when that has ended.
    script = f'{mounts} || exit 99; "$@"; code=$?; [ -d small ] && cp -a small/. after/; exit $code'
    with place.started(*arguments, environment=environment, before=f"set -- {_quoted(script)} sh \"$@\"; "
                       f'set -- {" ".join(_MOUNT)} sh -c "$@"') as process:  # fmt: skip
        ended = end_of(process)
    expect(ended.code != 99, f"mounting failed: {ended.err[-200:]!r}")
    return ended


def _quoted(script: str) -> str:
    return "'" + script.replace("'", "'\\''") + "'"


def _train_with_limit(place: Place, random: Random) -> None:
    """No file may grow beyond some size: the ids of the text, the resume file, the model or the log."""
    expected = reference(*STEPS)
    limit = random.randrange(110_000) // _BLOCK
    if random.random() < 0.7:
        expect_end(place.run(*place.train(*STEPS, "-q", "-o", "./first.safetensors")), 0)  # the ids are there
    place.model.write_bytes(_OLD)
    options = (*STEPS, "-q", "--log", f"./{LOG}", "--save-every", "0.05", "--force")
    ended = place.run(*place.train(*options), before=f"ulimit -f {limit}")
    expect_end(ended, 0, 1)
    if ended.code:
        last = ended.err.splitlines()[-1]
        expect(last.startswith("rnngen: cannot "), f"the last line is no error: {last!r}")
    _expect_old_or(place, expected, is_old=ended.code == 1)


def _expect_old_or(place: Place, expected: Checkpoint, *, is_old: bool) -> None:
    """The model is the old one, if it may be, or the whole new one, and nothing half written lies about."""
    if not (is_old and place.model.read_bytes() == _OLD):
        expect_same(place.model, expected)
    left = [path.name for path in place.folder.iterdir() if path.name.endswith((".tmp", ".lock"))]
    expect(not left, f"left behind: {left}")


def _log_without_room(place: Place, random: Random) -> None:
    """The log alone cannot be written: the run goes on, as the model is worth more."""
    ended = place.run(*place.train(*STEPS, "-q", "--log", "/dev/full"))
    expect_end(ended, 1)
    expect(ended.err.startswith("rnngen: cannot write the log /dev/full"), f"nothing of the log: {ended.err[-300:]!r}")
    expect(ended.out.strip() == MODEL, f"stdout does not name the model: {ended.out!r}")
    expect_same(place.model, reference(*STEPS))


def _resume_with_limit(place: Place, random: Random) -> None:
    """A run that goes on where the resume file can no longer be written, or nothing at all."""
    from faults.signals import expect_resumable, expect_same_end, train_and_signal

    options = ("--steps", "300")
    expected = reference(*options)
    expect_end(train_and_signal(place, random, options, 15), 143)
    resume = ("train", "--resume", f"./{MODEL}", "-q", "--save-every", "0.05")
    ended = place.run(*resume, before=f"ulimit -f {random.choice((0, 20, random.randrange(100)))}")
    expect_end(ended, 0, 1)
    if ended.code:
        expect_resumable(place)
        expect_same_end(place, expected)
    expect_same(place.model, expected)


def _write_with_limit(*arguments: str, saved: str = "", blocks: int = 0) -> Trial:
    """A command whose output, or the file that it saves, has no room."""

    def attempt(place: Place, random: Random) -> None:
        write_model(place)
        if saved:
            (place.folder / saved).write_bytes(_OLD)
        ended = place.run(*arguments, "-q", before=f"ulimit -f {blocks}", after="" if saved else "> out.txt")
        expect_refusal(ended, "cannot write")
        if saved:
            expect((place.folder / saved).read_bytes() == _OLD, f"{saved} is no longer the old one")

    return f"{arguments[0]}{' --save' * bool(saved)} without room", attempt


def _small_file_system(kib: int) -> Trial:
    """The model's folder is a file system of so many KiB besides what is in it already."""

    def attempt(place: Place, random: Random) -> None:
        expected = reference(*STEPS)
        for name in ("small", "after", "temporary"):
            (place.folder / name).mkdir()
        # A page more than nothing: a size of 0 is no limit.
        mounts = f"mount -t tmpfs -o size={kib + 4}k none small && printf old > small/model.safetensors"
        arguments = place.train(*STEPS, "-q", "--force", "--save-every", "0.05", "-o", "small/model.safetensors")
        ended = run_with_mounts(place, mounts, *arguments, TMPDIR=str(place.folder / "temporary"))
        expect_end(ended, 0, 1)
        written = place.folder / "after" / MODEL
        if ended.code == 0:
            expect_same(written, expected)
            return
        expect(written.read_bytes() == b"old", "the old model is no longer whole")
        elsewhere = list((place.folder / "temporary").glob("*.safetensors"))
        last = ended.err.splitlines()[-1]
        if "cannot write small/.model" in last and "lock" in last:
            return  # there was no space to start
        expect(len(elsewhere) == 1, f"the model is not elsewhere: {last!r}")
        expect(str(elsewhere[0]) in last and last.startswith("rnngen: "), f"no message names the model: {last!r}")
        expect_same(elsewhere[0], expected)

    return f"a file system of {kib + 4} KiB", attempt


_LIMITS: list[Trial] = [
    ("a run with a limit of file sizes", _train_with_limit),
    _write_with_limit("score", TEXT, "-m", f"./{MODEL}"),
    _write_with_limit("tokenize", TEXT, "--level", "word", "--save", "tokens.json", "--force", saved="tokens.json"),
    ("a run that is resumed with a limit of file sizes", _resume_with_limit),
    ("a run with a limit of file sizes", _train_with_limit),
    _write_with_limit("sample", "--length", "100000", "-m", f"./{MODEL}", blocks=2),
    ("a run with a limit of file sizes", _train_with_limit),
    _write_with_limit("tokenize", TEXT, blocks=1),
    *([("a run whose log has no room", _log_without_room)] if Path("/dev/full").exists() else []),
    ("a run with a limit of file sizes", _train_with_limit),
    ("a run that is resumed with a limit of file sizes", _resume_with_limit),
]

_READ_ONLY = "mkdir ro && mount --bind ro ro && mount -o remount,bind,ro ro"


def _refused(*arguments: str, **environment: str) -> Trial:
    def attempt(place: Place, random: Random) -> None:
        ended = run_with_mounts(place, _READ_ONLY, *arguments, **environment)
        expect_refusal(ended, "Read-only file system", "ro")
        written = list(place.folder.rglob("*.safetensors"))
        expect(not written, f"it was found out after {written} was written")

    return " ".join(arguments[-2:]), attempt


def _only_read(place: Place, random: Random) -> None:
    """Commands that only read need no folder to write to."""
    write_model(place)
    mounts = f"mkdir ro && cp {MODEL} {TEXT} ro && mount --bind ro ro && mount -o remount,bind,ro ro"
    for name in ("score", "perplexity", "tokenize"):
        model = () if name == "tokenize" else ("-m", f"ro/{MODEL}")
        ended = run_with_mounts(place, mounts, name, f"ro/{TEXT}", *model, "-q")
        expect_end(ended, 0)
        expect(ended.out, f"{name} has printed nothing")
        shutil.rmtree(place.folder / "ro")


def _no_real_folder(place: Place, random: Random) -> None:
    for output in ("/proc/model.safetensors", "/dev/full/model.safetensors"):
        expect_refusal(place.run("train", TEXT, "-o", output, *STEPS), output)


_TRAIN = ("train", TEXT, *STEPS)
_FOLDERS: list[Trial] = [
    _refused(*_TRAIN, "-o", f"ro/{MODEL}"),
    _refused(*_TRAIN, "-o", f"ro/new/{MODEL}"),
    _refused(*_TRAIN, "--log", f"ro/{LOG}"),
    _refused(*_TRAIN, "--cache-dir", "ro/cache"),
    _refused("tokenize", TEXT, "--save", "ro/tokens.json"),
    ("a model and a text that can only be read", _only_read),
    ("a file in place of a folder", _no_real_folder),
]
