"""Dynamic evaluation: a model that goes on learning from the text that it is measured on.

Krause, Kahembwe, Murray and Renals 2018, "Dynamic evaluation of neural sequence models", section 4, the variant with
plain gradient descent. The text comes in segments. A segment is scored first, and then the weights take a step down the
gradient of its loss, so no token is scored by weights that have seen it; a share of the way back to the trained weights
keeps what was learnt before from being forgotten:

    stepped = theta - learning_rate * gradient;  theta <- stepped + decay * (trained theta - stepped)

The rows of n-grams take steps ROWS_RATE times as long and do not go back: a row is met seldom. On characters they bring
the gain: at a rate of 6, and all else as it was, 1.385 to 1.215 nats a token on wikitext-2, 1.515 to 1.433 on
tinyshakespeare; the rest at 0.03 beside them added nothing. The paper's other variant, steps divided by the root mean
square of the gradients on another text (RMS), did not pay: subwords 3.896 where plain steps reach 3.860, and with the
rows in motion characters 1.448 where plain steps reach 1.447.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from rnngen.checkpoint import Weights
from rnngen.config import ModelConfig
from rnngen.engine.scoring import Scorer, in_windows
from rnngen.errors import ConfigError, TrainingError
from rnngen.training.network import RNNLM, load_network

ROWS_RATE = 200.0

# What `tune_dynamic` tries, one after another: the best learning rate, and then the best decay with it.
LEARNING_RATES = (0.003, 0.01, 0.03, 0.1)
DECAYS = (0.001, 0.01)


@dataclass(frozen=True)
class DynamicSettings:
    """How the weights follow the text. The defaults suit a text about which nothing is known.

    Measured with GRUs of 128 to 512 on 8,000 tokens, nats a token: characters of tinyshakespeare 1.297 to 1.258, of
    wikitext-2 1.438 to 1.309, of a drama 1.372 to 1.378, for which the rate is too high; subwords of wikitext-2 4.419
    to 4.312, words 4.526 to 4.437, which gain more with a rate of 0.03.

    Attributes:
        learning_rate: of plain gradient descent on a segment's mean loss; 0 is the model as it was trained.
        decay: the share of the way back to the trained weights after each segment, 0 to 1.
        bptt: tokens of a segment.
    """

    learning_rate: float = 0.01
    decay: float = 0.001
    bptt: int = 20


@dataclass(frozen=True)
class DynamicTuning:
    """The settings with the lowest loss on a text.

    Attributes:
        loss_nats: a token, with these settings; static_loss_nats with the weights as they were trained.
    """

    settings: DynamicSettings
    loss_nats: float
    static_loss_nats: float


def dynamic_scorer(config: ModelConfig, weights: Weights, learning_rate: float, decay: float, bptt: int) -> Scorer:
    """A scorer of texts. Each text starts with a copy of the trained weights: `weights` stay as they are.

    Args:
        learning_rate: 0 or more.
        decay: 0 to 1.
        bptt: 1 or more.

    Raises:
        ConfigError: a value out of range.
        TrainingError: while scoring, the steps were too long and a loss is not finite.
    """
    _check(learning_rate, decay, bptt)

    def score(arrays: Iterable[npt.NDArray[np.integer]], newline_id: int) -> Iterator[npt.NDArray[np.float32]]:
        network = load_network(config, weights).eval()  # without dropout
        trained = [weight.detach().clone() for weight in network.dense_parameters()]
        state = network.initial_state(1)
        previous = newline_id
        for number, segment in enumerate(in_windows(arrays, bptt)):
            targets = torch.from_numpy(segment)
            inputs = torch.cat([torch.tensor([previous]), targets[:-1]])
            with _one_thread():
                logits, state = network(inputs[:, None], state)
                losses = functional.cross_entropy(logits[:, 0], targets, reduction="none")
                loss = losses.mean()
                if not torch.isfinite(loss):
                    raise TrainingError(
                        f"dynamic evaluation diverged at token {number * bptt + 1:,}: "
                        f"learning_rate is {learning_rate:g}, too high for this model"
                    )
                if learning_rate > 0:
                    _step(network, loss, trained, learning_rate, decay)
            yield -losses.detach().numpy()
            previous = int(targets[-1])

    return score


def tune_dynamic(config: ModelConfig, weights: Weights, ids: npt.NDArray[np.integer], newline_id: int) -> DynamicTuning:
    """Try LEARNING_RATES and then DECAYS on a text. The learning rate is 0 where none helps."""

    def loss(learning_rate: float, decay: float) -> float:
        scorer = dynamic_scorer(config, weights, learning_rate, decay, DynamicSettings.bptt)
        return _loss(scorer([ids], newline_id))

    losses = {(rate, 0.0): loss(rate, 0.0) for rate in (0.0, *LEARNING_RATES)}
    rate, _ = min(losses, key=lambda pair: losses[pair])
    if rate > 0:
        losses |= {(rate, decay): loss(rate, decay) for decay in DECAYS}
    best = min(losses, key=lambda pair: losses[pair])
    return DynamicTuning(DynamicSettings(*best), losses[best], losses[0.0, 0.0])


def _check(learning_rate: float, decay: float, bptt: int) -> None:
    if not 0 <= learning_rate < math.inf:
        raise ConfigError(f"learning_rate is {learning_rate!r}: it must be 0 or more")
    if not 0 <= decay <= 1:
        raise ConfigError(f"decay is {decay!r}: it must be between 0 and 1")
    if bptt < 1:
        raise ConfigError(f"bptt is {bptt!r}: it must be a whole number, 1 or more")


@contextmanager
def _one_thread() -> Iterator[None]:
    """A step of one stream is too small to be shared: alone a second thread gains nothing, beside others it harms."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _step(network: RNNLM, loss: Tensor, trained: list[Tensor], learning_rate: float, decay: float) -> None:
    network.zero_grad(set_to_none=True)
    loss.backward()
    with torch.no_grad():
        for weight, before in zip(network.dense_parameters(), trained, strict=True):
            assert weight.grad is not None
            weight.add_(weight.grad, alpha=-learning_rate)
            weight.lerp_(before, decay)
        if network.ngram is not None:
            gradient = network.ngram.weight.grad
            assert gradient is not None
            rate = learning_rate * ROWS_RATE
            network.ngram.weight.index_add_(0, gradient._indices()[0], gradient._values(), alpha=-rate)


def _loss(parts: Iterator[npt.NDArray[np.floating]]) -> float:
    """Nats a token; infinite where the steps were too long."""
    try:
        return -float(np.concatenate(list(parts)).mean(dtype=np.float64))
    except TrainingError:
        return math.inf
