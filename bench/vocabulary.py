"""The item of a training step with a large vocabulary, and of the memory that it takes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from bench.rows import Row
from bench.setting import Setting
from bench.timing import Task, alternate, medians, started

WORDS = 100_000
QUICK_WORDS = 2_000
HIDDEN_SIZE = 256
TIMES_EACH = 4


def vocabulary(setting: Setting) -> Iterator[Row]:
    """Tokens a second and peak memory of the processes, beside the plain module with all logits at once."""
    words = QUICK_WORDS if setting.quick else WORDS
    shape = {"text": str(words_text(setting, words)), "cell": "gru", "hidden_size": HIDDEN_SIZE, "num_layers": 1,
             "words": words, "seconds": setting.seconds}  # fmt: skip
    ours = {"function": "bench.ours:training", "precision": "auto", **shape}
    plain = {"function": "bench.references:training", "autocast": False, **shape}
    # One process of each: a second one of the plain way takes gigabytes more.
    tasks = {"ours": Task("bench.repeating:with_peak", ours),
             "torch": Task("bench.repeating:with_peak", plain, setting.threads[-1])}  # fmt: skip
    with started(tasks, warm_up=not setting.quick) as workers:
        found = alternate(workers, setting.rounds(5))
    times = medians({name: [answer["value"] for answer in answers] for name, answers in found.items()})
    peaks = {name: answers[-1]["peak_megabytes"] for name, answers in found.items()}
    title = f"training step, GRU {HIDDEN_SIZE}, {words:,} words"
    by = "by `nn.GRU`, `nn.Linear` and `cross_entropy`"
    yield Row("vocabulary", f"{title}, auto, {by}", "tokens/s", 1 / times["ours"], 1 / times["torch"],
              details={"seconds_a_token": times})  # fmt: skip
    yield Row("vocabulary", f"peak memory of the {title}, {by}", "MB", peaks["ours"], peaks["torch"])


def words_text(setting: Setting, words: int) -> Path:
    """A text with so many words, each as often as the others: for times, as good as a true one."""
    path = setting.folder / f"{words}-words.txt"
    generator = random.Random(1)
    order = list(range(words))
    with open(path, "w", encoding="utf-8") as file:
        for _ in range(TIMES_EACH):
            generator.shuffle(order)
            file.write(" ".join(f"w{number}" for number in order) + "\n")
    return path
