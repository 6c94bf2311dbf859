"""Medians of alternated rounds; whole processes with their time and memory; contenders that wait in processes.

Nothing here, nor in what `python -m bench` itself imports, may load numpy or torch: a child's peak memory counts the
pages that it shares with this process before it becomes another program.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from bench.rows import BenchError

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[1]
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# Threads that have just worked spin for some time, in the place of those of the next contender.
PAUSE_SECONDS = 0.1


def alternate(contenders: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Call each in turn, `rounds` times: A B C, A B C, ..., so that a slow minute of the machine meets them all."""
    results: dict[str, list[T]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            results[name].append(contender())
    return results


def medians(measured: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The median of each."""
    return {name: statistics.median(values) for name, values in measured.items()}


def best(times: Mapping[str, float], name: str) -> float:
    """The least time among the variants of a contender: `name` itself, and `name/...`."""
    return min(seconds for variant, seconds in times.items() if variant.split("/")[0] == name)


def environment(threads: int | None = None) -> dict[str, str]:
    """This process's, with so many threads for what computes; None leaves that to each library's default."""
    kept = {name: value for name, value in os.environ.items() if name not in THREAD_VARIABLES}
    return kept if threads is None else {**kept, **dict.fromkeys(THREAD_VARIABLES, str(threads))}


@dataclass(frozen=True)
class Spent:
    """What a whole process took."""

    seconds: float
    peak_megabytes: float


def run_process(command: Sequence[str], threads: int | None = None, output: Path | None = None) -> Spent:
    """Run a program from start to end.

    Args:
        output: takes its standard output, which is thrown away without it.

    Raises:
        BenchError: it failed.
    """
    with open(output or os.devnull, "wb") as out, tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=errors, env=environment(threads), cwd=ROOT
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            message = errors.read().decode("utf-8", "replace").strip()
            raise BenchError(f"{' '.join(command)} ended with {process.returncode}: {message}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Spent(seconds, usage.ru_maxrss * unit / 1e6)


@dataclass(frozen=True)
class Task:
    """A function that makes a contender ready, in a process of its own (`worker.py`).

    Attributes:
        function: "module:name"; called with `arguments`, it returns a function without arguments: one round.
        threads: as in `environment`.
    """

    function: str
    arguments: dict[str, Any] = field(default_factory=dict)
    threads: int | None = None


def at_threads(name: str, threads: Sequence[int], function: str, **arguments: Any) -> dict[str, Task]:
    """The same contender with each number of threads, as `name/THREADS`."""
    return {f"{name}/{number}": Task(function, arguments, number) for number in threads}


class Worker:
    """A contender that is ready, and measures a round when it is called."""

    def __init__(self, task: Task) -> None:
        self._name = task.function
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.worker", task.function, json.dumps(task.arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(task.threads), cwd=ROOT, text=True,
        )  # fmt: skip

    def wait_until_ready(self) -> None:
        """Block until it has loaded what it needs. Raises BenchError when it could not."""
        self._read()

    def __call__(self) -> Any:
        time.sleep(PAUSE_SECONDS)
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise BenchError(f"{self._name} failed: its message is above")
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


@contextlib.contextmanager
def started(tasks: Mapping[str, Task], warm_up: bool = True) -> Iterator[dict[str, Callable[[], Any]]]:
    """Processes that are ready and, with `warm_up`, have made a round each that does not count."""
    with contextlib.ExitStack() as stack:
        workers = {}
        for name, task in tasks.items():
            workers[name] = Worker(task)
            stack.callback(workers[name].close)
        for worker in workers.values():
            worker.wait_until_ready()
        for worker in workers.values() if warm_up else ():
            worker()
        yield dict(workers)


def compare(tasks: Mapping[str, Task], rounds: int, warm_up: bool = True) -> dict[str, float]:
    """The median time of each contender, in alternated rounds."""
    with started(tasks, warm_up) as workers:
        return medians(alternate(workers, rounds))


def ask(function: str, threads: int | None = None, **arguments: Any) -> Any:
    """One answer of a function in a process of its own."""
    worker = Worker(Task(function, arguments, threads))
    try:
        worker.wait_until_ready()
        return worker()
    finally:
        worker.close()
