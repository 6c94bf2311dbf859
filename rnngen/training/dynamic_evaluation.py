"""Dynamic evaluation: a model learns from the text that it is measured on while it is measured.

Krause, Kahembwe, Murray and Renals 2018, "Dynamic evaluation of neural sequence models", section 4, the variant with
plain gradient descent. The text comes in segments. A segment is scored first, and then the weights take a step down the
gradient of its loss, so no token is scored by weights that have seen it. Then the weights go a share of the way back to
the trained ones, so that the model does not forget its training:

    stepped = theta - learning_rate * gradient;  theta <- stepped + decay * (trained theta - stepped)

The counts of a model stay as they are. The paper's other variant divides steps by the root mean square of the gradients
on another text (RMS). It brought nothing: subwords 3.896 where plain steps reach 3.860.
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

from rnngen import work
from rnngen.checkpoint import Weights
from rnngen.checks import check_number, check_whole
from rnngen.config import ModelConfig
from rnngen.engine.scoring import Scorer, in_windows
from rnngen.errors import TrainingError
from rnngen.training.network import RNNLM, load_network

# `tune_dynamic` looks for the best learning rate first, and then for the best decay with it.
LEARNING_RATES = (0.003, 0.01, 0.03, 0.1)
DECAYS = (0.001, 0.01)


@dataclass(frozen=True)
class DynamicSettings:
    """How the weights follow the text. The defaults suit a text about which nothing is known.

    Measured with GRUs of 128 to 512 on 8,000 tokens, nats per token without and with it. Characters: tinyshakespeare
    1.297 and 1.258, wikitext-2 1.438 and 1.309, a drama 1.372 and 1.378 (the rate is too high for it). wikitext-2 in
    subwords 4.419 and 4.312, in words 4.526 and 4.437; both gain more with a rate of 0.03.

    Attributes:
        learning_rate: of plain gradient descent on a segment's mean loss; with 0 the model stays as it was trained.
        decay: the share of the way back to the trained weights after each segment, 0 to 1.
        bptt: length of a segment in tokens.
    """

    learning_rate: float = 0.01
    decay: float = 0.001
    bptt: int = 20


@dataclass(frozen=True)
class DynamicTuning:
    """The settings with the lowest loss on a text.

    Attributes:
        loss_nats: per token, with these settings.
        static_loss_nats: per token, with the weights as they were trained.
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
        TrainingError: while scoring, where a loss is not finite because the steps are too long.
    """
    _check(learning_rate, decay, bptt)

    def score(arrays: Iterable[npt.NDArray[np.integer]], newline_id: int) -> Iterator[npt.NDArray[np.float32]]:
        network = load_network(config, weights).eval()  # without dropout
        trained = [weight.detach().clone() for weight in network.parameters()]
        state = network.initial_state(1)
        before = None if network.counts is None else network.counts.initial_history(1)
        previous = newline_id
        for number, segment in enumerate(in_windows(arrays, bptt)):
            targets = torch.from_numpy(segment)
            inputs = torch.cat([torch.tensor([previous]), targets[:-1]])
            with _one_thread():
                logits, state = network(inputs[:, None], state, before)
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
            if before is not None:
                before = np.concatenate([before, inputs.numpy()[:, None]])[len(inputs) :]

    return score


def tune_dynamic(config: ModelConfig, weights: Weights, ids: npt.NDArray[np.integer], newline_id: int) -> DynamicTuning:
    """Try LEARNING_RATES and then DECAYS on a text. The learning rate is 0 where none helps."""

    def loss(learning_rate: float, decay: float) -> float:
        scorer = dynamic_scorer(config, weights, learning_rate, decay, DynamicSettings.bptt)
        losses = work.follow(scorer([ids], newline_id), f"dynamic, lr {learning_rate:g}", len(ids), "tokens", len)
        return _loss(losses)

    losses = {(rate, 0.0): loss(rate, 0.0) for rate in (0.0, *LEARNING_RATES)}
    rate, _ = min(losses, key=lambda pair: losses[pair])
    if rate > 0:
        losses |= {(rate, decay): loss(rate, decay) for decay in DECAYS}
    best = min(losses, key=lambda pair: losses[pair])
    return DynamicTuning(DynamicSettings(*best), losses[best], losses[0.0, 0.0])


def _check(learning_rate: float, decay: float, bptt: int) -> None:
    check_number("learning_rate", learning_rate, 0)
    check_number("decay", decay, 0, 1)
    check_whole("bptt", bptt, 1)


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread: a step of one stream is too small for two. On an idle machine a second thread gains nothing, on a
    busy one it costs time.
    """
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
        for weight, before in zip(network.parameters(), trained, strict=True):
            assert weight.grad is not None
            weight.add_(weight.grad, alpha=-learning_rate)
            weight.lerp_(before, decay)


def _loss(parts: Iterator[npt.NDArray[np.floating]]) -> float:
    """Nats per token; infinite where the steps were too long."""
    try:
        return -float(np.concatenate(list(parts)).mean(dtype=np.float64))
    except TrainingError:
        return math.inf
