"""Which of several models explains each line best.

What is compared is the probability of the whole line, its end included. A model that calls a symbol unknown has said
less about it than one that spells it, and at word level "unknown" is cheap: taken as it is, the model with the poorest
vocabulary would win. So an unknown symbol is charged, beside the model's own probability of an unknown symbol, with a
choice of each of its characters among all of Unicode, each as likely as any other; a word is also charged with the
choice of where it ends. Then no model gives to the spellings of its unknown symbol more than it has for that symbol,
and models can be compared whatever they know, and at whatever level. Models of split text (`--split whitespace`) say
nothing about the white space between words: compare them with each other only.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rnngen.config import OnUnknown
from rnngen.engine.language_model import LanguageModel
from rnngen.errors import ConfigError
from rnngen.evaluate.scored_lines import ScoredLine, score_files
from rnngen.text.streams import Lines
from rnngen.tokenizers.base import Tokenizer

UNKNOWN_NATS = math.log(sys.maxunicode + 1)  # of one of 1,114,112 code points


@dataclass(frozen=True, kw_only=True)
class ClassifiedLine:
    """A line and the model that explains it best.

    Attributes:
        number: counted from 1 in its file.
        file: the path of its file, where there are several.
        model: the name of the model under which the line is the most likely one.
        posterior: of that model when all models are as likely beforehand, 1/M to 1.
        margin_nats: over the second best model, 0 or more.
        logprobs_nats: of the line under each model, by its name, with what unknown symbols are charged.
        is_charged: a model does not know a symbol of the line.
    """

    number: int
    file: str | None = None
    model: str
    posterior: float
    margin_nats: float
    logprobs_nats: dict[str, float]
    text: str
    is_charged: bool


def classify(
    models: Mapping[str, tuple[LanguageModel, Tokenizer]],
    arriving: Iterable[list[str]],
    on_unknown: OnUnknown = "unk",
) -> Iterator[list[ClassifiedLine]]:
    """Find for every line of one file the model that explains it best: see `classify_files`.

    Args:
        arriving: lines with their line breaks; those that arrived together stand together.
    """
    return classify_files(models, [(None, arriving)], on_unknown)


def classify_files(
    models: Mapping[str, tuple[LanguageModel, Tokenizer]], files: Iterable[Lines], on_unknown: OnUnknown = "unk"
) -> Iterator[list[ClassifiedLine]]:
    """Find for every line the model that explains it best.

    Args:
        models: networks and tokenizers by the names of the models, two or more.

    Returns:
        An iterator of the lines that were scored together, in order.

    Raises:
        ConfigError: fewer than two models, or unknown symbols are to be left out.
        TokenizerError: a symbol is unknown and `on_unknown` is "error"; raised while iterating.
    """
    if len(models) < 2:
        raise ConfigError("classification compares models: name two or more")
    if on_unknown == "skip":
        raise ConfigError(
            "on_unknown is 'skip': it must be unk or error where models are compared; with unknown symbols left out, "
            "the model that knows least would have the least to explain"
        )
    by_each = itertools.chain.from_iterable(_scored_by_each(models, lines, on_unknown) for lines in files)
    return (_decided(list(models), lines) for lines in by_each)


def _scored_by_each(
    models: Mapping[str, tuple[LanguageModel, Tokenizer]], lines: Lines, on_unknown: OnUnknown
) -> Iterator[tuple[list[ScoredLine], ...]]:
    """The same block of lines as each model scores it.

    The copies are read in step, so that no more is kept than the lines that arrived together.
    """
    file, arriving = lines
    copies = itertools.tee(arriving, len(models))
    return zip(
        *(score_files(*model, [(file, copy)], on_unknown) for model, copy in zip(models.values(), copies, strict=True)),
        strict=True,
    )


def _decided(names: list[str], by_model: tuple[list[ScoredLine], ...]) -> list[ClassifiedLine]:
    logprobs = np.array([[charged_logprob_nats(line) for line in lines] for lines in by_model])  # [M, N]
    decisions = decide(logprobs)
    return [
        ClassifiedLine(
            number=lines[0].number,
            file=lines[0].file,
            model=names[decisions.winners[place]],
            posterior=float(decisions.posteriors[place]),
            margin_nats=float(decisions.margins_nats[place]),
            logprobs_nats=dict(zip(names, logprobs[:, place].tolist(), strict=True)),
            text=lines[0].text,
            is_charged=any(line.encoded.n_unknown for line in lines),
        )
        for place, lines in enumerate(zip(*by_model, strict=True))
    ]


def charged_logprob_nats(line: ScoredLine) -> float:
    """The log-probability of a line, its unknown symbols charged with their spelling."""
    logprob_nats = line.totals.logprob_nats
    if not line.encoded.n_unknown:
        return logprob_nats
    spans = line.encoded.spans[line.encoded.is_unknown]
    n_choices = int((spans[:, 1] - spans[:, 0]).sum())
    if line.tokenizer.level == "word":
        n_choices += len(spans)
    return logprob_nats - UNKNOWN_NATS * n_choices


@dataclass(frozen=True)
class Decisions:
    """For each line, the model under which it is the most likely one.

    Attributes:
        winners: places of models, int64 [N]; of equals the first.
        posteriors: of the winners when all models are as likely beforehand, float64 [N], 1/M to 1.
        margins_nats: of the winners over the second best, float64 [N], 0 or more.
    """

    winners: npt.NDArray[np.int64]
    posteriors: npt.NDArray[np.float64]
    margins_nats: npt.NDArray[np.float64]


def decide(logprobs: npt.NDArray[np.floating]) -> Decisions:
    """Bayes' rule with equal priors: p(model | line) = p(line | model) / sum of p(line | any of them).

    Args:
        logprobs: natural, of whole lines, each model's of the same text [M, N]; two models or more.
    """
    exact = np.asarray(logprobs, np.float64)
    second, best = np.partition(exact, -2, axis=0)[-2:]
    # The winner's own term is exp(0): the sum is 1 to M, however unlikely the line is.
    posteriors = 1 / np.exp(exact - best).sum(axis=0)
    return Decisions(exact.argmax(axis=0), posteriors, best - second)
