"""`rnngen perplexity`: how well a model predicts a text."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnngen import models
from rnngen.checks import check_whole
from rnngen.cli import options
from rnngen.cli.context_curve import write_curve
from rnngen.cli.contradictions import refuse_contradictions
from rnngen.cli.loading import load_models
from rnngen.cli.output import Console, end_with_the_pipe
from rnngen.cli.perplexity_report import write_report
from rnngen.cli.work_bar import work_shown
from rnngen.config import OnUnknown, ScoreState
from rnngen.errors import ConfigError

if TYPE_CHECKING:
    from rnngen.evaluate.predictors import Predictor
    from rnngen.text.corpus import FileText


def perplexity(
    context: typer.Context,
    texts: options.Texts = None,
    model: options.Models = None,
    state: Annotated[
        ScoreState | None,
        typer.Option(
            "--state",
            help="Carry the state through the text, or reset it at every line.",
            show_default="reset if a model was trained with --lines, else carry",
        ),
    ] = None,
    cache: Annotated[
        bool, typer.Option("--cache", help="Also measure the model with a neural cache of the text's recent tokens.")
    ] = False,
    dynamic: Annotated[
        bool, typer.Option("--dynamic", help="Also measure the model while it trains on the text that it has scored.")
    ] = False,
    mix: Annotated[
        Path | None,
        typer.Option(
            "--mix", metavar="ARPA",
            help="Also measure an n-gram model and its mixture with the model; for --split whitespace only.",
        ),
    ] = None,
    lambda_: Annotated[
        float | None, typer.Option("--lambda", metavar="L", help="Weight of the n-gram model.", show_default="0.5")
    ] = None,
    tune: Annotated[
        str | None,
        typer.Option(
            "--tune", metavar="FILE", help="Another text, to choose the settings of --cache, --dynamic or --mix on."
        ),
    ] = None,
    longest_context: Annotated[
        int | None,
        typer.Option(
            "--context", metavar="N",
            help="Write instead the loss when the model sees 1, 2, 4, ... N tokens, and all.",
        ),
    ] = None,
    json: options.Json = False,
    on_unknown: options.Unknowns = "unk",
    encoding: options.Encoding = options.ENCODING,
    device: options.DeviceName = options.DEVICE,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """How well a model predicts a text, with standard errors over lines; each pair of several models is compared.

    loss_nats and perplexity are per token (line breaks are tokens). perplexity_per_word is exp(nats / (n_words +
    n_line_ends)), SRILM's ppl; perplexity_per_word_no_eol is exp(nats / n_words), its ppl1. Words are what blanks
    separate, so these two compare models with any tokens, as the bits do. known_... leave unknown symbols out.
    A bidirectional model gives pseudo_...: each token given those on both sides of it.
    """
    refuse_contradictions(context)
    if longest_context is not None:
        check_whole("context", longest_context, 1)
    paths = options.read_or_explain(texts, "no text to measure: name a file, or - for standard input", "perplexity")
    end_with_the_pipe()
    from rnngen.text.corpus import FileText

    console = Console(quiet)
    context.with_resource(work_shown(quiet))
    text = FileText(paths, encoding, console.note)
    tuning = FileText([_another(tune, paths)], encoding, console.note) if tune is not None else None
    loaded = load_models(context, model, device, console)
    chosen = state or _state_of(loaded, cache or dynamic or longest_context is not None, console)
    if longest_context is not None:
        _write_context_curve(loaded[0], text, longest_context, on_unknown, json, console)
        return
    from rnngen.evaluate.predictors import measure, network_predictor

    predictors: list[Predictor] = []
    statics: list[int] = []  # the places of the models as they were trained
    for one in loaded:
        static = network_predictor(str(one.path), one.runner, one.tokenizer, chosen)
        statics.append(len(predictors))
        predictors.append(static)
        if cache or dynamic:
            predictors += _adaptive(one, static, cache, dynamic, tuning, on_unknown, console.note)
        if mix is not None:
            from rnngen.evaluate.arpa_mixture import arpa_predictors

            predictors += arpa_predictors(static, mix, lambda_, tune=tuning, on_unknown=on_unknown, say=console.note)
    measured = measure(predictors, text, on_unknown)
    for place in statics:  # the other predictors of a model know the same symbols
        console.note(measured[place].unknowns.note("the text", on_unknown))
    write_report([predictor.label for predictor in predictors], measured, json)


def _state_of(loaded: list[models.Model], must_carry: bool, console: Console) -> ScoreState:
    """One state for all models: where each line is scored by itself, a line end that is missing is scored too."""
    of_lines = [one for one in loaded if one.state == "reset"]
    if of_lines and must_carry:
        console.note(f"{of_lines[0].path} has learnt each line by itself (--lines), and reads them here as one text")
    return "reset" if of_lines and not must_carry else "carry"


def _adaptive(
    model: models.Model,
    static: Predictor,
    cache: bool,
    dynamic: bool,
    tuning: FileText | None,
    on_unknown: OnUnknown,
    say: Callable[[str], object],
) -> list[Predictor]:
    from rnngen.evaluate.adaptation import cache_predictor, dynamic_predictor, read_tuning_ids

    ids = None if tuning is None else read_tuning_ids(model.tokenizer, tuning, on_unknown, say)
    found = [cache_predictor(static, model.network, ids, say)] if cache else []
    if dynamic:
        found.append(dynamic_predictor(static, model.config, model.checkpoint.weights, ids, say))
    return found


def _write_context_curve(
    model: models.Model, text: FileText, longest: int, on_unknown: OnUnknown, json: bool, console: Console
) -> None:
    from rnngen.evaluate.context_losses import measure_contexts

    losses = measure_contexts(model.network, model.tokenizer, text, longest, on_unknown=on_unknown, say=console.note)
    write_curve(str(model.path), losses, json)


def _another(tune: str, paths: list[str]) -> str:
    """The text to tune on, unless it is one of those that are measured. Raises ConfigError."""
    for path in paths:
        try:
            same = path == tune or os.path.samefile(path, tune)
        except OSError:  # one of them is standard input, or missing, which is said when it is opened
            same = False
        if same:
            raise ConfigError(f"tune is {tune!r}, which is measured too: settings must be chosen on another text")
    return tune
