"""`rnngen perplexity`: how well a model predicts a text."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnngen import models
from rnngen.cli import options
from rnngen.cli.context_curve import context_curve
from rnngen.cli.mixing import mixed_rows
from rnngen.cli.output import Console, end_with_the_pipe
from rnngen.config import Device, OnUnknown, ScoreState
from rnngen.errors import ConfigError
from rnngen.evaluate.adaptation import adaptive_rows
from rnngen.evaluate.report import Row, measure_row, static_row, write_report

if TYPE_CHECKING:
    from rnngen.text.corpus import FileText

MOST_CONTEXT = 4096


def perplexity(
    texts: options.Texts = None,
    model: options.Models = None,
    state: Annotated[
        ScoreState, typer.Option("--state", help="Carry the state through the text, or reset it at every line.")
    ] = "carry",
    cache: Annotated[
        bool, typer.Option("--cache", help="Beside it, adapt to the text by a neural cache of its recent tokens.")
    ] = False,
    dynamic: Annotated[
        bool, typer.Option("--dynamic", help="Beside it, adapt to the text by training on what has been scored.")
    ] = False,
    mix: Annotated[
        Path | None,
        typer.Option("--mix", metavar="ARPA", help="Beside it, mix with an n-gram model; of split words only."),
    ] = None,
    lambda_: Annotated[
        float | None, typer.Option("--lambda", metavar="L", help="Weight of the n-gram model.", show_default="0.5")
    ] = None,
    tune: Annotated[
        str | None,
        typer.Option(
            "--tune",
            metavar="FILE",
            help="Another text, to tune --cache, --dynamic or --mix on.",
        ),
    ] = None,
    context: Annotated[
        int | None,
        typer.Option(
            "--context",
            metavar="N",
            min=1,
            help="Instead, the loss when it sees 1, 2, 4, ... N tokens, and all.",
        ),
    ] = None,
    json: options.Json = False,
    on_unknown: options.Unknowns = "unk",
    encoding: options.Encoding = options.ENCODING,
    device: options.DeviceName = options.DEVICE,
    quiet: options.Quiet = False,
) -> None:
    """How well a model predicts a text, with standard errors over lines; of several models each pair is compared.

    loss_nats and perplexity are per token (line breaks are tokens). perplexity_per_word is exp(nats / (n_words +
    n_line_ends)), SRILM's ppl; perplexity_per_word_no_eol is exp(nats / n_words), its ppl1. Words are what white space
    separates, so these compare models whatever their tokens are, as the bits do. known_... leave unknown symbols out.
    """
    beside = Beside(cache, dynamic, mix, lambda_)
    _refuse_contradictions(beside, state, tune is not None, context, model or [], device)
    paths = options.read_or_explain(texts, "no text to measure: name a file, or - for standard input")
    end_with_the_pipe()
    from rnngen.text.corpus import FileText

    console = Console(quiet)
    text = FileText(paths, encoding)
    tuning = FileText([_another(tune, paths)], encoding) if tune is not None else None
    loaded = [models.load(name, device=device, say=console.note) for name in model or (None,)]
    if context is not None:
        context_curve(loaded[0], text, context, on_unknown, json, console)
        return
    rows = [_rows(one, beside, tuning, state, on_unknown, console) for one in loaded]
    measured = [[measure_row(row, text, state, on_unknown) for row in of_model] for of_model in rows]
    for static, *_ in measured:  # the others of a model know the same symbols
        console.unknowns(static.measured.n_unknown, static.measured.first_unknown, on_unknown, "the text")
    write_report([row for of_model in measured for row in of_model], state, on_unknown, json)


@dataclass(frozen=True)
class Beside:
    """What is measured beside the model as it was trained."""

    cache: bool
    dynamic: bool
    mix: Path | None
    weight: float | None


def _refuse_contradictions(
    beside: Beside, state: ScoreState, tune: bool, context: int | None, names: list[str], device: Device
) -> None:
    adaptive = [name for name, given in (("--cache", beside.cache), ("--dynamic", beside.dynamic)) if given]
    others = adaptive + ["--mix"] * (beside.mix is not None)
    if context is not None and (others or state == "reset" or len(names) > 1):
        what = (others or (["--state reset"] if state == "reset" else ["several models"]))[0]
        raise ConfigError(f"--context does not go with {what}: leave one out")
    if adaptive and state == "reset":
        raise ConfigError(f"{adaptive[0]} learns from the text before a line: it does not go with --state reset")
    if tune and not others:
        raise ConfigError("--tune chooses settings of --cache, --dynamic or --mix: add one of them")
    if beside.dynamic and device != "cpu":
        raise ConfigError(f"--dynamic runs on the processor: it does not go with --device {device}")
    if beside.weight is not None and beside.mix is None:
        raise ConfigError("--lambda is the weight of an n-gram model: add --mix")


def _another(tune: str, paths: list[str]) -> str:
    """The text to tune on, if it is none of those that are measured. Raises ConfigError."""
    for path in paths:
        try:
            same = path == tune or os.path.samefile(path, tune)
        except OSError:  # one of them is standard input, or not there, which is said when it is opened
            same = False
        if same:
            raise ConfigError(f"tune is {tune!r}, which is measured too: settings must be chosen on another text")
    return tune


def _rows(
    loaded: models.Model,
    beside: Beside,
    tuning: FileText | None,
    state: ScoreState,
    on_unknown: OnUnknown,
    console: Console,
) -> list[Row]:
    rows = [static_row(loaded)]
    rows += adaptive_rows(loaded, beside.cache, beside.dynamic, tuning, on_unknown, console)
    if beside.mix is not None:
        rows += mixed_rows(rows[0], beside.mix, beside.weight, tuning, state, on_unknown, console)
    return rows
