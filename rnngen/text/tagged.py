"""Sentences with a tag for each word: a line each, the words and the tags with a tab between, both split at blanks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rnngen.errors import CheckpointError, DataError, brief
from rnngen.printable import plural
from rnngen.text.corpus import line_blocks_of
from rnngen.tokenizers.base import Text, Tokenizer

TAB = "\t"
MOST_TAGS = 1000


class Sentence(NamedTuple):
    """The words of a line, and as many tags."""

    words: list[str]
    tags: list[str]


@dataclass(frozen=True)
class TagVocabulary:
    """What a tagger knows by name.

    Attributes:
        words: the most frequent first.
        tags: in the order of the alphabet.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...]

    @classmethod
    def of(cls, sentences: Iterable[Sentence]) -> TagVocabulary:
        """That of some sentences. Raises DataError: there are more tags than a tagger can tell apart."""
        words: Counter[str] = Counter()
        tags: set[str] = set()
        for sentence in sentences:
            words.update(sentence.words)
            tags.update(sentence.tags)
        if len(tags) > MOST_TAGS:
            raise DataError(
                f"the text has {len(tags):,} different tags, and {MOST_TAGS:,} are the most: are the columns swapped?"
            )
        return cls(tuple(word for word, _ in words.most_common()), tuple(sorted(tags)))


def parse(line: str, where: str) -> Sentence:
    """The sentence of a line.

    Args:
        line: without its line break.
        where: names it in an error.

    Raises:
        DataError: it has no tab or several, or not as many tags as words.

    >>> from rnngen.text.tagged import parse
    >>> parse("the bell\\tDET NOUN", "line 1")
    Sentence(words=['the', 'bell'], tags=['DET', 'NOUN'])
    """
    columns = line.split(TAB)
    if len(columns) != 2:
        raise DataError(f"{where} has {plural(len(columns), 'column')}: it must be words, a tab, and as many tags")
    words, tags = columns[0].split(), columns[1].split()
    if len(words) != len(tags) or not words:
        raise DataError(
            f"{where} has {plural(len(words), 'word')} and {plural(len(tags), 'tag')}: it must have as many "
            f"tags as words, and at least one; it starts with {brief(line)}"
        )
    return Sentence(words, tags)


def sentences(lines: Iterable[str], of_file: str = "") -> Iterator[Sentence]:
    """The sentences of lines; blank ones are left out.

    Args:
        of_file: ends the name of a line in an error.
    """
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield parse(line.removesuffix("\n"), f"line {number}{of_file}")


def sentences_of(tokenizer: Tokenizer, ids: npt.NDArray[np.integer]) -> list[Sentence]:
    """The sentences of a text that is known as ids of characters."""
    return list(sentences(tokenizer.decode(ids).split("\n")))


def check_lines(text: Text, of_file: str) -> None:
    """See that each line has as many tags as words. Raises DataError, which names the first line that has not.

    Args:
        of_file: ends the name of a line.
    """
    lines = (line for block in line_blocks_of(text.chunks()) for line in block)
    if not sum(1 for _ in sentences(lines, of_file)):  # all of them are looked at
        raise DataError("the text has blank lines only: it must have words, a tab, and as many tags, a line each")


DTYPES = {"tags.words": "uint8", "tags.tags": "uint8"}  # of the arrays of a vocabulary in a checkpoint


def to_arrays(known: TagVocabulary) -> dict[str, npt.NDArray[Any]]:
    """UTF-8, with a line break after each word and each tag, which neither has."""
    columns = {"tags.words": known.words, "tags.tags": known.tags}
    return {
        name: np.frombuffer("".join(f"{one}\n" for one in column).encode("utf-8", "surrogatepass"), np.uint8)
        for name, column in columns.items()
    }


def from_arrays(arrays: Mapping[str, npt.NDArray[Any]], n_words: int, n_tags: int) -> TagVocabulary:
    """The inverse of `to_arrays`. Raises CheckpointError: these are no such arrays, or of other sizes."""
    columns = []
    for name, size in (("tags.words", n_words), ("tags.tags", n_tags)):
        content = arrays[name].tobytes()
        if content.count(b"\n") != size or not content.endswith(b"\n"):  # counted first: words take more memory
            raise CheckpointError(f"{name} has not the {size:,} entries of its model")
        try:
            *column, _ = content.decode("utf-8", "surrogatepass").split("\n")
        except UnicodeDecodeError:
            raise CheckpointError(f"{name} is not UTF-8") from None
        if len(set(column)) != size or not all(column) or any(map(_is_cut, column)):
            raise CheckpointError(f"{name} must have distinct entries without white space")
        columns.append(tuple(column))
    return TagVocabulary(*columns)


def _is_cut(word: str) -> bool:
    return word.split() != [word]
