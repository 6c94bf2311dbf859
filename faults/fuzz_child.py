"""The process that reads damaged files, and may crash: `python -m faults.fuzz_child TARGET FOLDER SEED FIRST LAST`.

For every number from FIRST up to LAST it prints a line: the number, and `loaded`, `refused` or what was wrong. The same
seed and number make the same file, `FOLDER/damaged`, which is there afterwards when the process dies.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import resource
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from random import Random

# Beyond the memory of the process before the first file.
MOST_BYTES = 1 << 30
MESSAGE_CHARS = 1000

Reader = Callable[[Path, Path, Random], str]


def main(target: str, folder: str, seed: str, first: str, last: str) -> None:
    """Damage and read one file after the other."""
    answers = os.fdopen(os.dup(1), "w")
    # What is printed of a file must not come between the answers.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    module, _, name = target.partition(":")
    read: Reader = getattr(importlib.import_module(module), name)
    seeds = sorted(Path(folder).glob("seed*"))
    damaged = Path(folder) / "damaged"
    for path in seeds:  # what is imported only when it is needed is there before the limit
        read(path, damaged, Random(0))
    limit_memory(MOST_BYTES)
    answers.write("ready\n")
    answers.flush()
    for number in range(int(first), int(last)):
        random = Random(f"{seed} {number}")
        answers.write(f"{number} {_outcome(read, random.choice(seeds), damaged, random)}\n")
        answers.flush()


def limit_memory(beyond: int) -> None:
    """Let the process take so many bytes more than it has."""
    with open("/proc/self/statm") as file:
        n_bytes = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (n_bytes + beyond, resource.RLIM_INFINITY))


def _outcome(read: Reader, seed: Path, damaged: Path, random: Random) -> str:
    try:
        with (
            open(os.devnull, "w", encoding="utf-8", errors="backslashreplace") as nowhere,
            contextlib.redirect_stdout(nowhere),
        ):
            return read(seed, damaged, random)
    except BaseException as error:  # all that a user would see as a traceback
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} {ascii(error)[:200]} at {Path(place.filename).name}:{place.lineno}"


def refusal(error: Exception, expected: tuple[type[Exception], ...]) -> str:
    """`refused` when an error is of a kind that is expected, and its message one line that cannot harm a terminal."""
    message = str(error)
    if not isinstance(error, expected):
        return f"{type(error).__name__}, which is no {expected[0].__name__}: {ascii(message)[:200]}"
    if not message or not message.isprintable() or len(message) > MESSAGE_CHARS:
        return f"a message that is no line of text: {ascii(message)[:200]} of {len(message)} characters"
    return "refused"


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    main(*sys.argv[1:])
