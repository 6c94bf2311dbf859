"""The item of `rnngen train --tags`: the share of right tags, beside each word's most frequent tag."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from bench.rows import BenchError, Row
from bench.setting import Setting, rnngen
from bench.timing import run_process
from rnngen.text.tagged import Sentence, sentences

NAME = "tags-english.{part}.tsv"
OTHER = "NOUN"  # the guess for a word that was never met
TARGET, UNKNOWN_TARGET = 92, 75  # per cent


def tags(setting: Setting) -> Iterator[Row]:
    """A run with the defaults, validated on `dev`; measured once on `test`. It needs `--pairs FOLDER`."""
    if setting.pairs is None:
        raise BenchError("name the folder of tags-english.train.tsv, .dev.tsv and .test.tsv with --pairs")
    train, dev, test = (setting.pairs / NAME.format(part=part) for part in ("train", "dev", "test"))
    path, found = setting.folder / "tagger.safetensors", setting.folder / "tags.json"
    budget = ["--steps", "20"] if setting.quick else []
    run_process([rnngen(), "train", str(train), "--tags", "--valid", str(dev), "-o", str(path), "-q", *budget])
    run_process([rnngen(), "tag", "--measure", str(test), "-m", str(path), "--json", "-q"], output=found)
    record = json.loads(found.read_text("utf-8"))
    all_right, unknown_right = _by_most_frequent(_read(train), _read(test))
    what = "`rnngen train --tags`, English: right tags"
    accuracy, unknown = 100 * record["accuracy"], 100 * record["unknown_accuracy"]
    guess = f"the most frequent tag of each word, {OTHER} for unknown ones: {all_right:.1f} %, {unknown_right:.1f} %"
    details = {"measured": record, "guess": guess}
    yield Row("tags", f"{what} ({guess})", "%", accuracy, target=TARGET, at_least=True, details=details)
    yield Row("tags", f"{what} of unknown words", "%", unknown, target=UNKNOWN_TARGET, at_least=True)


def _read(path: Path) -> list[Sentence]:
    return list(sentences(path.read_text("utf-8").split("\n")))


def _by_most_frequent(train: list[Sentence], test: list[Sentence]) -> tuple[float, float]:
    """The shares of right tags in %, of all words and of unknown ones."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for sentence in train:
        for word, tag in zip(*sentence, strict=True):
            counts[word][tag] += 1
    guesses = [
        (word in counts, (counts[word].most_common(1)[0][0] if word in counts else OTHER) == tag)
        for sentence in test
        for word, tag in zip(*sentence, strict=True)
    ]
    unknown = [is_right for is_known, is_right in guesses if not is_known]
    return 100 * sum(right for _, right in guesses) / len(guesses), 100 * sum(unknown) / max(1, len(unknown))
