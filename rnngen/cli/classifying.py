"""`rnngen score --classify`: which of several models explains each line best.

What is compared is the probability of the whole line, its end included. A model that calls a symbol unknown has said
less about it than one that spells it, and at word level "unknown" is cheap: taken as it is, the model with the poorest
vocabulary would win. So an unknown symbol is charged, beside the model's own probability of an unknown symbol, with a
choice of each of its characters among all of Unicode, each as likely as any other; a word besides with the choice of
where it ends. Then no model gives to the spellings of its unknown symbol more than it has for that symbol, and models
can be compared whatever they know, and at whatever level. Models of split text (`--split whitespace`) say nothing
about the white space between words: compare them with their like.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rnngen.cli.output import Console, json_line
from rnngen.config import OnUnknown
from rnngen.errors import ConfigError, DataError
from rnngen.evaluate.scored_lines import ScoredLine, score_in_blocks
from rnngen.models import Model
from rnngen.printable import plural

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from rnngen.evaluate.classification import Decisions
    from rnngen.tokenizers.base import Tokenizer

COLUMNS = ("line", "model", "posterior", "margin_nats", "text")
UNKNOWN_NATS = math.log(sys.maxunicode + 1)  # of one of 1,114,112 code points


def classify(
    loaded: list[Model],
    arriving: Iterator[list[str]],
    on_unknown: OnUnknown,
    json: bool,
    console: Console,
    header: bool = True,
) -> None:
    """Write, for every line, the model that wins, its posterior with equal priors, and its margin over the second.

    Args:
        arriving: lines with their line breaks, those together that came together.
        header: name the columns first.

    Raises:
        ConfigError: fewer than two models, one of them twice, or unknown symbols to be left out.
        DataError: there are no lines.
    """
    names = _names(loaded)
    if on_unknown == "skip":
        raise ConfigError(
            "--classify cannot leave unknown symbols out: the model that knows least would have the least to explain; "
            "give --on-unknown unk or error"
        )
    n_lines = n_charged = 0
    for block in _scored_by_each(loaded, arriving, on_unknown):
        if header and not json and not n_lines:
            sys.stdout.write("\t".join(COLUMNS) + "\n")
        n_lines += len(block[0])
        n_charged += sum(any(line.encoded.n_unknown for line in lines) for lines in zip(*block, strict=True))
        _write(names, loaded, block, json)
        sys.stdout.flush()
    if not n_lines:
        raise DataError("the text is empty: there is nothing to classify")
    if n_charged:
        console.note(
            f"{plural(n_charged, 'line')} of {n_lines:,} with symbols that a model does not know: each such symbol is "
            f"charged {UNKNOWN_NATS:.2f} nats for each of its characters, and a word as much for its end"
        )


def charged_logprob_nats(line: ScoredLine, tokenizer: Tokenizer) -> float:
    """The log-probability of a line, its unknown symbols charged with their spelling."""
    logprob_nats = float(line.logprobs.sum(dtype="float64"))
    if not line.encoded.n_unknown:
        return logprob_nats
    spans = tokenizer.spans(line.text)[line.encoded.ids == tokenizer.unk_id]
    n_choices = int((spans[:, 1] - spans[:, 0]).sum())
    if tokenizer.level == "word":
        n_choices += len(spans)
    return logprob_nats - UNKNOWN_NATS * n_choices


def _names(loaded: list[Model]) -> list[str]:
    """The stems of the models' files, and the whole paths of those whose stems are equal."""
    if len(loaded) < 2:
        raise ConfigError("--classify compares models: name two or more, each with -m")
    twice = [path for path, count in Counter(one.path.resolve() for one in loaded).items() if count > 1]
    if twice:
        raise ConfigError(f"--classify has the model {twice[0]} twice: name it once")
    stems = Counter(one.path.stem for one in loaded)
    return [one.path.stem if stems[one.path.stem] == 1 else str(one.path) for one in loaded]


def _scored_by_each(
    loaded: list[Model], arriving: Iterator[list[str]], on_unknown: OnUnknown
) -> Iterator[tuple[list[ScoredLine], ...]]:
    """The same block of lines as each model scores it.

    The copies are read in step, so that no more is kept than the lines that arrived together.
    """
    copies = itertools.tee(arriving, len(loaded))
    scored = [score_in_blocks(one, copy, on_unknown) for one, copy in zip(loaded, copies, strict=True)]
    return zip(*scored, strict=True)


def _write(names: list[str], loaded: list[Model], block: tuple[list[ScoredLine], ...], json: bool) -> None:
    import numpy as np

    from rnngen.evaluate.classification import decide

    logprobs = np.array(
        [
            [charged_logprob_nats(line, one.tokenizer) for line in lines]
            for one, lines in zip(loaded, block, strict=True)
        ]
    )  # [M, N]
    write = _records if json else _rows
    sys.stdout.writelines(write(names, block[0], logprobs, decide(logprobs)))


def _rows(
    names: list[str], lines: list[ScoredLine], logprobs: npt.NDArray[np.float64], decisions: Decisions
) -> Iterator[str]:
    for place, line in enumerate(lines):
        name = names[decisions.winners[place]]
        numbers = f"{decisions.posteriors[place]:.6f}\t{decisions.margins_nats[place]:.4f}"
        yield f"{line.number}\t{name}\t{numbers}\t{line.text}\n"


def _records(
    names: list[str], lines: list[ScoredLine], logprobs: npt.NDArray[np.float64], decisions: Decisions
) -> Iterator[str]:
    for place, line in enumerate(lines):
        yield json_line(
            {
                "line": line.number,
                "model": names[decisions.winners[place]],
                "posterior": float(decisions.posteriors[place]),
                "margin_nats": float(decisions.margins_nats[place]),
                "logprobs_nats": dict(zip(names, logprobs[:, place].tolist(), strict=True)),
                "text": line.text,
            }
        )
