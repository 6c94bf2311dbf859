"""`rnngen train`: from a text to a checkpoint."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Generator
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnngen.cli import options
from rnngen.cli.contradictions import NEW_VOCABULARY, given_options, refuse_contradictions
from rnngen.cli.output import Console
from rnngen.cli.signals import Stop
from rnngen.cli.work_bar import work_shown
from rnngen.config import (
    Cell,
    ModelOptions,
    Nonlinearity,
    Optimizer,
    Precision,
    TokenizerConfig,
    TrainConfig,
    ValidPart,
)
from rnngen.errors import DataError
from rnngen.storage import checkpoint_paths

if TYPE_CHECKING:
    from rnngen.runs.events import Event


def train(
    context: typer.Context,
    texts: options.Texts = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="MODEL",
            help="Checkpoint to write: a path, or a name in ./checkpoints.",
            show_default="named after the text",
        ),
    ] = None,
    force: options.Force = False,
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume",
            metavar="MODEL",
            autocompletion=options.run_names,
            help="Continue a stopped run, with its texts and settings.",
        ),
    ] = None,
    init_from: Annotated[
        str | None,
        typer.Option(
            "--init-from",
            metavar="MODEL",
            autocompletion=options.model_names,
            help="Start with the weights of a checkpoint, and with its vocabulary unless another is asked for.",
        ),
    ] = None,
    time: Annotated[
        str | None, typer.Option("--time", metavar="TIME", help="Budget of time: 90s, 3m, 1h30m.", show_default="3m")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", metavar="N", help="Budget of optimizer steps.")] = None,
    epochs: Annotated[
        float | None, typer.Option("--epochs", metavar="E", help="Budget of passes over the text.")
    ] = None,
    level: options.LevelName = TokenizerConfig.level,
    vocab_size: options.VocabSize = None,
    min_count: options.MinCount = None,
    split: options.SplitName = TokenizerConfig.split,
    subword_model: options.SubwordModelName = TokenizerConfig.subword_model,
    tokenizer_file: options.TokenizerFile = None,
    lines: Annotated[
        bool, typer.Option("--lines", help="Every line is an example of its own (names, titles).")
    ] = False,
    valid: Annotated[Path | None, typer.Option("--valid", metavar="FILE", help="Text to validate on.")] = None,
    valid_fraction: Annotated[
        float | None,
        typer.Option(
            "--valid-fraction",
            metavar="F",
            help="Fraction of the text to validate on.",
            show_default="0.1, 250,000 characters at most",
        ),
    ] = None,
    valid_part: Annotated[
        ValidPart,
        typer.Option("--valid-part", help="Where the text to validate on comes from: blocks of all of it, or its end."),
    ] = TrainConfig.valid_part,
    patience: Annotated[
        int | None, typer.Option("--patience", metavar="N", help="Stop after N validations without a lower loss.")
    ] = None,
    cell: Annotated[
        Cell, typer.Option("--cell", help="Type of the recurrent layers; none counts alone.")
    ] = ModelOptions.cell,
    bidirectional: Annotated[
        bool,
        typer.Option("--bidirectional", help="Learn to predict a token from both sides of it (for fill and score)."),
    ] = False,
    tags: Annotated[
        bool,
        typer.Option("--tags", help="Learn to give tags to words; each line is words, a tab, and as many tags."),
    ] = False,
    hidden_size: Annotated[
        int | None, typer.Option("--hidden-size", metavar="H", help="Units in a recurrent layer.", show_default="auto")
    ] = None,
    embedding_dim: Annotated[
        int | None, typer.Option("--embedding-dim", metavar="E", help="Size of an embedding.", show_default="auto")
    ] = None,
    num_layers: Annotated[
        int | None, typer.Option("--num-layers", metavar="L", help="Number of recurrent layers.", show_default="1")
    ] = None,
    dropout: Annotated[
        float | None,
        typer.Option("--dropout", metavar="P", help="Dropout probability after every layer.", show_default="auto"),
    ] = None,
    weight_drop: Annotated[
        float | None,
        typer.Option(
            "--weight-drop", metavar="P", help="Share of the recurrent weights that a step drops.", show_default="auto"
        ),
    ] = None,
    tie_weights: Annotated[
        bool, typer.Option("--tie-weights", help="Use the embedding matrix for the softmax too.")
    ] = False,
    nonlinearity: Annotated[
        Nonlinearity, typer.Option("--nonlinearity", help="Nonlinearity of the rnn cell.")
    ] = ModelOptions.nonlinearity,
    ngram_order: Annotated[
        str | None,
        typer.Option(
            "--ngram-order",
            metavar="N|none",
            help="Length of the longest n-grams that are counted beside the network.",
            show_default="auto",
        ),
    ] = None,
    ngram_size: Annotated[
        float | None,
        typer.Option(
            "--ngram-size", metavar="MB", help="What the counts take in the checkpoint at most.", show_default="auto"
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option("--batch-size", metavar="B", help="Parallel streams; lines with --lines.", show_default="auto"),
    ] = None,
    bptt: Annotated[
        int | None,
        typer.Option("--bptt", metavar="T", help="Tokens that gradients go back through.", show_default="auto"),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--lr", metavar="X", help="Peak learning rate.", show_default="auto")
    ] = None,
    optimizer: Annotated[
        Optimizer, typer.Option("--optimizer", help="Optimizer of the network.")
    ] = TrainConfig.optimizer,
    weight_decay: Annotated[
        float | None,
        typer.Option("--weight-decay", metavar="X", help="Weight decay of the matrices.", show_default="auto"),
    ] = None,
    grad_clip: Annotated[
        float, typer.Option("--grad-clip", metavar="X", help="Largest norm of the gradient.")
    ] = TrainConfig.grad_clip,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="The same seed and steps give the same model.")
    ] = TrainConfig.seed,
    threads: Annotated[
        int | None,
        typer.Option("--threads", metavar="N", help="Number of processor threads.", show_default="all cores"),
    ] = None,
    precision: Annotated[
        Precision,
        typer.Option(
            "--precision", help="Precision of the large matrix products; auto is bfloat16 where the device has it."
        ),
    ] = TrainConfig.precision,
    device: options.DeviceName = options.DEVICE,
    encoding: options.Encoding = options.ENCODING,
    save_every: Annotated[
        str | None,
        typer.Option("--save-every", metavar="TIME", help="How often the resume file is saved.", show_default="60s"),
    ] = None,
    cache_dir: options.CacheDir = None,
    log: Annotated[
        Path | None, typer.Option("--log", metavar="FILE", help="Write the losses to a file as JSON lines.")
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """Train a model on a text, and print the path of its checkpoint.

    The defaults give a good model: three minutes, and a size that fits the text and the machine.
    Ctrl-C ends the run early and keeps the best model so far. --resume continues it as if nothing had happened.
    """
    refuse_contradictions(context)
    every = options.parse_duration(save_every) if save_every is not None else None
    stop, console = Stop(), Console(quiet)
    context.with_resource(work_shown(quiet))
    if resume is not None:
        from rnngen.runs.resume import resume as resume_run

        events = resume_run(
            resume, paths=texts or (), valid=valid, log=log, cache_dir=cache_dir, save_every=every,
            should_stop=stop.is_asked_for,
        )  # fmt: skip
        raise typer.Exit(_show(events, stop, console))
    training = TrainConfig(
        seconds=options.parse_duration(time) if time is not None else None,
        steps=steps, epochs=epochs, batch_size=batch_size, bptt=bptt, learning_rate=learning_rate,
        optimizer=optimizer, weight_decay=weight_decay, grad_clip=grad_clip, patience=patience,
        valid_fraction=valid_fraction, valid_part=valid_part, lines=lines, seed=seed, threads=threads,
        precision=precision, device=device,
    )  # fmt: skip
    sizes = ModelOptions(
        cell=cell, bidirectional=bidirectional, tags=tags, hidden_size=hidden_size, embedding_dim=embedding_dim,
        num_layers=num_layers, dropout=dropout,
        weight_drop=weight_drop, tie_weights=tie_weights, nonlinearity=nonlinearity, ngram_size=ngram_size,
        ngram_order=options.parse_order(ngram_order) if ngram_order is not None else None,
    )  # fmt: skip
    tokenizer = TokenizerConfig(
        level, vocab_size=vocab_size, min_count=min_count, split=split, subword_model=subword_model
    )
    given = given_options(context)
    keeps_tokenizer = tokenizer_file or (init_from is not None and not any(name in given for name in NEW_VOCABULARY))
    paths = _paths(texts)
    from rnngen.runs.request import SAVE_EVERY, Request
    from rnngen.runs.run import run

    request = Request(
        paths=tuple(paths), output=_output_path(output, paths), training=training, model=sizes,
        tokenizer=None if keeps_tokenizer else tokenizer, encoding=encoding, valid=valid,
        tokenizer_file=tokenizer_file, init_from=checkpoint_paths.find(init_from) if init_from is not None else None,
        log=log, force=force, cache_dir=cache_dir, save_every=every or SAVE_EVERY,
    )  # fmt: skip
    raise typer.Exit(_show(run(request, should_stop=stop.is_asked_for), stop, console))


def _show(events: Generator[Event, None, None], stop: Stop, console: Console) -> int:
    from rnngen.cli.run_display import show

    with contextlib.closing(events):
        return show(events, stop, console)


def _paths(texts: list[str] | None) -> list[str]:
    """The texts that are named, or standard input. Raises ConfigError, DataError without any text."""
    if texts:
        return options.read_or_explain(texts, "", "train")
    explanation = _no_text()
    paths = options.read_or_explain(None, explanation, "train")
    from rnngen.text.sources import has_standard_input

    if not has_standard_input():
        raise DataError(explanation)
    return paths


def _output_path(output: str | None, paths: list[str]) -> Path:
    if output:
        return checkpoint_paths.path_of(output)
    from rnngen.text.sources import is_descriptor

    name = "model" if is_descriptor(paths[0]) else Path(paths[0].removesuffix(".gz")).stem
    return checkpoint_paths.FOLDER / (name + checkpoint_paths.SUFFIX)


def embedded_corpora() -> list[Path]:
    """The texts that come with rnngen."""
    folder = resources.files("rnngen_corpora")
    return sorted(Path(str(entry)) for entry in folder.iterdir() if entry.name.endswith(".txt"))


def _no_text() -> str:
    named = " or ".join(
        f"rnngen train {shlex.quote(str(path))}{' --lines' * (path.stem == 'names')}" for path in embedded_corpora()
    )
    return f"no text to train on: name a file, or pipe one in; to try it on a text that comes with rnngen: {named}"
