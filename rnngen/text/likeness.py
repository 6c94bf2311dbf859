"""Whether a validation text is like the text to train on, by how often each character occurs.

The step that is kept is the best one for the validation text. Where that is of another kind (another language, the
last letters of a sorted list), it is the wrong step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rnngen.text.ids_on_disk import IdsOnDisk
from rnngen.tokenizers.base import Tokenizer

UNLIKE = 0.1  # nats a character; parts of one book differ by 0.02 or less, of a sorted list by 0.14 or more
COMMONEST = 255  # characters that are told apart
_PIECES, _PIECE = 64, 1024  # of the ids, for the measure


def distance(train: str, valid: str) -> float:
    """Nats a character that a code made for the characters of `train` wastes on `valid`, and chance does not explain.

    It is the Kullback-Leibler divergence of the frequencies, with one added to each count. Of n characters out of k,
    equal texts are on average (k - 1) / 2n apart. Twice that is taken off.

    >>> round(distance("to be or not to be" * 99, "or not to be to be" * 99), 3), distance("ab" * 99, "xy" * 99) > 3
    (0.0, True)
    """
    codes, places = np.unique(np.concatenate([_codes(train), _codes(valid)]), return_inverse=True)
    counts = [
        np.bincount(part, minlength=len(codes)) for part in np.split(places.reshape(-1), [len(train)])
    ]  # of each character, [V] and [V]
    common = np.argsort(-counts[0], kind="stable")[:COMMONEST]
    q, p = (np.append(count[common], count.sum() - count[common].sum()) + 1.0 for count in counts)
    q, p = q / q.sum(), p / p.sum()
    by_chance = len(p) / max(1, min(len(train), len(valid)))
    return max(0.0, float((p * np.log(p / q)).sum()) - by_chance)


def are_unlike(tokenizer: Tokenizer, train: IdsOnDisk, valid: IdsOnDisk) -> bool:
    """Whether a validation text is farther from the text to train on than parts of one text are."""
    return distance(_known(tokenizer, train), _known(tokenizer, valid)) > UNLIKE


def sample(tokens: IdsOnDisk) -> npt.NDArray[Any]:
    """The ids of pieces from all of a text, or of all of it."""
    ids = tokens.ids
    if len(ids) <= _PIECES * _PIECE:
        return ids
    starts = np.linspace(0, len(ids) - _PIECE, _PIECES).astype(np.int64)
    return np.concatenate([ids[start : start + _PIECE] for start in starts])


def _known(tokenizer: Tokenizer, tokens: IdsOnDisk) -> str:
    """What is known of a sample, without white space."""
    ids = sample(tokens)
    known = ids if tokenizer.unk_id is None else ids[ids != tokenizer.unk_id]
    return "".join(tokenizer.decode(known).split())


def _codes(text: str) -> npt.NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
