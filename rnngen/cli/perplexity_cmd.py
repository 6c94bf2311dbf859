"""`rnngen perplexity`: how well models predict a text."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rnngen.cli import models, options
from rnngen.cli.output import Console, end_with_the_pipe, json_line, table
from rnngen.cli.scored_lines import score_in_blocks
from rnngen.config import OnUnknown
from rnngen.errors import DataError

if TYPE_CHECKING:
    from rnngen.engine.scoring import Totals
    from rnngen.text.corpus import FileText
    from rnngen.text.tokenizer import Tokenizer

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
    encoding: options.Encoding = options.ENCODING,
    device: options.DeviceName = options.DEVICE,
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
    records, rows = [], []
    for one in loaded:
        totals = _measure(one, text, state, on_unknown, console)
        records.append({"model": str(one.path), "state": state, **_numbers(totals)})
        shown = [format(value, form) for value, (_, form) in zip(_numbers(totals).values(), COLUMNS, strict=True)]
        rows.append([str(one.path), *shown])
    if json:
        sys.stdout.write("".join(map(json_line, records)))
    else:
        sys.stdout.write(table(["model", *dict(COLUMNS)], rows))


def _numbers(totals: Totals) -> dict[str, Any]:
    return {name: getattr(totals, name) for name, _ in COLUMNS}


def _measure(loaded: models.Loaded, text: FileText, state: State, on_unknown: OnUnknown, console: Console) -> Totals:
    measure = _by_lines if state == "reset" else _carried
    totals, first = measure(loaded, text, on_unknown)
    if not totals.n_tokens:
        what = "has unknown symbols only, all left out" if totals.n_unknown else "is empty"
        raise DataError(f"the text {what}: there is nothing to measure")
    console.unknowns(totals.n_unknown, first, on_unknown, "the text")
    return totals


def _carried(loaded: models.Loaded, text: FileText, on_unknown: OnUnknown) -> tuple[Totals, object]:
    from rnngen.engine.scoring import Totals, count_text, score_text
    from rnngen.text.tokens import write_tokens

    tokenizer = loaded.checkpoint.tokenizer
    tokens = write_tokens(text, tokenizer, on_unknown)
    totals = Totals(n_unknown=tokens.n_unknown)
    left_out = on_unknown == "skip" and tokens.n_unknown
    for chunk in text.chunks():
        # Characters that were left out of the sum must be left out of what it is divided by.
        totals += count_text(_known_part(tokenizer, chunk) if left_out else chunk)
    for logprobs in score_text(loaded.model, tokens.ids, tokenizer.newline_id):
        totals += Totals(float(logprobs.sum(dtype="float64")), len(logprobs))
    return totals, tokens.first_unknown


def _by_lines(loaded: models.Loaded, text: FileText, on_unknown: OnUnknown) -> tuple[Totals, object]:
    from rnngen.engine.scoring import Totals, count_text

    tokenizer = loaded.checkpoint.tokenizer
    totals = Totals()
    first = None
    for block in score_in_blocks(loaded, text.line_blocks(), on_unknown):
        for line in block:
            first = first or line.first_unknown
            left_out = on_unknown == "skip" and line.encoded.n_unknown
            totals += count_text((_known_part(tokenizer, line.text) if left_out else line.text) + "\n")
            totals += Totals(float(line.logprobs.sum(dtype="float64")), len(line.logprobs), line.encoded.n_unknown)
    return totals, first


def _known_part(tokenizer: Tokenizer, text: str) -> str:
    ids = tokenizer.encode(text)
    return tokenizer.decode(ids[ids != tokenizer.unk_id])
