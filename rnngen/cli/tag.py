"""`rnngen tag`: a tag for each word."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rnngen import models
from rnngen.checks import check_whole
from rnngen.cli import options
from rnngen.cli.contradictions import refuse_contradictions
from rnngen.cli.output import Console, end_with_the_pipe, for_stdout
from rnngen.errors import DataError
from rnngen.printable import escaped
from rnngen.storage.json_lines import json_line

if TYPE_CHECKING:
    from rnngen.evaluate.tagging import Accuracy, TaggedWord

TagFormat = Literal["tsv", "jsonl", "slash"]
COLUMNS = ("line", "word_number", "word", "tag")


def tag(
    context: typer.Context,
    texts: options.Texts = None,
    model: options.Model = None,
    format: Annotated[
        TagFormat | None,
        typer.Option("--format", help="Print a row a word, a JSON object a line, or word/TAG.", show_default="tsv"),
    ] = None,
    json: options.Json = False,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Print the probability of each tag too.")
    ] = False,
    measure: Annotated[
        bool,
        typer.Option("--measure", help="The texts have tags (words, a tab, tags): how many are found, and which not."),
    ] = False,
    top: Annotated[int, typer.Option("--top", metavar="N", help="Show the N most frequent confusions.")] = 10,
    header: Annotated[bool, typer.Option("--header/--no-header", help="Name the columns in the first line.")] = True,
    encoding: options.Encoding = options.ENCODING,
    quiet: options.Quiet = False,
) -> None:
    """A tag for each word, by a model of `rnngen train --tags`.

    Words are what white space separates. Columns: number of the line, of the word, word, tag. With --measure: the share
    of right tags, of all words and of those that the model has not met, and which tags are taken for which.
    """
    refuse_contradictions(context)
    check_whole("top", top, 0)
    from rnngen.engine.runner import tagger_of
    from rnngen.evaluate.tagging import measure_tags, tag_lines
    from rnngen.text.streams import stream_lines

    json = json or format == "jsonl"
    paths = options.read_or_explain(texts, "no text to tag: name a file, or - for standard input", "tag")
    end_with_the_pipe()
    console = Console(quiet)
    arriving = stream_lines(paths, encoding, console.note)
    loaded = models.load(model, say=console.note)
    tagger = tagger_of(loaded.runner, loaded.path)
    if measure:
        _write_accuracy(measure_tags(tagger, arriving), top, json)
        return
    write = _json if json else _slash if format == "slash" else _rows
    numbers = itertools.count(1)
    for block in tag_lines(tagger, arriving):
        for number, words in zip(numbers, block, strict=False):
            if number == 1 and header and write is _rows:
                sys.stdout.write("\t".join(COLUMNS) + "\tprobability" * probabilities + "\n")
            sys.stdout.write(write(number, words, probabilities))
        sys.stdout.flush()


def _rows(number: int, words: list[TaggedWord], probabilities: bool) -> str:
    shown: Callable[[str], str] = for_stdout(escaped)
    return "".join(
        f"{number}\t{place}\t{shown(one.word)}\t{shown(one.tag)}" + f"\t{one.probability:.4f}" * probabilities + "\n"
        for place, one in enumerate(words, 1)
    )


def _slash(number: int, words: list[TaggedWord], probabilities: bool) -> str:
    ends = [f"/{one.probability:.4f}" * probabilities for one in words]
    return " ".join(f"{one.word}/{one.tag}{end}" for one, end in zip(words, ends, strict=True)) + "\n"


def _json(number: int, words: list[TaggedWord], probabilities: bool) -> str:
    records = [
        {"word": one.word, "tag": one.tag, "known": one.known}
        | ({"probability": one.probability} if probabilities else {})
        for one in words
    ]
    return json_line({"line": number, "words": records})


def _write_accuracy(found: Accuracy, top: int, json: bool) -> None:
    if not found.n_words:
        raise DataError("the text is empty: there is nothing to measure")
    confusions = found.confusions.most_common(top)
    unknown = None if math.isnan(found.unknown_accuracy) else found.unknown_accuracy
    record = {
        "n_words": found.n_words, "accuracy": found.accuracy, "n_unknown": found.n_unknown,
        "unknown_accuracy": unknown,
    }  # fmt: skip
    if json:
        pairs = [{"tag": tag, "taken_for": other, "count": count} for (tag, other), count in confusions]
        sys.stdout.write(json_line({**record, "confusions": pairs}))
        return
    cells = [f"{value:.4f}" if isinstance(value, float) else str(value) for value in record.values()]
    sys.stdout.write("\t".join(record) + "\n" + "\t".join(cells).replace("None", "-") + "\n")
    if confusions:
        rows = (f"{tag}\t{other}\t{count}\n" for (tag, other), count in confusions)
        sys.stdout.write("\ntag\ttaken_for\tcount\n" + "".join(rows))
