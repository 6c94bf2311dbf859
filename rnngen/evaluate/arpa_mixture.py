"""A network over split words mixed with an n-gram model of the ARPA format, with a weight that may be tuned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from rnngen.checks import check_number
from rnngen.config import OnUnknown
from rnngen.errors import ConfigError
from rnngen.evaluate.arpa import Arpa
from rnngen.evaluate.interpolation import TOLERANCE_NATS, Mixture, Tuned
from rnngen.evaluate.predictors import Predictor, tune_mixture
from rnngen.printable import plural
from rnngen.tokenizers.base import Text
from rnngen.tokenizers.word import WordTokenizer

WEIGHT = 0.5  # where none is given or tuned


def arpa_predictors(
    static: Predictor,
    arpa_path: Path,
    weight: float | None = None,
    *,
    tune: Text | None = None,
    on_unknown: OnUnknown = "unk",
    say: Callable[[str], object] = lambda text: None,
) -> list[Predictor]:
    """An n-gram model alone, and mixed with a network. They share the network's scorer and are read together with it.

    Args:
        static: the predictor of the network.
        weight: of the n-gram model, 0 to 1; None tunes it on `tune`, or takes one half without it.
        tune: another text, on which the weight with the highest likelihood is looked for. Its log-probabilities are
            kept in memory.
        say: is told the weight where it is not given.

    Raises:
        ConfigError: the two have not the same words, the weight is out of range, or both weight and text are given;
            `kenlm` is not installed.
        DataError: the ARPA file or the text to tune on cannot be used.
    """
    if weight is not None and tune is not None:
        raise ConfigError("--lambda and --tune exclude each other: the weight is given or tuned")
    if weight is not None:
        check_number("lambda", weight, 0, 1)
    tokenizer = _split_words(static)
    arpa = Arpa.load(arpa_path)
    arpa.check_vocabulary(tokenizer, static.label)  # before any text is scored
    alone = Mixture(1.0, partial(arpa.reader, tokenizer))
    if tune is not None:
        tuned = tune_mixture(static, alone, tune, on_unknown)
        weight = tuned.weight
        say(_note(tuned))
    elif weight is None:
        weight = WEIGHT
        say(f"{arpa_path} has the weight {weight}; --lambda L sets it, --tune FILE looks for the best one")
    label = f"{static.label}, mixed with {weight:.4f} of {arpa_path}"
    return [
        replace(static, label=str(arpa_path), mixture=alone),
        replace(static, label=label, mixture=replace(alone, weight=weight)),
    ]


def _split_words(static: Predictor) -> WordTokenizer:
    tokenizer = static.tokenizer
    if isinstance(tokenizer, WordTokenizer) and tokenizer.split == "whitespace":
        return tokenizer
    split = f" --split {tokenizer.split}" if isinstance(tokenizer, WordTokenizer) else ""
    raise ConfigError(
        f"--mix needs a model of the words that white space separates, as an ARPA file has them: {static.label} is of "
        f"--level {tokenizer.level}{split}; train one with --level word --split whitespace"
    )


def _note(tuned: Tuned) -> str:
    model, arpa, mixture = tuned.perplexity
    close = "" if tuned.gap_nats <= TOLERANCE_NATS else f", within {tuned.gap_nats:.1e} nats a token of the best"
    return (
        f"tuned: weight {tuned.weight:.4f} of the ARPA file after {plural(tuned.n_iterations, 'iteration')} of "
        f"EM{close}; perplexity on that text {model:.4f} of the model, {arpa:.4f} of the ARPA file, "
        f"{mixture:.4f} of the mixture"
    )
