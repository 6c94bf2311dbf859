"""Items of the training step, beside the same step of a module around torch.nn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bench.rows import BenchError, Row
from bench.setting import Setting
from bench.timing import Task, ask, at_threads, best, compare

QUICK_HIDDEN_SIZE = 64
LARGEST_ERRORS = {"float32": 1e-4, "bfloat16": 1e-2}  # of the gradient, by its norm


@dataclass(frozen=True)
class Shape:
    """A model whose step is measured, and how many times the reference's tokens a second it is to reach."""

    cell: str
    hidden_size: int
    num_layers: int
    target: float

    @property
    def title(self) -> str:
        layers = "" if self.num_layers == 1 else f"{self.num_layers} layers of "
        return f"{self.cell.upper()} {layers}{self.hidden_size}"

    def arguments(self, setting: Setting) -> dict[str, Any]:
        """What both contenders are made with."""
        hidden_size = QUICK_HIDDEN_SIZE if setting.quick else self.hidden_size
        return {"text": str(setting.text), "cell": self.cell, "hidden_size": hidden_size,
                "num_layers": self.num_layers}  # fmt: skip


GRU_512 = Shape("gru", 512, 1, 1.6)
SHAPES = {
    "step-gru512": GRU_512,
    "step-lstm512": Shape("lstm", 512, 1, 1.0),
    "step-gru384x2": Shape("gru", 384, 2, 1.5),
}


def ours(shape: Shape, setting: Setting, precision: str, bare: bool = True) -> Task:
    """The steps of `rnngen train`, with dropout and n-grams or without."""
    arguments = {"precision": precision, "seconds": setting.seconds, "bare": bare}
    return Task("bench.ours:training", {**shape.arguments(setting), **arguments})


def step(name: str, shape: Shape, setting: Setting) -> Iterator[Row]:
    """Tokens a second with the products in the precision that `auto` picks, and in float32."""
    arguments = shape.arguments(setting)
    found = ask("bench.ours:gradients", **arguments)
    precision, errors = found["precision"], found["gradient_errors"]
    wrong = {kind: error for kind, error in errors.items() if not error <= LARGEST_ERRORS[kind]}
    if wrong:
        raise BenchError(f"the gradients are not those of torch.nn.{shape.cell.upper()}: relative errors {wrong}")
    arguments["seconds"] = setting.seconds
    function, threads = "bench.references:training", setting.threads
    tasks = {
        "auto": ours(shape, setting, "auto"),
        **at_threads("torch", threads, function, autocast=False, **arguments),
    }
    if not setting.quick:
        tasks["float32"] = ours(shape, setting, "float32")
        tasks["whole"] = ours(shape, setting, "auto", bare=False)
        tasks |= at_threads("autocast", threads, function, autocast=True, **arguments)
    times = compare(tasks, setting.rounds(9))
    rates = {kind: 1 / best(times, kind) for kind in {name.split("/")[0] for name in tasks}}
    plain = f"`torch.nn.{shape.cell.upper()}`"
    title, unit, details = f"training step, {shape.title}", "tokens/s", {"seconds_a_token": times, **found}
    yield Row(name, f"{title}, {precision} (auto), by {plain}", unit, rates["auto"], rates["torch"],
              shape.target, at_least=True, details=details)  # fmt: skip
    if setting.quick:
        return
    yield Row(name, f"{title}, float32, by {plain}", unit, rates["float32"], rates["torch"])
    yield Row(name, f"{title}, with n-grams and dropout, by without", unit, rates["whole"], rates["auto"])
    yield Row(name, f"{title}, {precision} (auto), by {plain} under autocast to bfloat16", unit,
              rates["auto"], rates["autocast"])  # fmt: skip
