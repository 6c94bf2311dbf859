"""Lines with a tag for each word, as they arrive; and how many tags are right."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from rnngen.engine.cells import Array
from rnngen.engine.tagger import Tagger
from rnngen.evaluate.scored_lines import in_blocks
from rnngen.text.tagged import Sentence, parse


@dataclass(frozen=True)
class TaggedWord:
    """A word and its most likely tag.

    Attributes:
        probability: of the tag.
        known: the word was in the text that the tagger learnt from.
    """

    word: str
    tag: str
    probability: float
    known: bool


def tag_lines(tagger: Tagger, arriving: Iterable[list[str]]) -> Iterator[list[list[TaggedWord]]]:
    """The words of each line with their tags, in order; words are what white space separates.

    Args:
        arriving: lines with their line breaks; those that arrived together stand together.

    Yields:
        The lines that were tagged together.
    """
    for block in in_blocks(arriving):
        lines = [line.split() for line in block]
        yield [_tagged(tagger, words, found) for words, found in zip(lines, tagger.logprobs(lines), strict=True)]


def _tagged(tagger: Tagger, words: list[str], logprobs: Array) -> list[TaggedWord]:
    best = logprobs.argmax(axis=1).tolist() if words else []
    tags = tagger.known.tags
    return [
        TaggedWord(word, tags[id], math.exp(float(row[id])), tagger.knows(word))
        for word, id, row in zip(words, best, logprobs, strict=True)
    ]


@dataclass
class Accuracy:
    """How many tags are right.

    Attributes:
        n_words: of all.
        n_right: words with the right tag.
        n_unknown: words that the tagger had not met.
        n_unknown_right: those of them with the right tag.
        confusions: how often a tag (the first) was taken for another (the second).
    """

    n_words: int = 0
    n_right: int = 0
    n_unknown: int = 0
    n_unknown_right: int = 0
    confusions: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, sentence: Sentence, found: list[TaggedWord]) -> None:
        """Count the words of a sentence."""
        for tag, one in zip(sentence.tags, found, strict=True):
            is_right = tag == one.tag
            self.n_words += 1
            self.n_right += is_right
            self.n_unknown += not one.known
            self.n_unknown_right += is_right and not one.known
            if not is_right:
                self.confusions[tag, one.tag] += 1

    @property
    def accuracy(self) -> float:
        """The share of right tags; NaN without words."""
        return self.n_right / self.n_words if self.n_words else math.nan

    @property
    def unknown_accuracy(self) -> float:
        """The share among unknown words; NaN without such."""
        return self.n_unknown_right / self.n_unknown if self.n_unknown else math.nan


def measure_tags(tagger: Tagger, arriving: Iterable[list[str]]) -> Accuracy:
    """Compare the tags of lines, words and tags with a tab between, with those of a tagger.

    Raises:
        DataError: a line has not as many tags as words; it is named.
    """
    measured, number = Accuracy(), 0
    for block in in_blocks(arriving):
        parsed = []
        for line in block:
            number += 1
            if line.strip():
                parsed.append(parse(line.removesuffix("\n"), f"line {number}"))
        words = [sentence.words for sentence in parsed]
        for sentence, logprobs in zip(parsed, tagger.logprobs(words), strict=True):
            measured.add(sentence, _tagged(tagger, sentence.words, logprobs))
    return measured
