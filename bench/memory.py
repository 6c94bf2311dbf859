"""Items of peak memory, with a text that is larger than the memory that may be used."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.rows import Row
from bench.setting import Setting, rnngen
from bench.timing import run_process

MEGABYTES = 1000
QUICK_MEGABYTES = 1
CHANGED_EVERY = 50  # bytes, about


@dataclass(frozen=True)
class Use:
    """One use of a large text.

    Attributes:
        arguments: of rnngen, before the text.
        megabytes: that it may take at most.
    """

    what: str
    arguments: Sequence[str]
    megabytes: float


def memory(setting: Setting) -> Iterator[Row]:
    """Peak resident memory of whole processes that train on, or score, a text of a gigabyte."""
    size = QUICK_MEGABYTES if setting.quick else MEGABYTES
    text = changed_text(setting, size)
    train = ["train", "--force", "-q", "--output", str(setting.folder / "large.safetensors"),
             *(["--steps", "2", "--hidden-size", "16"] if setting.quick else ["--time", "20s"])]  # fmt: skip
    for use in (
        Use("`rnngen train --time 20s`, characters", train, 700),
        Use("`rnngen train --time 20s`, ids from the cache", train, 700),
        Use("`rnngen train --time 20s --lines`", [*train, "--lines"], 700),
        Use("`rnngen train --time 20s --level subword`", [*train, "--level", "subword"], 1000),
    ):
        spent = run_process([rnngen(), *use.arguments, str(text)])
        what = f"peak memory of {use.what}, on {size} MB"
        yield Row("memory", what, "MB", spent.peak_megabytes, target=use.megabytes, details={"seconds": spent.seconds})


def changed_text(setting: Setting, megabytes: int) -> Path:
    """The text over and over, of about this size, with other letters here and there in each round: words never end."""
    path = setting.folder / f"{megabytes}MB-changed.txt"
    if path.exists():
        return path
    text = setting.text.read_bytes()
    letters = [place for place, byte in enumerate(text) if chr(byte).isascii() and chr(byte).isalpha()]
    generator = random.Random(1)
    with open(path, "wb") as file:
        for turn in itertools.count():
            if turn * len(text) >= megabytes * 1e6:
                return path
            changed = bytearray(text)
            for place in generator.sample(letters, min(len(letters), len(text) // CHANGED_EVERY)):
                changed[place] = generator.randrange(ord("a"), ord("z") + 1)
            file.write(changed)
    return path
