"""`rnngen perplexity`: how well models predict a text."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rnngen.cli import models, options
from rnngen.cli.output import Console, end_with_the_pipe, json_line, plural, table
from rnngen.config import OnUnknown
from rnngen.errors import DataError

if TYPE_CHECKING:
    from rnngen.engine.scoring import Totals
    from rnngen.text.corpus import FileText

COLUMNS = (
    ("n_tokens", "d"), ("n_words", "d"), ("n_chars", "d"), ("n_bytes", "d"), ("n_unknown", "d"),
    ("loss_nats", ".4f"), ("perplexity", ".4f"), ("perplexity_per_word", ".4f"),
    ("bits_per_char", ".4f"), ("bits_per_byte", ".4f"),
)  # fmt: skip

State = Literal["carry", "reset"]


def perplexity(
    texts: options.Texts = None,
    model: options.Models = None,
    state: Annotated[
        State, typer.Option("--state", help="Carry the state through the text, or reset it at every line.")
    ] = "carry",
    json: options.Json = False,
    on_unknown: options.Unknowns = "unk",
    encoding: options.Encoding = "utf-8",
    device: options.DeviceName = "cpu",
    quiet: options.Quiet = False,
) -> None:
    """How well a model predicts a text: one row a model.

    loss_nats and perplexity are per token (line breaks are tokens). perplexity_per_word is exp(all nats / n_words),
    words being what white space separates: it compares models whatever their tokens are, as the bits do.
    """
    paths = options.read_or_explain(texts, "no text to measure: name a file, or - for standard input")
    end_with_the_pipe()
    from rnngen.text.corpus import FileText

    console = Console(quiet)
    text = FileText(paths, encoding)
    loaded = [models.load(name, device, console) for name in model or (None,)]
    rows = []
    for one in loaded:
        totals = _measure(one, text, state, on_unknown, console)
        if json:
            sys.stdout.write(json_line({"model": str(one.path), "state": state, **_numbers(totals)}))
            sys.stdout.flush()
        shown = [format(value, form) for value, (_, form) in zip(_numbers(totals).values(), COLUMNS, strict=True)]
        rows.append([str(one.path), *shown])
    if not json:
        sys.stdout.write(table(["model", *dict(COLUMNS)], rows))


def _numbers(totals: Totals) -> dict[str, Any]:
    return {name: getattr(totals, name) for name, _ in COLUMNS}


def _measure(loaded: models.Loaded, text: FileText, state: State, on_unknown: OnUnknown, console: Console) -> Totals:
    measured = _by_lines(loaded, text, on_unknown) if state == "reset" else _carried(loaded, text, on_unknown)
    if not measured.n_tokens:
        raise DataError("the text is empty: there is nothing to measure")
    if measured.n_unknown:
        handled = "left out" if on_unknown == "skip" else "taken as the unknown symbol"
        console.note(f"{plural(measured.n_unknown, 'unknown symbol')}, {handled}")
    return measured


def _carried(loaded: models.Loaded, text: FileText, on_unknown: OnUnknown) -> Totals:
    from rnngen.engine.scoring import Totals, count_text, score_text
    from rnngen.text.tokens import write_tokens

    tokenizer = loaded.checkpoint.tokenizer
    totals = Totals()
    tokens = write_tokens(text, tokenizer, on_unknown)
    for chunk in text.chunks():
        totals += count_text(chunk)
    for logprobs in score_text(loaded.model, tokens.ids, tokenizer.newline_id):
        totals += Totals(float(logprobs.sum(dtype="float64")), len(logprobs))
    return totals + Totals(n_unknown=tokens.n_unknown)


def _by_lines(loaded: models.Loaded, text: FileText, on_unknown: OnUnknown) -> Totals:
    from rnngen.cli.score_cmd import blocks
    from rnngen.engine.scoring import Totals, count_text, score_lines
    from rnngen.text.tokenizer import encode_known

    tokenizer = loaded.checkpoint.tokenizer
    totals = Totals()
    for block in blocks(text.lines()):
        lines = [line.removesuffix("\n") for line in block]
        encoded = [encode_known(tokenizer, line, on_unknown, "the text") for line in lines]
        totals += count_text("\n".join(lines) + "\n") + Totals(n_unknown=sum(line.n_unknown for line in encoded))
        for logprobs in score_lines(loaded.model, [line.ids for line in encoded], tokenizer.newline_id):
            totals += Totals(float(logprobs.sum(dtype="float64")), len(logprobs))
    return totals
