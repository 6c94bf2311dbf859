"""The item of the machine's ceilings: bare products, and how near to them a training step comes."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

from bench.drawing import matrix_vector_tasks
from bench.rows import Row
from bench.setting import Setting
from bench.steps import GRU_512, ours
from bench.timing import Task, alternate, ask, best, medians, started

PRECISIONS = ("float32", "bfloat16")
TITLES = {"small": "product [32, 512] x [512, 1536]", "large": "product of 2048³"}


def ceilings(setting: Setting) -> Iterator[Row]:
    """Speeds without a target, and the step's share of the large product's in its precision."""
    found = ask("bench.ours:choices", text=str(setting.text))
    precisions = {found["precision"]} if setting.quick else {"float32", found["precision"]}
    steps = {precision: ours(GRU_512, setting, precision) for precision in precisions}
    vectors = matrix_vector_tasks(setting)
    # All cores, as ours takes them.
    tasks = {"products": Task("bench.references:products", {"seconds": setting.seconds / 2})}
    with started({**tasks, **steps, **vectors}) as workers:
        measured: dict[str, list[Any]] = alternate(workers, setting.rounds(5))
    rates = {name: statistics.median(round[name] for round in measured["products"]) for name in measured["products"][0]}
    times = medians({name: measured[name] for name in (*steps, *vectors)})
    yield Row("ceilings", "matrix-vector product [512] x [512, 1536], float32", "µs", best(times, "product") * 1e6,
              details={"seconds": times})  # fmt: skip
    for name, title in TITLES.items():
        for precision in PRECISIONS:
            yield Row("ceilings", f"{title}, {precision}", "GFLOP/s", rates[f"{name} {precision}"])
    for precision in PRECISIONS:
        if precision in steps:
            speed = found["flops_per_token"] / times[precision] / 1e9
            what = f"training step, {GRU_512.title}, {precision}, by the large product"
            yield Row("ceilings", what, "GFLOP/s", speed, rates[f"large {precision}"])
