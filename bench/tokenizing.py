"""Items of turning a large file into ids on the disk, each level beside the least that must be done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.rows import Row
from bench.setting import Setting
from bench.timing import Task, ask, compare

MEGABYTES = 100
QUICK_MEGABYTES = 2
LONGEST_SECONDS = 20


@dataclass(frozen=True)
class Level:
    """A level, the reference of its time, and how many times that it may take."""

    name: str
    function: str
    by: str
    target: float


LEVELS = {
    "tokenize-byte": Level("byte", "reading", "reading and decoding", 3),
    "tokenize-char": Level("char", "reading", "reading and decoding", 10),
    "tokenize-word": Level("word", "splitting", "`text.split()`", 8),
    "tokenize-subword": Level("subword", "sentencepiece", "SentencePiece's own batch", 1.3),
}


def tokenize(name: str, level: Level, setting: Setting) -> Iterator[Row]:
    """A file of the text over and over."""
    tokenizer = setting.folder / f"{level.name}.json"
    vocab_size = ask("bench.ours:save_tokenizer", text=str(setting.text), path=str(tokenizer), level=level.name)
    megabytes = QUICK_MEGABYTES if setting.quick else MEGABYTES
    if level.name == "subword" and not setting.quick:
        tenth = compare(_tasks(level, large_file(setting, megabytes // 10), tokenizer), 1, warm_up=False)
        if max(tenth.values()) * 10 > LONGEST_SECONDS:
            megabytes //= 10
    # A round is long, and the file has just been written: there is nothing to warm up.
    times = compare(_tasks(level, large_file(setting, megabytes), tokenizer), setting.rounds(3), warm_up=False)
    what = f"{level.name} tokens of {megabytes} MB (the text over and over), by {level.by}"
    yield Row(name, what, "s", times["ours"], times["reference"], level.target, details={"vocab_size": vocab_size})


def _tasks(level: Level, path: Path, tokenizer: Path) -> dict[str, Task]:
    arguments = {"path": str(path)}
    with_tokenizer = {**arguments, "tokenizer": str(tokenizer)}
    return {
        "ours": Task("bench.ours:tokenizing", with_tokenizer),
        "reference": Task(
            f"bench.references:{level.function}", with_tokenizer if level.name == "subword" else arguments
        ),
    }


def large_file(setting: Setting, megabytes: int) -> Path:
    """The text over and over, of about this size."""
    path = setting.folder / f"{megabytes}MB.txt"
    if not path.exists():
        text = setting.text.read_bytes()
        with open(path, "wb") as file:
            for _ in range(max(1, round(megabytes * 1e6 / len(text)))):
                file.write(text)
    return path
