"""The word of a line that each of its tokens belongs to, at any level."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rnngen.tokenizers.base import Spans


def line_words(text: str, spans: Spans) -> tuple[list[str], npt.NDArray[np.int64]]:
    """The words of a line, and for each token the number of its word.

    Words are separated by white space. White space belongs to the word after it; at the end of the line it belongs to
    the line end. A token belongs to the word of its last character that is not white space, also if it ends with a
    space or holds one. A token of white space alone belongs to the word after it. So every token is counted once, and
    the log-probabilities of a line's words and of its end sum to that of the line.

    Counted so, the probability of a word is the probability that a word starts with these letters. That the word ends
    there is predicted by the white space after it, which belongs to the next word, or by the line break. Pimentel and
    Meister (2024), "How to compute the probability of a word", move the white space to the word before it. Here it
    stays with the word after it at every level: a subword piece holds the space in front and cannot be divided, and
    words must be counted in the same way for all tokenizers to be compared.

    Args:
        text: one line without its line break; a line break in it is white space like any other.
        spans: of a tokenizer, for all or some of the tokens of `text`; none empty.

    Returns:
        The words, as `str.split` finds them, and a number from 0 for each span, int64; `len(words)` is the line's end.
    """
    is_white = np.fromiter(map(str.isspace, text), bool, len(text))
    starts_word = ~is_white & np.concatenate([[True], is_white])[:-1]
    # The count of words that have started is the number of the next word, which white space belongs to. A letter
    # belongs to the word that started last, whose number is one less.
    word_of_place = np.cumsum(starts_word, dtype=np.int64) - ~is_white
    last_ink = np.maximum.accumulate(np.where(is_white, -1, np.arange(len(text))))
    starts, ends = spans.T
    return text.split(), word_of_place[np.maximum(last_ink[ends - 1], starts)]
