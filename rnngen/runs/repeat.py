"""The command lines that make the same model again, and that continue a run. Imports no typer.

What came through a pipe has no name to give again: `FILE` stands for it.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnngen.config import ENCODING, ModelOptions, TokenizerConfig, TrainConfig

if TYPE_CHECKING:
    from rnngen.runs.request import Request
    from rnngen.training.plan import Plan

NO_ORDER = "none"
_FLAGS = {"learning_rate": "--lr", "seconds": "--time"}


def command_line(request: Request, plan: Plan, steps: int) -> str | None:
    """A command that makes the same model on this machine; None where the text was given as a string.

    Args:
        plan: supplies what was chosen by the time it took: hidden size, dropouts, threads.
        steps: the length of the schedule, in place of a budget of time or epochs.
    """
    if request.text is not None:
        return None
    streams = _streams([*request.paths, request.valid, request.tokenizer_file])
    words = ["rnngen", "train", *request.paths]
    if request.tokenizer:
        named = ["--level", request.tokenizer.level] if request.init_from and request.tokenizer.level == "char" else []
        words += named + _options(request.tokenizer, TokenizerConfig())
    words += ["--tokenizer", str(request.tokenizer_file)] if request.tokenizer_file else []
    words += ["--valid", str(request.valid)] if request.valid else []
    words += ["--encoding", request.encoding] if request.encoding != ENCODING else []
    words += ["--init-from", str(request.init_from)] if request.init_from else []
    sizes, training = request.model, request.training
    if plan.model.has_network:
        hidden_size = None if request.init_from else plan.model.hidden_size
        sizes = replace(sizes, hidden_size=hidden_size, dropout=plan.model.dropout, weight_drop=plan.model.weight_drop)
        training = replace(training, seconds=None, epochs=None, steps=steps or None, threads=plan.threads)
    words += _options(sizes, ModelOptions())
    words += _options(training, TrainConfig())
    words += ["-o", str(request.output.with_name(request.output.stem + "-again" + request.output.suffix))]
    line = _join(words, streams)
    return f"{line}  # {_named(streams)}: what came through a pipe, kept in a file" if streams else line


def resume_line(output: Path, paths: Sequence[str], valid: Path | None, log: Path | None = None) -> str:
    """The command that continues a stopped run.

    Args:
        paths, valid: the texts that the run has read; those that came through a pipe must be given again.
        log: the log of the run, to be continued too.
    """
    streams = _streams([*paths, valid])
    words = ["rnngen", "train", *(paths if streams.keys() & set(paths) else ()), "--resume", str(output)]
    words += ["--valid", str(valid)] if str(valid) in streams else []
    words += ["--log", str(log)] if log else []
    line = _join(words, streams)
    return f"{line}, where {_named(streams)} is the text that came through a pipe" if streams else line


def _streams(paths: Iterable[str | Path | None]) -> dict[str, str]:
    """What stands for each text that came through a pipe."""
    from rnngen.text.sources import is_stream  # with numpy, which the command line must not load for its help

    found = list(dict.fromkeys(str(path) for path in paths if path is not None and is_stream(str(path))))
    return {path: f"FILE{number}" if len(found) > 1 else "FILE" for number, path in enumerate(found, 1)}


def _join(words: list[str], streams: dict[str, str]) -> str:
    return shlex.join(streams.get(word, word) for word in words)


def _named(streams: dict[str, str]) -> str:
    return " and ".join(streams.values())


def _options(settings: Any, defaults: Any) -> list[str]:
    """The options of the command line that give these settings."""
    words: list[str] = []
    for field in fields(settings):
        value = getattr(settings, field.name)
        if value is None or value == getattr(defaults, field.name):
            continue
        flag = _FLAGS.get(field.name, "--" + field.name.replace("_", "-"))
        shown = NO_ORDER if field.name == "ngram_order" and not value else str(value)
        words += [flag] if value is True else [flag, shown]
    return words
