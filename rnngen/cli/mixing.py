"""`rnngen perplexity --mix`: a word model mixed with an n-gram model of the ARPA format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rnngen.cli.output import Console
from rnngen.config import OnUnknown, ScoreState
from rnngen.errors import ConfigError, DataError
from rnngen.evaluate.report import Row
from rnngen.evaluate.scored_lines import score_in_blocks
from rnngen.models import Model
from rnngen.printable import plural

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from rnngen.evaluate.interpolation import Logprobs, Mixture, Reader
    from rnngen.text.corpus import FileText
    from rnngen.tokenizers.word import WordTokenizer

WEIGHT = 0.5  # without --lambda and --tune


def mixture_of(
    loaded: Model,
    arpa_path: Path,
    weight: float | None,
    tune: FileText | None,
    state: ScoreState,
    on_unknown: OnUnknown,
    console: Console,
) -> Mixture:
    """What a model is mixed with, and with how much of it: for both states.

    Args:
        weight: of the n-gram model, 0 to 1; without it and a text to tune it on, one half.
        tune: the text on which the weight with the highest likelihood is looked for; its log-probabilities are kept
            in memory.
        state: of the network, on the text it is tuned on.

    Raises:
        ConfigError: the two are no models of the same words, or the weight is given twice or out of range; `kenlm` is
            not installed.
        DataError: the ARPA file or the text to tune on cannot be used.
    """
    if weight is not None and tune is not None:
        raise ConfigError("--lambda and --tune exclude each other: the weight is given or tuned")
    if weight is not None and not 0 <= weight <= 1:
        raise ConfigError(f"lambda is {weight}: the weight of the ARPA file must be 0 to 1")
    tokenizer = _split_words(loaded)
    from rnngen.evaluate.arpa import Arpa
    from rnngen.evaluate.interpolation import Mixture

    arpa = Arpa.load(arpa_path)
    read = partial(arpa.reader, tokenizer)
    read()  # which compares the vocabularies, before any text is scored
    if tune is not None:
        weight = _tuned_weight(loaded, read(), tune, state, on_unknown, console)
    elif weight is None:
        weight = WEIGHT
        console.note(f"{arpa_path} has the weight {weight}; --lambda L sets it, --tune FILE looks for the best one")
    return Mixture(weight, read)


def mixed_rows(
    row: Row,
    arpa_path: Path,
    weight: float | None,
    tune: FileText | None,
    state: ScoreState,
    on_unknown: OnUnknown,
    console: Console,
) -> list[Row]:
    """The n-gram model by itself, and mixed with the model of a row; the arguments are those of `mixture_of`."""
    mixture = mixture_of(row.loaded, arpa_path, weight, tune, state, on_unknown, console)
    alone = replace(row, label=str(arpa_path), mixture=replace(mixture, weight=1.0))
    label = f"{row.label}, mixed with {mixture.weight:.4f} of {arpa_path}"
    return [alone, replace(row, label=label, mixture=mixture)]


def _split_words(loaded: Model) -> WordTokenizer:
    from rnngen.tokenizers.word import WordTokenizer

    tokenizer = loaded.tokenizer
    if isinstance(tokenizer, WordTokenizer) and tokenizer.split == "whitespace":
        return tokenizer
    split = f" --split {tokenizer.split}" if isinstance(tokenizer, WordTokenizer) else ""
    raise ConfigError(
        f"--mix needs a model of the words that white space separates, as an ARPA file has them: {loaded.path} is of "
        f"--level {tokenizer.level}{split}; train one with --level word --split whitespace"
    )


def _tuned_weight(
    loaded: Model, read: Reader, text: FileText, state: ScoreState, on_unknown: OnUnknown, console: Console
) -> float:
    import numpy as np

    from rnngen.evaluate.interpolation import TOLERANCE_NATS, tune_weight

    score = _carried if state == "carry" else _by_lines
    parts: list[tuple[Logprobs, Logprobs]] = [
        (logprobs, read(ids)) for ids, logprobs in score(loaded, text, on_unknown)
    ]
    if not parts:
        raise DataError("the text to tune on is empty: name another with --tune")
    tuned = tune_weight(*(np.concatenate(of_one) for of_one in zip(*parts, strict=True)))
    model, arpa, mixture = tuned.perplexity
    close = "" if tuned.gap_nats <= TOLERANCE_NATS else f", within {tuned.gap_nats:.1e} nats a token of the best"
    console.note(
        f"tuned: weight {tuned.weight:.4f} of the ARPA file after {plural(tuned.n_iterations, 'iteration')} of "
        f"EM{close}; perplexity on that text {model:.4f} of the model, {arpa:.4f} of the ARPA file, "
        f"{mixture:.4f} of the mixture"
    )
    return tuned.weight


def _carried(
    loaded: Model, text: FileText, on_unknown: OnUnknown
) -> Iterator[tuple[npt.NDArray[np.integer], Logprobs]]:
    from rnngen.engine.scoring import score_text
    from rnngen.text.ids_on_disk import write_tokens

    tokenizer = loaded.tokenizer
    ids = write_tokens(text, tokenizer, on_unknown).ids
    start = 0
    for logprobs in score_text(loaded.network, ids, tokenizer.newline_id):
        yield ids[start : start + len(logprobs)], logprobs
        start += len(logprobs)


def _by_lines(
    loaded: Model, text: FileText, on_unknown: OnUnknown
) -> Iterator[tuple[npt.NDArray[np.integer], Logprobs]]:
    import numpy as np

    for block in score_in_blocks(loaded, text.line_blocks(), on_unknown):
        for line in block:
            yield np.append(line.encoded.ids, loaded.tokenizer.newline_id), line.logprobs
