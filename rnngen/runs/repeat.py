"""The command line that makes the same model again, which a checkpoint keeps. Imports no typer."""

from __future__ import annotations

import shlex
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from rnngen.config import ENCODING, ModelOptions, TokenizerConfig, TrainConfig

if TYPE_CHECKING:
    from rnngen.runs.request import Request
    from rnngen.training.plan import Plan

NO_ORDERS = "none"
_FLAGS = {"learning_rate": "--lr", "seconds": "--time"}


def command_line(request: Request, plan: Plan, steps: int) -> str | None:
    """A command that makes the same model on this machine; None where the text was given as a string.

    Args:
        plan: supplies what was chosen by the time it took: hidden size, dropout, threads.
        steps: the length of the schedule, in place of a budget of time or epochs.
    """
    if request.text is not None:
        return None
    words = ["rnngen", "train", *request.paths]
    if request.tokenizer:
        named = ["--level", request.tokenizer.level] if request.init_from and request.tokenizer.level == "char" else []
        words += named + _options(request.tokenizer, TokenizerConfig())
    words += ["--tokenizer", str(request.tokenizer_file)] if request.tokenizer_file else []
    words += ["--valid", str(request.valid)] if request.valid else []
    words += ["--encoding", request.encoding] if request.encoding != ENCODING else []
    words += ["--init-from", str(request.init_from)] if request.init_from else []
    hidden_size = None if request.init_from else plan.model.hidden_size
    words += _options(replace(request.model, hidden_size=hidden_size, dropout=plan.model.dropout), ModelOptions())
    training = replace(request.training, seconds=None, epochs=None, steps=steps, threads=plan.threads)
    words += _options(training, TrainConfig())
    words += ["-o", str(request.output.with_name(request.output.stem + "-again" + request.output.suffix))]
    return shlex.join(words)


def show_orders(orders: tuple[int, ...]) -> str:
    """N-gram orders as the command line has them: `2,3,4`, or `none`."""
    return ",".join(map(str, orders)) or NO_ORDERS


def _options(settings: Any, defaults: Any) -> list[str]:
    """The options of the command line that give these settings."""
    words: list[str] = []
    for field in fields(settings):
        value = getattr(settings, field.name)
        if value is None or value == getattr(defaults, field.name):
            continue
        flag = _FLAGS.get(field.name, "--" + field.name.replace("_", "-"))
        shown = show_orders(value) if isinstance(value, tuple) else str(value)
        words += [flag] if value is True else [flag, shown]
    return words
