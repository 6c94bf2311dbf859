"""`rnngen score`: how likely each line is."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnngen.cli import models, options
from rnngen.cli.output import Console, end_with_the_pipe, json_line
from rnngen.cli.scored_lines import ScoredLine, score_in_blocks
from rnngen.errors import DataError

if TYPE_CHECKING:
    from rnngen.text.tokenizer import Tokenizer


def score(
    texts: options.Texts = None,
    model: options.Model = None,
    tokens: Annotated[bool, typer.Option("--tokens", help="Every token with its surprisal in bits.")] = False,
    json: options.Json = False,
    on_unknown: options.Unknowns = "unk",
    encoding: options.Encoding = options.ENCODING,
    device: options.DeviceName = options.DEVICE,
    quiet: options.Quiet = False,
) -> None:
    """How likely each line is: one record a line, in order.

    A line is scored from a line break to the line break that ends it, by itself.
    Columns: log-probability in nats, tokens, unknown tokens, perplexity, the line.
    With --tokens: line, token number, token, surprisal in bits.
    """
    paths = options.read_or_explain(texts, "no text to score: name a file, or - for standard input")
    end_with_the_pipe()
    from rnngen.text.corpus import stream_lines

    console = Console(quiet)
    arriving = stream_lines(paths, encoding)  # which checks the files before the model is loaded
    loaded = models.load(model, device, console)
    write = {(False, False): _columns, (False, True): _record, (True, False): _token_rows, (True, True): _token_record}
    write_line = write[tokens, json]
    n_lines = n_unknown = 0
    first = None
    for block in score_in_blocks(loaded, arriving, on_unknown):
        for line in block:
            n_unknown += line.encoded.n_unknown
            first = first or line.first_unknown
            sys.stdout.write(write_line(line, loaded.checkpoint.tokenizer))
        n_lines += len(block)
        sys.stdout.flush()
    if not n_lines:
        raise DataError("the text is empty: there is nothing to score")
    console.unknowns(n_unknown, first, on_unknown, "the text")


def _numbers(line: ScoredLine) -> dict[str, Any]:
    from rnngen.engine.scoring import Totals

    totals = Totals(float(line.logprobs.sum(dtype="float64")), len(line.logprobs), line.encoded.n_unknown)
    return {name: getattr(totals, name) for name in ("logprob_nats", "n_tokens", "n_unknown", "perplexity")}


def _columns(line: ScoredLine, tokenizer: Tokenizer) -> str:
    logprob_nats, n_tokens, n_unknown, perplexity = _numbers(line).values()
    return f"{logprob_nats:.4f}\t{n_tokens}\t{n_unknown}\t{perplexity:.4f}\t{line.text}\n"


def _record(line: ScoredLine, tokenizer: Tokenizer) -> str:
    return json_line({"line": line.number, **_numbers(line), "text": line.text})


def _token_rows(line: ScoredLine, tokenizer: Tokenizer) -> str:
    from rnngen.text.symbols import visible

    names = [visible(tokenizer.token(id)) for id in [*line.encoded.ids.tolist(), tokenizer.newline_id]]
    return "".join(
        f"{line.number}\t{place}\t{name}\t{_bits(logprob):.4f}\n"
        for place, (name, logprob) in enumerate(zip(names, line.logprobs.tolist(), strict=True), 1)
    )


def _token_record(line: ScoredLine, tokenizer: Tokenizer) -> str:
    ids = [*line.encoded.ids.tolist(), tokenizer.newline_id]
    details = [
        {"token": tokenizer.token(id), "id": id, "logprob_nats": logprob, "surprisal_bits": _bits(logprob)}
        for id, logprob in zip(ids, line.logprobs.tolist(), strict=True)
    ]
    return json_line({"line": line.number, **_numbers(line), "text": line.text, "tokens": details})


def _bits(logprob_nats: float) -> float:
    return -logprob_nats / math.log(2)
