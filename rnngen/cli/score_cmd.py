"""`rnngen score`: how likely each line is."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnngen.cli import models, options
from rnngen.cli.output import Console, end_with_the_pipe, json_line
from rnngen.errors import DataError

if TYPE_CHECKING:
    from rnngen.engine.cells import Array
    from rnngen.text.tokenizer import Encoded, Tokenizer

MOST_LINES = 2048  # that are read before they are scored together
MOST_CHARS = 1 << 20


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
    from rnngen.engine.scoring import score_lines
    from rnngen.text.corpus import stream_lines
    from rnngen.text.tokenizer import encode_known

    console = Console(quiet)
    lines_in = stream_lines(paths, encoding)  # which checks the files before the model is loaded
    loaded = models.load(model, device, console)
    tokenizer = loaded.checkpoint.tokenizer
    write = {(False, False): _columns, (False, True): _record, (True, False): _token_rows, (True, True): _token_record}
    write_line = write[tokens, json]
    n_unknown, first = 0, None
    numbers = itertools.count(1)
    number = 0
    for block in blocks(lines_in):
        lines = [line.removesuffix("\n") for line in block]
        numbered = list(zip(lines, numbers, strict=False))
        encoded = [encode_known(tokenizer, line, on_unknown, f"line {number}") for line, number in numbered]
        scored = score_lines(loaded.model, [line.ids for line in encoded], tokenizer.newline_id)
        for (line, number), ids, logprobs in zip(numbered, encoded, scored, strict=True):
            n_unknown += ids.n_unknown
            if first is None and ids.first_unknown is not None:
                first = f"{ids.first_unknown} of line {number}"
            sys.stdout.write(write_line(number, line, ids, logprobs, tokenizer))
        sys.stdout.flush()
    if not number:
        raise DataError("the text is empty: there is nothing to score")
    console.unknowns(n_unknown, first, on_unknown, "the text")


def blocks(lines: Iterator[list[str]]) -> Iterator[list[str]]:
    """Lines as they came in, parted into blocks that are scored together."""
    for arrived in lines:
        block: list[str] = []
        size = 0
        for line in arrived:
            block.append(line)
            size += len(line)
            if len(block) >= MOST_LINES or size >= MOST_CHARS:
                yield block
                block, size = [], 0
        if block:
            yield block


def _numbers(encoded: Encoded, logprobs: Array) -> dict[str, Any]:
    from rnngen.engine.scoring import Totals

    totals = Totals(float(logprobs.sum(dtype="float64")), len(logprobs), encoded.n_unknown)
    return {name: getattr(totals, name) for name in ("logprob_nats", "n_tokens", "n_unknown", "perplexity")}


def _columns(number: int, line: str, encoded: Encoded, logprobs: Array, tokenizer: Tokenizer) -> str:
    found = _numbers(encoded, logprobs)
    return (
        f"{found['logprob_nats']:.4f}\t{found['n_tokens']}\t{found['n_unknown']}\t{found['perplexity']:.4f}\t{line}\n"
    )


def _record(number: int, line: str, encoded: Encoded, logprobs: Array, tokenizer: Tokenizer) -> str:
    return json_line({"line": number, **_numbers(encoded, logprobs), "text": line})


def _token_rows(number: int, line: str, encoded: Encoded, logprobs: Array, tokenizer: Tokenizer) -> str:
    from rnngen.text.symbols import visible

    names = [visible(tokenizer.token(id)) for id in [*encoded.ids.tolist(), tokenizer.newline_id]]
    return "".join(
        f"{number}\t{place}\t{name}\t{_bits(logprob):.4f}\n"
        for place, (name, logprob) in enumerate(zip(names, logprobs.tolist(), strict=True), 1)
    )


def _token_record(number: int, line: str, encoded: Encoded, logprobs: Array, tokenizer: Tokenizer) -> str:
    ids = [*encoded.ids.tolist(), tokenizer.newline_id]
    details = [
        {"token": tokenizer.token(id), "id": id, "logprob_nats": logprob, "surprisal_bits": _bits(logprob)}
        for id, logprob in zip(ids, logprobs.tolist(), strict=True)
    ]
    return json_line({"line": number, **_numbers(encoded, logprobs), "text": line, "tokens": details})


def _bits(logprob_nats: float) -> float:
    return -logprob_nats / math.log(2)
