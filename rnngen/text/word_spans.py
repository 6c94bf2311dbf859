"""The word of a line that each of its tokens belongs to, at any level."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rnngen.tokenizers.base import Spans
from rnngen.tokenizers.splitting import BLANKS, split_words
from rnngen.tokenizers.symbols import NEWLINE

_SEPARATORS = frozenset(BLANKS + NEWLINE)


def line_words(text: str, spans: Spans) -> tuple[list[str], npt.NDArray[np.int64]]:
    """The words of a line, and for each token the number of its word.

    Words are separated by blanks, as in split text (`tokenizers/splitting.py`). Blanks belong to the word after them;
    at the end of the line they belong to the line end. A token belongs to the word of its last character that is not a
    blank, also if it ends with a space or holds one. A token of blanks alone belongs to the word after it. So every
    token is counted once, and the log-probabilities of a line's words and of its end sum to that of the line.

    Counted so, the probability of a word is the probability that a word starts with these letters. That the word ends
    there is predicted by the blank after it, which belongs to the next word, or by the line break. Pimentel and
    Meister (2024), "How to compute the probability of a word", move the blank to the word before it. Here it
    stays with the word after it at every level: a subword piece holds the space in front and cannot be divided, and
    words must be counted in the same way for all tokenizers to be compared.

    Args:
        text: one line without its line break; a line break in it is a blank like any other.
        spans: of a tokenizer, for all or some of the tokens of `text`; none empty.

    Returns:
        The words, as `split_words` finds them, and a number from 0 for each span, int64; `len(words)` is the line end.
    """
    is_blank = np.fromiter(map(_SEPARATORS.__contains__, text), bool, len(text))
    starts_word = ~is_blank & np.concatenate([[True], is_blank])[:-1]
    # The count of words that have started is the number of the next word, which a blank belongs to. A letter
    # belongs to the word that started last, whose number is one less.
    word_of_place = np.cumsum(starts_word, dtype=np.int64) - ~is_blank
    last_ink = np.maximum.accumulate(np.where(is_blank, -1, np.arange(len(text))))
    starts, ends = spans.T
    return split_words(text), word_of_place[np.maximum(last_ink[ends - 1], starts)]
