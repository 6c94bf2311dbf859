"""The item of `rnngen train --bidirectional`: beside a model from the left, trained for as long."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import rnngen as library
from bench.rows import Row
from bench.setting import Setting, rnngen
from bench.timing import run_process
from rnngen.engine.runner import from_both_sides
from rnngen.engine.sides import Piece, sides_of
from rnngen.models import Model

MARROWMERE = Path(__file__).parents[1] / "corpora" / "marrowmere.txt"
VALID = 0.1  # of the text, its end
LINES = 1000  # with a letter changed
HIDDEN = 10  # of so many words one is hidden
CONTEXT = 64  # words that are read on each side of one
WIDTH, STEPS, ROUNDS = 512, 150, 3  # of the runs whose speed is measured
PERPLEXITY_TARGET, GUESSES_TARGET, TIME_TARGET = 0.7, 1.3, 1.5


def both_sides(setting: Setting) -> Iterator[Row]:
    """Four runs of `rnngen train` with its defaults, and what they predict of the last part of their texts."""
    left, both = (_train(setting, setting.text, f"char{place}", kind) for place, kind in enumerate(KINDS))
    yield Row(
        "both-sides", "`train --bidirectional`: pseudo-perplexity of the last 10 %, by the perplexity of `train`", "",
        both.training["valid_pseudo_perplexity"], left.training["valid_perplexity"], PERPLEXITY_TARGET,
    )  # fmt: skip
    changed = _changed_lines(_end_of(setting.text), 20 if setting.quick else LINES)
    yield Row(
        "both-sides", f"{len(changed):,} lines with one letter changed: it is the most surprising one, by `train`", "%",
        _found(both, changed), _found(left, changed),
    )  # fmt: skip
    words = ["--level", "word"]
    left, both = (_train(setting, MARROWMERE, f"word{place}", [*kind, *words]) for place, kind in enumerate(KINDS))
    yield Row(
        "both-sides", "marrowmere, words, one in ten hidden: right, by the first guess of `train`", "%",
        _right(both, _end_of(MARROWMERE)), _right(left, _end_of(MARROWMERE)), GUESSES_TARGET, at_least=True,
    )  # fmt: skip
    speeds = _speeds(setting)
    yield Row(
        "both-sides", f"time of a training step, twice {WIDTH // 2} units, by {WIDTH} units from the left", "µs/token",
        1e6 / max(speeds[1]), 1e6 / max(speeds[0]), TIME_TARGET, details={"tokens_per_second": speeds},
    )  # fmt: skip


KINDS: tuple[list[str], list[str]] = ([], ["--bidirectional"])


def _train(setting: Setting, text: Path, name: str, options: list[str]) -> Model:
    path = setting.folder / f"both-{name}.safetensors"
    budget = ["--steps", "20", "--hidden-size", "32"] if setting.quick else []
    run_process([rnngen(), "train", str(text), "-o", str(path), "--valid-part", "last", "-q", *budget, *options])
    return library.load(path)


def _end_of(text: Path) -> str:
    content = text.read_text("utf-8")
    return content[int((1 - VALID) * len(content)) :]


def _changed_lines(text: str, n_lines: int) -> list[tuple[str, int]]:
    """Lines with another letter in the place of one, and that place."""
    chance = random.Random(1)
    letters = sorted({character for character in text.lower() if character.isalpha()})
    lines = [line for line in text.split("\n") if any(map(str.isalpha, line))]
    changed = []
    for line in lines[:: max(1, len(lines) // n_lines)][:n_lines]:
        place = chance.choice([place for place, character in enumerate(line) if character.isalpha()])
        other = chance.choice([letter for letter in letters if letter != line[place].lower()])
        changed.append((line[:place] + other + line[place + 1 :], place))
    return changed


def _found(model: Model, changed: list[tuple[str, int]]) -> float:
    """The share of lines, in %, whose most surprising character is the one that was changed."""
    scored = model.score([line for line, _ in changed])
    right = 0
    for line, (text, place) in zip(scored, changed, strict=True):
        right += int(np.argmin(line.logprobs[: len(text)])) == place
    return 100 * right / len(changed)


def _right(model: Model, text: str) -> float:
    """The share of words, in %, that are the most likely ones in their places; the unknown word is no guess."""
    ids, newline_id = model.encode(text).astype(np.int64), model.tokenizer.newline_id
    words = np.flatnonzero((ids != newline_id) & (ids != model.tokenizer.unk_id))
    hidden = np.sort(np.random.default_rng(0).choice(words, len(words) // HIDDEN, replace=False))
    if model.config.bidirectional:
        runner = from_both_sides(model.runner)
        line = np.concatenate([[newline_id], ids, [newline_id]])
        pieces = [Piece(line, place + 1, place + 2, CONTEXT) for place in hidden.tolist()]
        logits = np.concatenate([runner.logits(sides_of([piece], 0))[:, 0] for piece in pieces])
    else:
        before = np.concatenate([[newline_id], ids[:-1]])
        logits = model.network.forward(before[None], model.network.initial_state(1))[0][0, hidden]
    logits[:, [model.tokenizer.unk_id or 0]] = -np.inf
    return 100 * float((logits.argmax(axis=1) == ids[hidden]).mean())


def _speeds(setting: Setting) -> tuple[list[int], list[int]]:
    """Tokens a second of runs of either kind, in turn."""
    found: tuple[list[int], list[int]] = ([], [])
    sizes = (["--hidden-size", str(WIDTH), "--ngram-order", "none"], ["--hidden-size", str(WIDTH // 2)])
    for _ in range(setting.rounds(ROUNDS)):
        for place, (kind, size) in enumerate(zip(KINDS, sizes, strict=True)):
            path, record = setting.folder / "speed.safetensors", setting.folder / "speed.json"
            steps = ["--steps", "3" if setting.quick else str(STEPS), "--force", "-q", "-o", str(path)]
            run_process([rnngen(), "train", str(setting.text), *steps, *kind, *size])
            run_process([rnngen(), "info", "--json", str(path)], output=record)
            found[place].append(json.loads(record.read_text("utf-8"))["training"]["tokens_per_second"])
    return found
