"""A model that reads one symbol at a time, shows its hidden state, and says what may come next."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from rnngen.engine.cells import Array
from rnngen.engine.language_model import NOT_FINITE, LanguageModel, State
from rnngen.engine.sampling import among, read_context
from rnngen.errors import CheckpointError, TokenizerError, brief
from rnngen.tokenizers.base import Ids, Tokenizer

Floats = npt.NDArray[np.float64]


class Symbols:
    """The symbols of a tokenizer by name: what `tokenizer.token` calls them."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer

    @cached_property
    def _id_of(self) -> dict[str, int]:
        ids = reversed(range(self.tokenizer.vocab_size))  # of equal names the first counts
        return {self.tokenizer.token(id): id for id in ids}

    def id(self, symbol: str | int) -> int:
        """The id of a symbol, or of an id that exists. Raises TokenizerError."""
        if isinstance(symbol, str):
            found = self._id_of.get(symbol)
            if found is None:
                raise TokenizerError(f"the model has no symbol {brief(symbol)}: encode the text to find its symbols")
            return found
        try:
            id = operator.index(symbol)
        except TypeError:
            raise TokenizerError(f"the symbol is {brief(symbol)}: it must be a string or an id") from None
        last = self.tokenizer.vocab_size - 1
        if not 0 <= id <= last:
            raise TokenizerError(f"the id is {id}: this model has 0 to {last}")
        return id


@dataclass(frozen=True, eq=False)
class Distribution:
    """Probabilities of the next symbol. `distribution["e"]` is the probability of e; an id does as well.

    Attributes:
        logprobs: natural log-probabilities, [V], float64.

    >>> import rnngen
    >>> after_h = rnngen.load("hello").start().step("h")
    >>> after_h.most_likely(1)[0][0]
    'e'
    >>> after_h["e"] > 0.5, round(float(after_h.probs.sum()), 6)
    (True, 1.0)
    """

    logprobs: Floats
    _symbols: Symbols = field(repr=False)

    @cached_property
    def probs(self) -> Floats:
        """Probabilities, [V], float64; their sum is 1."""
        return np.exp(self.logprobs)

    def __getitem__(self, symbol: str | int) -> float:
        """The probability of a symbol. Raises TokenizerError: the model does not have it."""
        return float(np.exp(self.logprobs[self._symbols.id(symbol)]))

    def logprob_nats(self, symbol: str | int) -> float:
        """The natural log-probability of a symbol. Raises TokenizerError: the model does not have it."""
        return float(self.logprobs[self._symbols.id(symbol)])

    def surprisal_bits(self, symbol: str | int) -> float:
        """-log2 of the probability of a symbol. Raises TokenizerError: the model does not have it."""
        return float(-self.logprobs[self._symbols.id(symbol)] / np.log(2))

    @property
    def entropy_bits(self) -> float:
        """The expected surprisal."""
        return float(-(self.probs @ self.logprobs) / np.log(2))

    def most_likely(self, n: int = 10) -> list[tuple[str, float]]:
        """The n most likely symbols with their probabilities, the likeliest first."""
        return [(self.token(id), self[id]) for id in self.most_likely_ids(n)]

    def most_likely_ids(self, n: int = 10) -> list[int]:
        """The ids of the n most likely symbols that are possible, the likeliest first; of equal ones the lowest id."""
        n_possible = int(np.isfinite(self.logprobs).sum())
        ids: list[int] = np.argsort(-self.logprobs, kind="stable")[: min(max(n, 0), n_possible)].tolist()
        return ids

    def token(self, id: int) -> str:
        """The symbol of an id. Raises TokenizerError: there is no such id."""
        return self._symbols.tokenizer.token(self._symbols.id(id))


def next_token(network: LanguageModel, symbols: Symbols, ids: Sequence[int], first: Ids | None = None) -> Distribution:
    """The distribution of the token after some ids.

    Args:
        ids: one or more, the line break among them that a text starts after.
        first: the ids that the token is known to be among; None for all. The others have the probability 0.

    Raises:
        CheckpointError: the model's logits are not finite.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        logits, _ = read_context(network, np.asarray(ids), 1)
    _check_finite(logits)
    return _distribution((logits if first is None else among(logits, first))[0], symbols)


def _check_finite(logits: Array) -> None:
    if not np.isfinite(logits).all():
        raise CheckpointError(NOT_FINITE)


def _distribution(logits: Array, symbols: Symbols) -> Distribution:
    shifted = logits.astype(np.float64)
    shifted -= shifted.max()
    return Distribution(shifted - np.log(np.exp(shifted).sum()), symbols)


class Stepper:
    """A model in the middle of a text.

    At the start it has read nothing and its hidden state is zeros. The texts that a model is trained on start after a
    line break: `step("\\n")` gives what a text may start with.

    >>> import rnngen
    >>> stepper = rnngen.load("hello").start()
    >>> stepper.step("h").most_likely(1)[0][0]
    'e'
    >>> [h.shape for h in stepper.hidden]
    [(24,)]
    >>> twin = stepper.copy()
    >>> bool(twin.step("e")["l"] == stepper.step("e")["l"])
    True
    >>> stepper.reset()
    >>> bool((stepper.hidden[0] == 0).all())
    True
    """

    def __init__(self, network: LanguageModel, symbols: Symbols) -> None:
        self._network, self._symbols = network, symbols
        self.reset()

    def step(self, symbol: str | int) -> Distribution:
        """Read a symbol.

        Args:
            symbol: its name (`tokenizer.token(id)`: a character, a word, ...) or its id.

        Returns:
            The distribution of the symbol after it.

        Raises:
            TokenizerError: the model has no such symbol.
            CheckpointError: the model's logits are not finite.
        """
        id = self._symbols.id(symbol)
        with np.errstate(over="ignore", invalid="ignore"):
            logits = self._advance(np.array([id]))
        _check_finite(logits)
        return _distribution(logits[0], self._symbols)

    @property
    def hidden(self) -> list[Array]:
        """A copy of the hidden state h of each recurrent layer: [H], float32. Empty for a model of counts alone."""
        return list(self._state[0][:, 0].copy()) if self._network.config.has_network else []

    @property
    def cell_state(self) -> list[Array]:
        """A copy of the cell state c of each layer of an lstm: [H], float32. Empty for other cells."""
        return list(self._state[1][:, 0].copy()) if self._network.config.cell == "lstm" else []

    def reset(self) -> None:
        """Forget everything that was read: the hidden state becomes zeros."""
        self._go_on_from(self._network.initial_state(1))

    def copy(self) -> Stepper:
        """Another one that has read the same, and reads on by itself."""
        twin = Stepper.__new__(Stepper)
        twin._network, twin._symbols = self._network, self._symbols
        twin._go_on_from(self._state)
        return twin

    def _go_on_from(self, state: State) -> None:
        self._state = tuple(np.array(part, order="C") for part in state)
        self._advance = self._network.stepper(self._state, in_place=True)
