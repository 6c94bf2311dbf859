"""`rnngen fill`: what is missing in the gaps of lines."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from rnngen import models, uses
from rnngen.checks import check_whole
from rnngen.cli import options
from rnngen.cli.output import Console, end_with_the_pipe, for_stdout
from rnngen.printable import escaped
from rnngen.storage.json_lines import json_line

if TYPE_CHECKING:
    from rnngen.evaluate.filling import FilledLine

COLUMNS = ("line", "probability", "fillers", "text")
BETWEEN_FILLERS = " | "


def fill(
    lines: Annotated[
        list[str] | None,
        typer.Argument(metavar="LINE", help="A line with gaps. - is standard input, a line each."),
    ] = None,
    files: Annotated[
        list[str] | None, typer.Option("-f", "--file", metavar="FILE", help="Read lines from a file; repeat it.")
    ] = None,
    model: options.Model = None,
    gap: Annotated[str, typer.Option("--gap", metavar="STRING", help="What marks a gap.")] = "___",
    gap_length: Annotated[
        str | None,
        typer.Option(
            "--gap-length", metavar="N|N-M", help="Tokens in a gap; of a range the best is taken.",
            show_default="1 word, 1-3 subwords, or 1-8 characters or bytes",
        ),
    ] = None,
    top: Annotated[int, typer.Option("--top", metavar="N", help="Print the N most likely fillings of a line.")] = 5,
    json: options.Json = False,
    header: Annotated[bool, typer.Option("--header/--no-header", help="Name the columns in the first line.")] = True,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of the sampling where gaps are long.")] = 0,
    on_unknown: options.Unknowns = "unk",
    encoding: options.Encoding = options.ENCODING,
    device: options.DeviceName = options.DEVICE,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """What is missing in the gaps of lines: the most likely fillings with their probabilities.

    A bidirectional model (`train --bidirectional`) weighs a filler by both sides. Another one finds it by beam search,
    and weighs it by the probability of the whole line. Columns: number of the line, probability, fillers, line.
    """
    check_whole("top", top, 1)
    check_whole("seed", seed, 0)
    from rnngen.evaluate.gaps import GapLength
    from rnngen.text.streams import stream_lines

    if gap_length is not None:
        GapLength.of(gap_length)  # before the model is loaded
    end_with_the_pipe()
    console = Console(quiet)
    given = [line for line in lines or [] if line != "-"]
    paths = [*(files or []), *["-"] * (len(given) < len(lines or []))]
    if not given:
        paths = options.read_or_explain(paths or None, "no line to fill: write one, or name a file with --file", "fill")
    arriving: Iterable[str] = given
    if paths:
        arriving = itertools.chain(given, itertools.chain.from_iterable(stream_lines(paths, encoding, console.note)))
    loaded = models.load(model, device=device, say=console.note)
    from_both = loaded.config.bidirectional
    console.note(
        "fills from both sides" if from_both else "fills by beam search from the left, and weighs what follows"
    )
    filled = uses.fill(loaded, arriving, gap=gap, gap_length=gap_length, top=top, seed=seed, on_unknown=on_unknown)
    for number, one in enumerate(filled, 1):
        if header and not json and number == 1:
            sys.stdout.write("\t".join(COLUMNS) + "\n")
        sys.stdout.writelines(_record(number, one) if json else _rows(number, one))
        sys.stdout.flush()


def _rows(number: int, line: FilledLine) -> Iterator[str]:
    shown = for_stdout(escaped)
    for filling in line.fillings:
        fillers = BETWEEN_FILLERS.join(filling.fillers)
        yield f"{number}\t{filling.probability:.6f}\t{shown(fillers)}\t{filling.text}\n"


def _record(number: int, line: FilledLine) -> Iterator[str]:
    fillings = [
        {"fillers": list(one.fillers), "probability": one.probability, "text": one.text} for one in line.fillings
    ]
    yield json_line({"line": number, "method": line.method, "fillings": fillings})
