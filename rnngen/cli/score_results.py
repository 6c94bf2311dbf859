"""What `score` prints, block by block as it comes: scored lines, n-best lists, classified lines."""

from __future__ import annotations

import itertools
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rnngen.cli.output import Console
from rnngen.cli.score_formats import Writer, file_column
from rnngen.cli.terminal import unguarded
from rnngen.config import NbestForm, OnUnknown
from rnngen.errors import ConfigError, DataError
from rnngen.evaluate.scored_lines import ScoredLine
from rnngen.evaluate.selection import Choice, choose_texts
from rnngen.models import Model
from rnngen.printable import plural
from rnngen.storage.json_lines import json_line
from rnngen.text.streams import Lines
from rnngen.text.unpacking import of_file
from rnngen.tokenizers.unknowns import Unknowns

if TYPE_CHECKING:
    from rnngen.evaluate.classification import ClassifiedLine

CLASSIFIED_COLUMNS = ("line", "model", "posterior", "margin_nats", "text")


def write_lines(
    blocks: Iterator[list[ScoredLine]], writer: Writer, choice: Choice, on_unknown: OnUnknown, console: Console
) -> None:
    """Write the chosen lines to standard output, block by block where they keep their order.

    Raises:
        DataError: there is no line at all.
    """
    first = next(blocks, None)
    if first is None:
        raise DataError("the text is empty: there is nothing to score")
    unknowns = Unknowns()
    counted = _counted(itertools.chain([first], blocks), unknowns)
    out = unguarded(sys.stdout) if writer.paints else sys.stdout
    # Not before a block is scored: an error leaves standard output empty.
    out.write(writer.begin())
    for texts in choose_texts(counted, choice, writer.line):
        out.writelines(texts)
        out.flush()
    out.write(writer.end())
    console.note(unknowns.note("the text", on_unknown))


def _counted(blocks: Iterable[list[ScoredLine]], unknowns: Unknowns) -> Iterator[list[ScoredLine]]:
    """The same blocks; unknown symbols are counted in every line, whether it is chosen or not."""
    for block in blocks:
        for line in block:
            unknowns.add(line.encoded, f" of line {line.number}{of_file(line.file)}")
        yield block


def write_nbest(
    model: Model,
    files: Iterable[Lines],
    form: NbestForm,
    *,
    feature: str,
    best: bool,
    weight: float | None,
    on_unknown: OnUnknown,
    console: Console,
) -> None:
    """Write n-best lists with new scores, or the best hypothesis of each list.

    Raises:
        ConfigError: the weight is not one for this form, or the feature's name cannot be one.
        DataError, TokenizerError: a line cannot be scored; those before it have been written.
    """
    from rnngen.evaluate.rescoring import best_hypotheses, rescore_files

    unknowns = Unknowns()
    blocks = rescore_files(model.network, model.tokenizer, files, form, on_unknown, unknowns, feature=feature)
    if best:
        for hypothesis in best_hypotheses(itertools.chain.from_iterable(blocks), form, weight, console.note):
            sys.stdout.write(f"{hypothesis.if_best}\n")
            sys.stdout.flush()
    else:
        n_replaced = 0
        for block in blocks:
            sys.stdout.writelines(f"{rescored.line}\n" for rescored in block)
            sys.stdout.flush()
            n_replaced += sum(one.hypothesis is not None and one.hypothesis.replaces for one in block)
        if n_replaced:
            console.note(
                f"{plural(n_replaced, 'line')} had {feature}= already, and its number was replaced: --feature NAME "
                "appends the new number under another name"
            )
    console.note(unknowns.note("the list", on_unknown))


def write_classified(
    models: list[Model],
    files: Iterable[Lines],
    on_unknown: OnUnknown,
    *,
    json: bool,
    header: bool,
    several: bool,
    console: Console,
) -> None:
    """Write for every line the model that explains it best, its posterior and its margin over the second best.

    Args:
        several: there are several files, so each row names its own.

    Raises:
        ConfigError: a model is named twice, or unknown symbols are to be left out.
        DataError: there are no lines.
    """
    from rnngen.evaluate.classification import UNKNOWN_NATS, classify_files

    named = {name: (one.network, one.tokenizer) for name, one in zip(_names(models), models, strict=True)}
    n_lines = n_charged = 0
    for block in classify_files(named, files, on_unknown):
        if header and not json and not n_lines:
            sys.stdout.write(file_column("file" if several else None) + "\t".join(CLASSIFIED_COLUMNS) + "\n")
        n_lines += len(block)
        n_charged += sum(line.is_charged for line in block)
        sys.stdout.writelines(map(_classified_record if json else _classified_row, block))
        sys.stdout.flush()
    if not n_lines:
        raise DataError("the text is empty: there is nothing to classify")
    if n_charged:
        console.note(
            f"{plural(n_charged, 'line')} of {n_lines:,} with symbols that a model does not know: each such symbol is "
            f"charged {UNKNOWN_NATS:.2f} nats for each of its characters, and a word as much for its end"
        )


def _names(models: list[Model]) -> list[str]:
    """The stems of the models' files; the whole paths of those whose stems are equal."""
    paths = [one.path for one in models if one.path is not None]  # a model that was loaded has one
    twice = [path for path, count in Counter(path.resolve() for path in paths).items() if count > 1]
    if twice:
        raise ConfigError(f"--classify has the model {twice[0]} twice: name it once")
    stems = Counter(path.stem for path in paths)
    return [path.stem if stems[path.stem] == 1 else str(path) for path in paths]


def _classified_row(line: ClassifiedLine) -> str:
    place = f"{file_column(line.file)}{line.number}"
    return f"{place}\t{line.model}\t{line.posterior:.6f}\t{line.margin_nats:.4f}\t{line.text}\n"


def _classified_record(line: ClassifiedLine) -> str:
    record = {
        "line": line.number,
        "model": line.model,
        "posterior": line.posterior,
        "margin_nats": line.margin_nats,
        "logprobs_nats": line.logprobs_nats,
        "text": line.text,
    }
    return json_line(record if line.file is None else {"file": line.file, **record})
