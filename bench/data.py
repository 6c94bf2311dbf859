"""The ids that both sides of a training step are given. No torch: `rnngen.training` must be the one to load it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rnngen.config import TokenizerConfig, TrainConfig
from rnngen.text.corpus import FileText
from rnngen.text.dataset import Dataset, prepare

BATCH_SIZE, BPTT = 32, 64
VOCAB_SIZE = 65  # characters of tinyshakespeare


def token_ids(text: str, words: int | None = None) -> Dataset:
    """The text's characters, the rarest ones unknown where they would be more than VOCAB_SIZE; or so many words."""
    wanted = TokenizerConfig(vocab_size=VOCAB_SIZE)
    if words is not None:
        wanted = TokenizerConfig("word", vocab_size=words, min_count=1, split="whitespace")
    return prepare(FileText([text]), None, TrainConfig(valid_part="last"), None, wanted)


def streams(data: Dataset) -> npt.NDArray[np.int64]:
    """The text to train on in parallel parts: [n, B]."""
    ids = np.asarray(data.train.ids, np.int64)
    n = len(ids) // BATCH_SIZE
    return np.ascontiguousarray(ids[: n * BATCH_SIZE].reshape(BATCH_SIZE, n).T)
