"""`rnngen score`: how likely each line is."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnngen.cli import models, options
from rnngen.cli.output import Console, end_with_the_pipe, json_line, plural
from rnngen.config import OnUnknown

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
    encoding: options.Encoding = "utf-8",
    device: options.DeviceName = "cpu",
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
    lines_in = stream_lines(paths, encoding)
    loaded = models.load(model, device, console)
    tokenizer = loaded.checkpoint.tokenizer
    write = {(False, False): _columns, (False, True): _record, (True, False): _token_rows, (True, True): _token_record}
    write_line = write[tokens, json]
    tally = _UnknownTally()
    numbers = itertools.count(1)
    for block in blocks(lines_in):
        lines = [line.removesuffix("\n") for line in block]
        numbered = list(zip(lines, numbers, strict=False))
        encoded = [encode_known(tokenizer, line, on_unknown, f"line {number}") for line, number in numbered]
        scored = score_lines(loaded.model, [line.ids for line in encoded], tokenizer.newline_id)
        for (line, number), ids, logprobs in zip(numbered, encoded, scored, strict=True):
            tally.add(number, ids)
            sys.stdout.write(write_line(number, line, ids, logprobs, tokenizer))
        sys.stdout.flush()
    tally.tell(on_unknown, console)


def blocks(lines: Iterator[str]) -> Iterator[list[str]]:
    """Lines in growing blocks: the first records come at once, the many are scored fast."""
    most = 1
    block: list[str] = []
    size = 0
    for line in lines:
        block.append(line)
        size += len(line)
        if len(block) >= most or size >= MOST_CHARS:
            yield block
            most = min(4 * most, MOST_LINES)
            block, size = [], 0
    if block:
        yield block


def _numbers(encoded: Encoded, logprobs: Array) -> dict[str, Any]:
    total = float(logprobs.sum(dtype="float64"))
    mean = -total / len(logprobs)
    return {
        "logprob_nats": total,
        "n_tokens": len(logprobs),
        "n_unknown": encoded.n_unknown,
        "perplexity": math.exp(mean) if mean < 700 else math.inf,
    }


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


class _UnknownTally:
    def __init__(self) -> None:
        self._count = 0
        self._first: tuple[int, object] | None = None

    def add(self, number: int, encoded: Encoded) -> None:
        self._count += encoded.n_unknown
        if self._first is None and encoded.first_unknown is not None:
            self._first = (number, encoded.first_unknown)

    def tell(self, on_unknown: OnUnknown, console: Console) -> None:
        if self._first is not None:
            line, first = self._first
            handled = "left out" if on_unknown == "skip" else "taken as the unknown symbol"
            console.note(f"{plural(self._count, 'unknown symbol')}, {handled}; the first is {first} of line {line}")
