"""Items of drawing characters one at a time, from one stream and from many."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.rows import Row
from bench.setting import Setting
from bench.timing import Task, at_threads, best, compare

LAYOUTS = ("C", "F")
N_STREAMS = 64


def draw(setting: Setting) -> Iterator[Row]:
    """Ours beside loops around torch.nn, and beside the one product that cannot be saved."""
    threads, seconds = setting.threads, setting.seconds
    tasks = {
        "ours": _ours(setting),
        "ours-lstm": _ours(setting, cell="lstm"),
        "ours-counts": _ours(setting, counted=str(setting.text)),
        **at_threads("gru", threads, "bench.references:drawing", cell="gru", seconds=seconds),
        **at_threads("lstm", threads, "bench.references:drawing", cell="lstm", seconds=seconds),
        **matrix_vector_tasks(setting),
    }
    times = compare(tasks, setting.rounds(9))
    rates = {name: 1 / best(times, name) for name in ("ours", "ours-lstm", "ours-counts", "gru", "lstm")}
    unit, details = "tokens/s", {"seconds_a_token": times}
    yield Row("draw", "drawing, GRU 512, by a loop around `torch.nn.GRU`", unit, rates["ours"], rates["gru"],
              4, at_least=True, details=details)  # fmt: skip
    yield Row("draw", "drawing, GRU 512, by a loop around `torch.nn.LSTM`", unit, rates["ours"], rates["lstm"],
              10, at_least=True)  # fmt: skip
    yield Row("draw", "drawing, LSTM 512, by a loop around `torch.nn.LSTM` (the same cell)", unit,
              rates["ours-lstm"], rates["lstm"])  # fmt: skip
    yield Row("draw", "drawing, GRU 512, a token by the bare float32 product h W of [512, 1536]", "µs",
              times["ours"] * 1e6, best(times, "product") * 1e6, 1.8)  # fmt: skip
    yield Row("draw", "drawing, GRU 512 with n-grams up to 10, by without", unit, rates["ours-counts"], rates["ours"],
              0.8, at_least=True)  # fmt: skip


def sample_many(setting: Setting) -> Iterator[Row]:
    """All tokens of many streams in step, beside those of one."""
    tasks = {"one": _ours(setting), "many": _ours(setting, streams=N_STREAMS)}
    times = compare(tasks, setting.rounds(9))
    what = f"drawing, GRU 512, {N_STREAMS} streams, by one stream"
    yield Row("sample-many", what, "tokens/s", 1 / times["many"], 1 / times["one"], 4, at_least=True,
              details={"seconds_a_token": times})  # fmt: skip


def _ours(setting: Setting, **arguments: Any) -> Task:
    return Task("bench.ours:drawing", {"seconds": setting.seconds, **arguments})


def matrix_vector_tasks(setting: Setting) -> dict[str, Task]:
    """The product of a state and the recurrent weights, in both layouts of the matrix, as `product/...`."""
    return {
        f"product/{layout}/{name.split('/')[1]}": task
        for layout in LAYOUTS
        for name, task in at_threads(
            "product", setting.threads, "bench.references:matrix_vector", layout=layout, seconds=setting.seconds
        ).items()
    }
