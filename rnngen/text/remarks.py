"""What the start of a text to train on shows, that its owner may not know: marks, columns, copies of lines.

Each remark is a sentence with what to do. Only the start is looked at, so that training starts no later.
"""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice

from rnngen.tokenizers.base import Text

START_CHARS = 1_000_000  # about, that are looked at
FEWEST_ROWS, MOST_ROWS = 10, 1_000  # by which a table is known
FEWEST_COLUMNS = 3  # two are pairs
FEWEST_LINES = 100  # of which nearly all can be copies
NEARLY_ALL = 0.9
LONG_ENOUGH = 40  # characters that two places of a text do not share by chance
OF_LINES = 0.01  # of the lines have a mark, or it is the subject of the text
LONGEST_WORD = 25  # characters between white space, on average; German prose has 7, a log 15, Chinese 40 and more

_SENTENCE_MARK = re.compile(r"(?<!\S)</?s>(?!\S)")
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}


class WithStart:
    """A text whose start is kept while it is read.

    Attributes:
        start: its chunks up to about `START_CHARS`, as far as it was read.
    """

    def __init__(self, text: Text) -> None:
        self._text = text
        self.start = ""

    def chunks(self) -> Iterator[str]:
        """The text."""
        self.start = ""
        for chunk in self._text.chunks():
            if len(self.start) < START_CHARS:
                self.start += chunk[:START_CHARS]
            yield chunk


def remarks(start: str, by_lines: bool) -> tuple[str, ...]:
    """What is to be said of a text that starts so.

    Args:
        by_lines: each line is learnt by itself.
    """
    lines = [line for line in start.split("\n") if line.strip()]
    found = (sentence_marks(start, len(lines)), table(lines), copies(lines, by_lines))
    return tuple(remark for remark in found if remark)


def sentence_marks(start: str, n_lines: int) -> str:
    """Whether `<s>` and `</s>` stand in a text, as words of their own.

    >>> sentence_marks("<s> I am </s>", 1).startswith("the text has <s> or </s> 2 times in its first line")
    True
    """
    count = len(_SENTENCE_MARK.findall(start))
    if not count or count < OF_LINES * n_lines:
        return ""
    return (
        f"the text has <s> or </s> {_times(count)} in its first {_lines(n_lines)}: they are learnt as text, and rnngen "
        "knows without them where lines end: remove them"
    )


def table(lines: list[str]) -> str:
    """Whether a text is a table, as a spreadsheet writes it: rows of the same number of columns."""
    if lines and lines[0][0] in "{[":  # JSON lines
        return ""
    for delimiter, name in _DELIMITERS.items():
        try:
            rows = [len(row) for row in csv.reader(islice(lines, MOST_ROWS), delimiter=delimiter)]
        except csv.Error:
            continue
        columns, count = Counter(rows).most_common(1)[0] if rows else (0, 0)
        if columns >= FEWEST_COLUMNS and len(rows) >= FEWEST_ROWS and count >= NEARLY_ALL * len(rows):
            return (
                f"the text is a table of {columns} columns: the {name} between them are learnt as text; "
                "to learn one column, make a text of it"
            )
    return ""


def copies(lines: list[str], by_lines: bool) -> str:
    """Whether nearly all lines of a text stand in it more than once.

    In running text a short line means nothing without those after it: a word of a column, a move of a game. There the
    lines are taken together that have `LONG_ENOUGH` characters on average.
    """
    if len(lines) < FEWEST_LINES:
        return ""
    together = 1 if by_lines else math.ceil(LONG_ENOUGH * len(lines) / sum(map(len, lines)))
    counts = Counter(zip(*(lines[first:] for first in range(together)), strict=False))
    share = sum(count for count in counts.values() if count > 1) / counts.total()
    if share < NEARLY_ALL:
        return ""
    return (
        f"{share:.0%} of the first {_lines(len(lines))} stand there more than once: lines to validate on are "
        "trained on, so their loss says little: " + ("sort -u removes copies" if by_lines else "remove the copies")
    )


def words_are_apart(start: str) -> bool:
    """Whether white space separates the words of a text.

    >>> words_are_apart("The bell is slow to wake."), words_are_apart("鐘はゆっくりと目を覚まし、渡し守は王を知らない")
    (True, False)
    """
    words = start.split()
    return sum(map(len, words)) <= LONGEST_WORD * len(words)


def _lines(count: int) -> str:
    return "line" if count == 1 else f"{count:,} lines"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"
