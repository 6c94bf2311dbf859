"""The item of a training run with its defaults: how well the model predicts, how soon, how large its file is."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.rows import BenchError, Row
from bench.setting import Setting, rnngen
from bench.timing import run_process

# nanoGPT's README: its recipe for a CPU, in about three minutes.
EARLY_LOSS = 1.886
LOSS_TARGET, EARLY_SECONDS_TARGET, MEGABYTES_TARGET = 1.44, 10, 10


@dataclass(frozen=True)
class Trained:
    """What a run gave.

    Attributes:
        early_seconds: when a validation first found EARLY_LOSS or less; None for never.
    """

    loss_nats: float
    early_seconds: float | None
    megabytes: float
    seconds: float
    peak_megabytes: float
    n_tokens: int


def quality(setting: Setting) -> Iterator[Row]:
    """`rnngen train` in a process of its own, for each seed; the medians."""
    runs = [_train(setting, seed) for seed in range(1, setting.seeds + 1)]
    # Losses of other texts, and of a few seconds, cannot be held against those.
    targets = setting.is_tiny_shakespeare and not setting.quick
    early = [run.early_seconds for run in runs]
    # A run that never came there is the latest of all.
    early_seconds = statistics.median(float("inf") if seconds is None else seconds for seconds in early)
    name = f"`rnngen train {setting.text.name} --valid-part last`" + (f", {len(runs)} seeds" if len(runs) > 1 else "")
    name += " in 5 s" if setting.quick else ""
    loss = statistics.median(run.loss_nats for run in runs)
    yield Row("quality", f"{name}: exact validation loss", "nats/char", loss,
              target=LOSS_TARGET if targets else None, details={"runs": [asdict(run) for run in runs]})  # fmt: skip
    yield Row("quality", f"{name}: until validation loss {EARLY_LOSS}", "s",
              early_seconds if early_seconds < float("inf") else None,
              target=EARLY_SECONDS_TARGET if targets else None)  # fmt: skip
    yield Row("quality", f"{name}: checkpoint", "MB", statistics.median(run.megabytes for run in runs),
              target=MEGABYTES_TARGET)  # fmt: skip


def _train(setting: Setting, seed: int) -> Trained:
    path, log = setting.folder / f"seed{seed}.safetensors", setting.folder / f"seed{seed}.log"
    command = [rnngen(), "train", str(setting.text), "--valid-part", "last", "--seed", str(seed)]
    command += ["--output", str(path), "--log", str(log)]
    spent = run_process(command + ["--time", "5s"] * setting.quick)
    record = setting.folder / f"seed{seed}.json"
    run_process([rnngen(), "info", "--json", str(path)], output=record)
    training = json.loads(record.read_text("utf-8"))["training"]
    loss = training["valid_loss_nats"]
    if not isinstance(loss, float):
        raise BenchError(f"{' '.join(command)} left no validation loss")
    return Trained(
        loss, first_below(EARLY_LOSS, _log(log)), path.stat().st_size / 1e6,
        spent.seconds, spent.peak_megabytes, training["n_tokens"],
    )  # fmt: skip


def _log(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def first_below(loss_nats: float, log: list[dict[str, Any]]) -> float | None:
    """The seconds of the first validation that found this loss or less."""
    return next(
        (entry["seconds"] for entry in log if entry["event"] == "validation" and entry["valid_loss_nats"] <= loss_nats),
        None,
    )
