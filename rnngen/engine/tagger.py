"""A tagger in numpy: an output for every input.

    word = [embedding of the word; last outputs of two layers over its characters, from the left and from the right]
    h    = bidirectional layers over the words of the sentence, as torch.nn has them       p(tag) = softmax(V h + c)

The word is known here, so that each layer may read both directions of the layer below it (Plank et al. 2016,
"Multilingual part-of-speech tagging with bidirectional long short-term memory models and auxiliary loss"). A word that
the model has not met has the embedding of unknown words, row 0, and its spelling.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from rnngen.config import ModelConfig
from rnngen.engine.cells import Array, make_layer
from rnngen.engine.stack import make_recurrence
from rnngen.text.tagged import TagVocabulary
from rnngen.tokenizers.base import Tokenizer

Ids = npt.NDArray[np.int64]

BATCH_WORDS = 1 << 12  # that are tagged together, padding included
MOST_ROWS = 64


class Tagger:
    """Words to the probabilities of their tags, in numpy, its recurrence in C where that is compiled.

    Args:
        weights: as in a checkpoint.
        tokenizer: of the characters.
    """

    def __init__(
        self, config: ModelConfig, weights: dict[str, npt.NDArray[Any]], tokenizer: Tokenizer, known: TagVocabulary
    ) -> None:
        self._config, self._tokenizer, self.known = config, tokenizer, known
        self._id_of = {word: number for number, word in enumerate(known.words, 1)}
        self._words, self._characters = weights["embedding.weight"], weights["spelling.embedding.weight"]
        self._spelling = _Directions(config, weights, "spelling.rnn.", 0)
        self._layers = [_Directions(config, weights, "rnn.", layer) for layer in range(config.num_layers)]
        self._w_output, self._b_output = weights["output.weight"].T, weights["output.bias"]

    @property
    def config(self) -> ModelConfig:
        return self._config

    def knows(self, word: str) -> bool:
        """Whether a word was in the text that the tagger learnt from."""
        return word in self._id_of

    def logprobs(self, sentences: Sequence[Sequence[str]]) -> list[Array]:
        """Natural log-probabilities of all tags for each word: for each sentence [words, tags], float32."""
        found: list[Array] = [np.empty((0, self._config.n_tags), np.float32)] * len(sentences)
        order = sorted((n for n, words in enumerate(sentences) if words), key=lambda n: len(sentences[n]))
        while order:
            longest = len(sentences[order[-1]])
            batch = order[-max(1, min(MOST_ROWS, BATCH_WORDS // longest)) :]
            del order[-len(batch) :]
            for number, logprobs in zip(batch, self._of_batch([sentences[n] for n in batch]), strict=True):
                found[number] = logprobs
        return found

    def _of_batch(self, sentences: list[Sequence[str]]) -> list[Array]:
        numbers, lengths, distinct = number_words(sentences)
        spellings = self._read_spellings(distinct)  # [distinct, 2 S]
        ids = [[self._id_of.get(word, 0) for word in words] for words in sentences]
        x = np.concatenate([self._words[padded(ids)], spellings[numbers]], axis=2)  # [T, B, E + 2 S]
        for layer in self._layers:
            x = layer.run(x, lengths)
        logits = x @ self._w_output + self._b_output
        logits -= np.logaddexp.reduce(logits, axis=2, keepdims=True)
        return [logits[:length, row] for row, length in enumerate(lengths.tolist())]

    def _read_spellings(self, words: list[str]) -> Array:
        characters, lengths = spell(self._tokenizer, words)
        outputs = self._spelling.run(self._characters[characters], lengths)
        S = self._config.spelling_dim
        rows = np.arange(len(words))
        # Each direction has read the whole word at its own end.
        ends: Array = np.concatenate([outputs[lengths - 1, rows, :S], outputs[0, rows, S:]], axis=1)
        return ends


class _Directions:
    """A layer from the left and one from the right over the same inputs."""

    def __init__(self, config: ModelConfig, weights: dict[str, npt.NDArray[Any]], prefix: str, layer: int) -> None:
        own = {
            "rnn." + name.removeprefix(prefix): weight for name, weight in weights.items() if name.startswith(prefix)
        }
        self._layers = [make_layer(config, own, layer, direction) for direction in config.directions]
        self._recurrences = [make_recurrence(each, None) for each in self._layers]

    def run(self, x: Array, lengths: Ids) -> Array:
        """[T, B, I] and the length of each row -> [T, B, 2 H]."""
        T, B, _ = x.shape
        flat = x.reshape(T * B, -1)
        forward = np.arange(T * B).reshape(T, B)
        backward = reversed_rows(T, lengths) * B + np.arange(B)
        outputs = []
        for layer, recurrence, rows in zip(self._layers, self._recurrences, (forward, backward), strict=True):
            H = layer.w.shape[0]
            state = tuple(np.zeros((B, H), np.float32) for _ in range(layer.n_states))
            found, _ = recurrence.run(np.asarray(flat @ layer.w_input + layer.b_input), rows, state)
            # The order of a reversed row is its own inverse.
            outputs.append(found.reshape(T * B, H)[rows])
        return np.concatenate(outputs, axis=2)


def number_words(sentences: Sequence[Sequence[str]]) -> tuple[Ids, Ids, list[str]]:
    """The distinct words of sentences: their numbers, [T, B]; the lengths of the sentences, [B]; the words."""
    distinct = {word: number for number, word in enumerate(dict.fromkeys(chain.from_iterable(sentences)))}
    numbers = padded([[distinct[word] for word in words] for words in sentences])
    return numbers, np.array([len(words) for words in sentences]), list(distinct)


def spell(tokenizer: Tokenizer, words: Sequence[str]) -> tuple[Ids, Ids]:
    """Words as the ids of their characters, [longest, words], and how many each has, [words]."""
    spelled = [tokenizer.encode(word) for word in words]
    return padded(spelled), np.array([len(ids) for ids in spelled])


def reversed_rows(T: int, lengths: Ids) -> Ids:
    """Which place of each row is read at which step from the right, [T, B]; padding stays where it is."""
    places = np.arange(T)[:, None]
    return np.where(places < lengths, lengths - 1 - places, places)


def padded(rows: Sequence[Sequence[int] | npt.NDArray[np.integer]], value: int = 0) -> Ids:
    """Rows of any length as columns, [T, B]; `value` where one has ended."""
    columns = np.full((max(map(len, rows)), len(rows)), value, np.int64)
    for column, row in zip(columns.T, rows, strict=True):
        column[: len(row)] = row
    return columns
