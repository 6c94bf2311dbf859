"""To give each word of a sentence its tag."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from rnngen.checkpoint import Weights
from rnngen.engine.tagger import Ids, Tagger, number_words, padded, reversed_rows, spell
from rnngen.text.dataset import Dataset
from rnngen.text.tagged import Sentence, TagVocabulary, sentences_of, to_arrays
from rnngen.training.bptt import IGNORED, line_batches
from rnngen.training.losses import NatsSum
from rnngen.training.plan import Plan
from rnngen.training.softmax import cross_entropy
from rnngen.training.stack import copied_weights
from rnngen.training.tagger import Spelled, TaggerNetwork
from rnngen.training.task import Loss, State

# A word that was met n times is taken as unknown with the probability 1 / (1 + n) (Kiperwasser and Goldberg 2016 have
# 1/4 for the ones; docs/defaults.md compares them).
UNKNOWN_SHARE = 1.0


@dataclass(frozen=True)
class TaggedBatch:
    """One step's data, an `Example`.

    Attributes:
        sentences: one a column.
        words: ids, [T, B]; 0 for an unknown word.
        targets: ids of the tags, [T, B]; IGNORED behind the end of a sentence.
        fresh: [B], bool.
    """

    sentences: Sequence[Sentence]
    words: Ids
    targets: Ids
    fresh: npt.NDArray[np.bool_]

    @property
    def n_tokens(self) -> int:
        return int((self.targets != IGNORED).sum())


class Tagging:
    """The task of a tagger, a `Task`."""

    unk_id = None

    def __init__(self, plan: Plan, data: Dataset) -> None:
        self._plan, self._tokenizer = plan, data.tokenizer
        self._train, self._valid = (sentences_of(data.tokenizer, part.ids) for part in (data.train, data.valid))
        self._known = TagVocabulary.of(self._train)
        self._id_of = {word: number for number, word in enumerate(self._known.words, 1)}
        self._tag_id_of = {tag: number for number, tag in enumerate(self._known.tags)}
        counts = Counter(word for sentence in self._train for word in sentence.words)
        self._counts = np.array([np.inf, *(counts[word] for word in self._known.words)])
        low = torch.bfloat16 if plan.precision == "bfloat16" else torch.float32
        self._device = torch.device(plan.device)
        self.network = TaggerNetwork(plan.model, low).to(self._device)

    def initial_state(self, batch_size: int) -> State:
        return ()

    def windows(self, generator: np.random.Generator, skip: int) -> Iterator[TaggedBatch]:
        lengths = np.array([len(sentence.words) for sentence in self._train])
        bounds = np.append(0, lengths.cumsum())
        n_given = 0
        while True:
            for batch in line_batches(bounds, self._plan.batch_size, generator):
                n_given += 1
                chance = generator.random((int(lengths[batch].max()), len(batch)))
                if n_given > skip:
                    yield self._batch([self._train[number] for number in batch], chance)

    def _batch(self, some: list[Sentence], chance: npt.NDArray[np.float64]) -> TaggedBatch:
        words = padded([[self._id_of[word] for word in sentence.words] for sentence in some])
        words[chance < UNKNOWN_SHARE / (UNKNOWN_SHARE + self._counts[words])] = 0
        targets = padded([[self._tag_id_of[tag] for tag in sentence.tags] for sentence in some], IGNORED)
        return TaggedBatch(some, words, targets, np.zeros(len(some), bool))

    def loss(self, window: TaggedBatch, state: State) -> Loss:
        numbers, lengths, distinct = number_words([sentence.words for sentence in window.sentences])
        characters, sizes = spell(self._tokenizer, distinct)
        on_device = self._on_device
        logits = self.network(
            on_device(window.words), on_device(numbers), on_device(reversed_rows(len(numbers), lengths)),
            Spelled(on_device(characters), on_device(sizes), on_device(reversed_rows(len(characters), sizes))),
        )  # fmt: skip
        return *cross_entropy(logits, on_device(window.targets)), state

    def _on_device(self, ids: Ids) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(ids, np.int64)).to(self._device)

    def first_model(self) -> NatsSum | None:
        return None

    def validate(self) -> NatsSum:
        return self.exact(self.weights())

    def weights(self) -> Weights:
        return copied_weights(self.network, self._plan.model) | to_arrays(self._known)

    def exact(self, weights: Weights) -> NatsSum:
        """The sums over the tags of the validation text; a tag that is unknown has no probability, and is left out."""
        tagger = Tagger(self._plan.model, weights, self._tokenizer, self._known)
        nats, n_tags = 0.0, 0
        found = tagger.logprobs([sentence.words for sentence in self._valid])
        for logprobs, sentence in zip(found, self._valid, strict=True):
            ids = [self._tag_id_of.get(tag, -1) for tag in sentence.tags]
            places = [place for place, id in enumerate(ids) if id >= 0]
            nats -= float(logprobs[places, [ids[place] for place in places]].sum(dtype=np.float64))
            n_tags += len(places)
        return NatsSum(nats, max(1, n_tags))

    def exact_seconds(self) -> float:
        return 0.0  # it is a validation
