"""What models are good for beside writing, scoring and measuring: to fill gaps, and to give tags."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING

from rnngen.config import OnUnknown
from rnngen.models import Model

if TYPE_CHECKING:
    from rnngen.evaluate.filling import FilledLine
    from rnngen.evaluate.tagging import TaggedWord


def fill(
    model: Model,
    lines: Iterable[str],
    *,
    gap: str = "___",
    gap_length: str | None = None,
    top: int = 5,
    seed: int = 0,
    on_unknown: OnUnknown = "unk",
) -> Iterator[FilledLine]:
    """The most likely fillings of the gaps of each line, as the lines come.

    Args:
        model: a bidirectional one weighs a filler by both sides, another one by the probability of the whole line.
        lines: with or without their line breaks.
        gap: what marks a gap.
        gap_length: of a gap, in tokens: `3`, or `1-8`, of which the best is taken. None is 1 word, 1 to 3 subwords, or
            1 to 8 characters or bytes.
        top: how many fillings of a line.
        seed: of Gibbs sampling, where several tokens are missing.
        on_unknown: what becomes of symbols that the model does not know, as in `Model.sample`.

    Yields:
        For each line `fillings`, each with `fillers`, `probability` and `text`; and the `method`.

    Raises:
        ConfigError: a setting is out of its range, or the model is a tagger.
        DataError: a line has no gap, or one that cannot be filled.
        TokenizerError: a symbol is unknown and `on_unknown` is "error".
        CheckpointError: the model's logits are not finite.

    >>> import rnngen
    >>> [found] = rnngen.fill(rnngen.load("hello"), ["he_lo"], gap="_", gap_length="1", top=1)
    >>> found.fillings[0].text, found.method
    ('hello', 'beam')
    """
    from rnngen.evaluate.filling import fill_lines
    from rnngen.evaluate.gaps import GapLength

    length = None if gap_length is None else GapLength.of(gap_length)
    return fill_lines(
        model.runner, model.tokenizer, lines, mark=gap, length=length, top=top, seed=seed, on_unknown=on_unknown
    )


def tag(model: Model, lines: Iterable[str]) -> Iterator[list[TaggedWord]]:
    """The words of each line, which white space separates, with their most likely tags.

    Args:
        model: a tagger, as `ModelOptions(tags=True)` makes it.

    Yields:
        For each line its words: `word`, `tag`, `probability`, and `known`: whether the tagger has met the word.

    Raises:
        ConfigError: the model is no tagger.

    >>> import rnngen
    >>> tagger = rnngen.train(
    ...     text="the bell rings\\tDET NOUN VERB\\n" * 60,
    ...     model=rnngen.ModelOptions(hidden_size=8, tags=True),
    ...     training=rnngen.TrainConfig(steps=20, learning_rate=0.02),
    ... )
    >>> [words] = rnngen.tag(tagger, ["the bell rings"])
    >>> [one.tag for one in words]
    ['DET', 'NOUN', 'VERB']
    """
    from rnngen.engine.runner import tagger_of
    from rnngen.evaluate.tagging import tag_lines
    from rnngen.text.sources import blocks_of_lines

    return chain.from_iterable(tag_lines(tagger_of(model.runner, model.path or "the model"), blocks_of_lines(lines)))
