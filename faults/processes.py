"""Real processes in a folder of their own, and the checks of how they end. Nothing here makes a fault."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from faults.outcome import Outcome
from rnngen import checkpoint
from rnngen.checkpoint import Checkpoint
from rnngen.errors import CheckpointError

AT_A_TIME = 2  # processes; a campaign is to be as fast on two cores as on many
LONGEST_SECONDS = 180.0  # of a process that ought to take a few, on a machine that is busy
LOOK_EVERY = 0.003  # seconds
_ONE_AT_A_TIME = threading.Lock()

TEXT, MODEL, LOG = "text.txt", "model.safetensors", "log.jsonl"
SMALL = ("--hidden-size", "16", "--embedding-dim", "8", "--batch-size", "4", "--bptt", "16", "--threads", "1")
# Kinds of runs whose states hold different things.
RUNS = {
    "characters": (),
    "lines": ("--lines", "--ngram-order", "4"),
    "words": ("--level", "word", "--cell", "lstm", "--num-layers", "2", "--dropout", "0.2", "--ngram-order", "none"),
    "subwords": ("--level", "subword", "--vocab-size", "300", "--ngram-order", "2"),
}


class LostError(Exception):
    """Something did not end as it must; the message says what was seen."""


class Ended(NamedTuple):
    """A process that has ended."""

    code: int
    out: str
    err: str


Trial = tuple[str, Callable[["Place", Random], None]]
"""What is tried, and a function that tries it in an empty folder and raises LostError."""


class Place:
    """A folder with a text, in which processes find all that they need and leave all that they write."""

    def __init__(self, folder: Path, n_words: int = 3000) -> None:
        self.folder = folder
        self.text, self.model, self.log = folder / TEXT, folder / MODEL, folder / LOG
        self.resume = folder / "model.resume.safetensors"
        self.lock = folder / f".{MODEL}.lock"
        self.cache = folder / "cache"
        self.text.write_text(a_text(n_words), "utf-8")

    @contextlib.contextmanager
    def started(
        self, *arguments: str | Path, before: str = "", after: str = "", **how: Any
    ) -> Iterator[subprocess.Popen[bytes]]:
        """`rnngen` with these arguments; it is killed where the block ends, if it still runs.

        Args:
            before: commands of a shell, which then becomes the process.
            after: redirections of that shell.
        """
        command = [sys.executable, "-m", "rnngen", *map(str, arguments)]
        if before or after:
            command = ["sh", "-c", f'{before or ":"}; exec "$@" {after}', "sh", *command]
        streams: Any = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        environment = self.environment() | how.pop("environment", {})
        process = subprocess.Popen(command, cwd=self.folder, env=environment, **{**streams, **how})
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()

    def run(self, *arguments: str | Path, **how: Any) -> Ended:
        """`rnngen` with these arguments, to its end. Raises LostError when that does not come."""
        with self.started(*arguments, **how) as process:
            return end_of(process)

    def train(self, *options: str | Path) -> tuple[str | Path, ...]:
        """The arguments of a small run on the text."""
        return ("train", TEXT, *SMALL, "-o", f"./{MODEL}", *options)

    def environment(self) -> dict[str, str]:
        """Of the processes: nothing of the caller's that could change a run."""
        mine = {name: value for name, value in os.environ.items() if not name.startswith(("RNNGEN_", "PYTHON"))}
        return mine | {
            "XDG_CACHE_HOME": str(self.cache),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }


def a_text(n_words: int) -> str:
    """Sentences of words that a model can learn a little of."""
    random = Random(n_words)
    parts = ["an", "be", "ci", "do", "el", "fu", "ga", "hi", "lo", "mar", "na", "or", "pen", "ri", "so", "tu"]
    words = ["".join(random.choices(parts, k=random.choice((1, 2, 2, 3)))) for _ in range(200)]
    return "".join(random.choice(words) + random.choice((" ", " ", " ", ", ", ".\n")) for _ in range(n_words))


def end_of(process: subprocess.Popen[bytes]) -> Ended:
    """What a process that is about to end leaves. Raises LostError when it goes on."""
    try:
        out, err = process.communicate(timeout=LONGEST_SECONDS)
    except subprocess.TimeoutExpired:
        raise LostError(f"it still runs after {LONGEST_SECONDS:g} s") from None
    return Ended(process.returncode, (out or b"").decode("utf-8", "replace"), (err or b"").decode("utf-8", "replace"))


def wait_for(process: subprocess.Popen[bytes], holds: Callable[[], object]) -> bool:
    """Wait until something holds; False when the process ended before. Raises LostError when neither comes."""
    end = time.monotonic() + LONGEST_SECONDS
    while not holds():
        if process.poll() is not None:
            return False
        if time.monotonic() > end:
            raise LostError(f"it does nothing for {LONGEST_SECONDS:g} s")
        time.sleep(LOOK_EVERY)
    return True


def stamp(path: Path) -> tuple[int, int] | None:
    """What changes when a file is written; None where there is none."""
    with contextlib.suppress(FileNotFoundError):
        found = path.stat()
        return found.st_mtime_ns, found.st_size
    return None


def expect(holds: object, sentence: str) -> None:
    """Raise LostError with the sentence unless it holds."""
    if not holds:
        raise LostError(sentence)


def expect_no_crash(ended: Ended) -> None:
    """No signal other than SIGPIPE ended it, and no traceback was shown."""
    expect("Traceback" not in ended.err, f"a traceback: {ended.err.strip().splitlines()[-1:]}")
    expect(ended.code >= 0 or ended.code == -13, f"it died with status {ended.code}: {ended.err[-200:]!r}")


def expect_end(ended: Ended, *codes: int) -> None:
    """It ended with one of these codes, and said no more than one line where that is no success and `-q` was given."""
    expect_no_crash(ended)
    expect(ended.code in codes, f"it ended with {ended.code} and not {codes}: {ended.err[-300:]!r}")


def expect_refusal(ended: Ended, *said: str, code: int = 1) -> None:
    """One line on stderr, which says what it must, nothing on stdout, and the code of an error."""
    expect_end(ended, code)
    lines = ended.err.splitlines()
    expect(len(lines) == 1 and lines[0].startswith("rnngen: "), f"not one line: {ended.err[-300:]!r}")
    expect(not ended.out, f"an error, and on stdout {ended.out[:100]!r}")
    for part in said:
        expect(part in ended.err, f"{part!r} is not in {ended.err[-300:]!r}")


def whole(path: Path) -> Checkpoint:
    """The checkpoint at a path. Raises LostError when it is not whole."""
    try:
        return checkpoint.load(path)
    except CheckpointError as error:
        raise LostError(str(error)) from None


def expect_same(path: Path, other: Checkpoint) -> None:
    """The checkpoint at a path has the weights of another, to the bit."""
    found = whole(path)
    expect(found.weights.keys() == other.weights.keys(), "the model has other weights than that of the run not stopped")
    for name, weight in found.weights.items():
        same = weight.dtype == other.weights[name].dtype and weight.tobytes() == other.weights[name].tobytes()
        expect(same, f"{name} differs from that of the run that was not stopped")


def campaign(kind: str, trials: Sequence[Trial], seed: int) -> Outcome:
    """Make all trials, each in a folder of its own, two at a time."""

    def one(trial: Trial) -> str | None:
        what, attempt = trial
        # Folders in which something is mounted or may not be written are to be left behind without an error.
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            try:
                attempt(Place(Path(folder)), Random(f"{seed} {kind} {what}"))
            except LostError as lost:
                return f"{what}: {lost}"
        return None

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        found = list(pool.map(one, trials))
    return Outcome(kind, len(trials), [sentence for sentence in found if sentence])


def some(trials: Sequence[Trial], scale: float) -> list[Trial]:
    """The first of the trials, as many as the scale says; with a scale above 1 they come again with other numbers."""
    number = max(1, round(len(trials) * scale))
    return [
        (f"{what} ({turn + 1})", attempt) for turn in range(number) for what, attempt in [trials[turn % len(trials)]]
    ]


def reference(*options: str) -> Checkpoint:
    """The model of a run that nothing happens to. Raises LostError."""
    with _ONE_AT_A_TIME:
        return _reference(options)


@cache
def _reference(options: tuple[str, ...]) -> Checkpoint:
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        expect_end(place.run(*place.train(*options, "-q")), 0)
        return whole(place.model)


def write_model(place: Place) -> None:
    """A model for the commands that use one; always the same."""
    with _ONE_AT_A_TIME:
        place.model.write_bytes(_a_model())


@cache
def _a_model() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        expect_end(place.run(*place.train("--steps", "2", *RUNS["characters"], "-q")), 0)
        return place.model.read_bytes()
