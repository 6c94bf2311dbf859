"""Where the words of a text start and end, in the two ways of `--split`.

Running text ("punctuation"): white space separates runs, and a run is divided into words and punctuation signs. Marks,
joiners and other format characters belong to the character before them (rule WB4 of UAX 29, Unicode Text Segmentation).
Split text ("whitespace"): blanks, tabs and carriage returns separate words, as they do for KenLM's `lmplz` and SRILM.
Any other character is part of a word: U+00A0, U+3000, the vertical tab.

The rules are part of the meaning of a vocabulary, so a tokenizer keeps the version that it was made with. Version 1 had
no rule for format characters, split at all of Unicode's white space, and took blanks that the vocabulary lacks for an
unknown word. Now these only separate words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import chain

from rnngen.config import Split
from rnngen.tokenizers.symbols import NEWLINE

JOINER = "￭"
VERSIONS = (1, 2)
LATEST = VERSIONS[-1]
BLANKS = " \t\r"  # what separates words of split text, besides the line break

# Words with single spaces between them, taken together: half the time of a match for every word and every space.
# No possessive quantifier: Python 3.11.2 matches nested ones wrongly. None is needed, as a match is never taken back.
_SPANS = re.compile(r"\S+(?: \S+)*|\n|[^\S\n]+")
_ZERO_WIDTH_JOINER, _ZERO_WIDTH_SPACE = "\u200d", "\u200b"  # the second of these two separates words


def split_words(text: str) -> list[str]:
    """The words of split text; a line break separates words too.

    >>> split_words("10\\u00a0km\\tto  go")
    ['10\\xa0km', 'to', 'go']
    """
    return list(filter(None, _with_spaces(text).replace(NEWLINE, " ").split(" ")))


class Splitter:
    """Divides texts by one way and one version of the rules."""

    def __init__(self, split: Split, version: int) -> None:
        self.split, self.version = split, version

    def runs(self, text: str) -> Iterator[str]:
        """What separates without a doubt: line breaks, what stands between white space, and in running text other
        white space that no single space implies.

        Chained in C, and never a list of all: words looked up line by line are still in the processor's cache.
        """
        if self.split == "punctuation":
            return chain.from_iterable(_running_lines(text))
        if self.version == 1:
            return chain.from_iterable(_lines_of(text, None))
        return filter(None, chain.from_iterable(_lines_of(_with_spaces(text), " ")))  # two spaces have "" between them

    def pieces(self, run: str) -> list[str]:
        """A run as tokens: words and punctuation signs, all but the first with the joiner in front."""
        if self.split == "whitespace" or run.isspace() or run.isalnum():
            return [run]
        starts = _word_starts(run, _clusters(run) if self.version > 1 else list(range(len(run))), self.version)
        ends = [*starts[1:], len(run)]
        return [JOINER * (start > 0) + run[start:end] for start, end in zip(starts, ends, strict=True)]


def _running_lines(text: str) -> Iterator[list[str]]:
    return ([span] if span.isspace() else span.split(" ") for span in _SPANS.findall(text))


def _with_spaces(text: str) -> str:
    """Every blank as a space: `str.split` by one character, or by all white space, is twice as fast as a pattern."""
    for blank in BLANKS[1:]:
        text = text.replace(blank, BLANKS[0])
    return text


def _lines_of(text: str, separator: str | None) -> Iterator[list[str]]:
    first, *others = text.split(NEWLINE)
    yield first.split(separator)
    for line in others:
        yield [NEWLINE]
        yield line.split(separator)


def _clusters(run: str) -> list[int]:
    """Where each character starts that does not belong to the one before it."""
    if run.isascii():
        return list(range(len(run)))
    starts = [0]
    for place in range(1, len(run)):
        # What follows a joiner of the text itself does not cling to it: alone it is known from the mark of a token.
        if not _clings(run[place]) or run[starts[-1]] == JOINER:
            starts.append(place)
    return starts


def _clings(character: str) -> bool:
    """Whether it belongs to the character before it: Extend, Format or ZWJ in UAX 29, all but a few."""
    category = unicodedata.category(character)
    return (
        category[0] == "M"
        or (category == "Cf" and character != _ZERO_WIDTH_SPACE)
        or "\U0001f3fb" <= character <= "\U0001f3ff"  # a skin tone
    )


def _word_starts(run: str, clusters: list[int], version: int) -> list[int]:
    """Those of the clusters that a word or a punctuation sign starts with."""
    bases = "".join(run[start] for start in clusters)
    in_word = [_is_in_word(bases, place) for place in range(len(bases))]
    starts = [0]
    n_indicators = int(_is_indicator(bases[0]))  # regional indicators in a row; two of them are a flag
    for place in range(1, len(bases)):
        joined = in_word[place] and in_word[place - 1]
        if version > 1:
            completes_flag = n_indicators % 2 == 1 and _is_indicator(bases[place])
            n_indicators = (n_indicators + 1) * _is_indicator(bases[place])
            follows_joiner = run[clusters[place] - 1] == _ZERO_WIDTH_JOINER
            joined = joined or completes_flag or (follows_joiner and unicodedata.category(bases[place]) == "So")
        if not joined:
            starts.append(clusters[place])
    return starts


def _is_in_word(characters: str, place: int) -> bool:
    character = characters[place]
    if character.isalnum() or character == "_" or unicodedata.category(character)[0] == "M":
        return True
    # An apostrophe between letters belongs to the word: don't, o'er.
    inside = 0 < place < len(characters) - 1
    return character in "'’" and inside and characters[place - 1].isalnum() and characters[place + 1].isalnum()


def _is_indicator(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"
