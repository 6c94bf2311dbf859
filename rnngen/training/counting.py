"""The n-grams of the text to train on, and the weights of their log-probabilities beside the network's logits.

A model with counts adds what they say, COUNTS_IN_TRAINING times, to the network's logits already in training, each
token's own occurrence left out (`counts/corrections.py`). So the network learns what the counts do not know. For use
the two weights of a log p_network + b log p_counts are fitted on a part of the validation text by Newton's method.
"""

from __future__ import annotations

from itertools import islice

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rnngen import work
from rnngen.checkpoint import Weights
from rnngen.config import ModelConfig
from rnngen.counts.corrections import CountModel
from rnngen.counts.estimate import estimate
from rnngen.counts.sample import TextSample
from rnngen.counts.storage import to_arrays
from rnngen.engine.language_model import Engine
from rnngen.shapes import MIX
from rnngen.text.dataset import Dataset
from rnngen.training.bptt import IGNORED, Counted, Window, line_windows
from rnngen.training.network import COUNTS_IN_TRAINING, RNNLM
from rnngen.training.plan import Plan

SEGMENTS = 32
RUN_UP = 64  # tokens that a segment's state comes from
MOST_PLACES, FEWEST_PLACES = 8192, 256
MOST_LOGITS = 1 << 23
NEWTON_STEPS = 8
RIDGE = 1e-4  # an untrained network has no logits to fit a weight to


def count_text(plan: Plan, data: Dataset) -> CountModel | None:
    """The counts of the text to train on; None where the model has none."""
    if not plan.model.ngram_order:
        return None
    ids = data.train.ids
    sample = text_sample(plan, data)
    with work.named("counting n-grams"):
        trie = estimate(
            sample.take(ids), data.tokenizer.newline_id, data.tokenizer.vocab_size, plan.model.ngram_order,
            by_lines=data.lines, most_bytes=plan.ngram_bytes,
        )  # fmt: skip
    return CountModel(trie)


def text_sample(plan: Plan, data: Dataset) -> TextSample:
    """The part of the text that is counted."""
    return TextSample(len(data.train.ids), plan.ngram_tokens)


def counted(counts: CountModel | None, plan: Plan, data: Dataset) -> Counted:
    """What the windows of a run need of its counts."""
    return Counted() if counts is None else Counted(counts.history, text_sample(plan, data).contains)


def counts_alone(counts: CountModel) -> Engine:
    """The model of the counts without a network."""
    config = ModelConfig(
        vocab_size=counts.trie.vocab_size, cell="none", embedding_dim=0, hidden_size=0, num_layers=0,
        ngram_order=counts.trie.order,
    )  # fmt: skip
    return Engine(config, alone_weights(counts))


def alone_weights(counts: CountModel) -> Weights:
    """The weights of such a model."""
    return {MIX: np.array([0, 1], np.float32)} | to_arrays(counts.trie)


class MixFit:
    """Fits the weights of network and counts on a part of the validation text."""

    def __init__(self, data: Dataset, counts: CountModel) -> None:
        n_places = max(FEWEST_PLACES, min(MOST_PLACES, MOST_LOGITS // counts.trie.vocab_size))
        self._window = _window_of_lines(data, n_places, counts) if data.lines else _window(data, n_places, counts)
        places = np.flatnonzero(self._window.targets.reshape(-1) != IGNORED)
        self._places = places[:: max(1, len(places) // n_places)]
        self._targets = torch.from_numpy(self._window.targets.reshape(-1)[self._places])

    def weights(self, network: RNNLM) -> tuple[float, float]:
        """The weights a and b with the lowest loss of softmax(a z + b log p)."""
        network.eval()
        inputs = torch.from_numpy(self._window.inputs).to(network.output.bias.device)
        state = network.initial_state(inputs.shape[1])
        return fit_mix(*network.parts(inputs, state, self._window.before, self._places), self._targets)


def fit_mix(logits: Tensor, counts: Tensor, targets: Tensor) -> tuple[float, float]:
    """Newton's method for the two weights: [n, V] twice and [n] -> a, b.

    The loss is convex in them. Its second derivatives are the variances of the logits under the softmax.
    """
    first = torch.tensor([1.0, COUNTS_IN_TRAINING], dtype=torch.float64)
    wanted = torch.stack([part.gather(1, targets[:, None]).mean() for part in (logits, counts)]).double()

    def expected(mix: Tensor) -> tuple[float, Tensor, Tensor]:
        mixed = torch.add(counts * float(mix[1]), logits, alpha=float(mix[0]))
        normalizer = mixed.logsumexp(1, keepdim=True)
        probs = (mixed - normalizer).exp_()
        parts = [probs * part for part in (logits, counts)]
        means = torch.stack([part.sum(1) for part in parts])  # [2, n]
        squares = [(one * two).sum(1) for one, two in zip((*parts, parts[0]), (logits, counts, counts), strict=True)]
        aa, bb, ab = (float((square - mean).mean()) for square, mean in zip(
            squares, (means[0] ** 2, means[1] ** 2, means[0] * means[1]), strict=True))  # fmt: skip
        slope = means.mean(1).double() - wanted + RIDGE * (mix - first)
        loss = float(normalizer.mean()) - float(mix @ wanted) + RIDGE / 2 * float(((mix - first) ** 2).sum())
        return loss, slope, torch.tensor([[aa + RIDGE, ab], [ab, bb + RIDGE]], dtype=torch.float64)

    mix = first
    loss, slope, curvature = expected(mix)
    length = 1.0
    for _ in range(NEWTON_STEPS):
        step = torch.linalg.solve(curvature, slope)
        if float(step @ slope) < 1e-7:
            break
        tried = (mix - length * step).clamp(min=0)
        found = expected(tried)
        if found[0] > loss:
            length /= 2
            continue
        mix, (loss, slope, curvature) = tried, found
    return float(mix[0]), float(mix[1])


def _window(data: Dataset, n_places: int, counts: CountModel) -> Window:
    """Segments of a running text, each after a run-up that does not count."""
    ids = data.valid.ids
    length = -(-n_places // SEGMENTS)
    B = min(SEGMENTS, len(ids) // (RUN_UP + length))
    if B < 2:
        text = np.asarray(ids[: n_places + RUN_UP], np.int64)[:, None]
        inputs = np.concatenate([[[data.tokenizer.newline_id]], text[:-1]])
        return _plain_window(inputs, text, counts)
    starts = np.arange(B) * (len(ids) - RUN_UP - length) // (B - 1)
    found = np.asarray(ids[starts + np.arange(RUN_UP + length)[:, None]], np.int64)
    targets = found[1:].copy()
    targets[: RUN_UP - 1] = IGNORED
    return _plain_window(found[:-1], targets, counts)


def _plain_window(inputs: npt.NDArray[np.int64], targets: npt.NDArray[np.int64], counts: CountModel) -> Window:
    B = inputs.shape[1]
    return Window(inputs, targets, np.ones(B, bool), counts.initial_history(B), np.full(targets.shape, -1))


def _window_of_lines(data: Dataset, n_places: int, counts: CountModel) -> Window:
    """Lines, drawn at random, in one batch."""
    ids, newline_id = data.valid.ids, data.tokenizer.newline_id
    n_lines = max(1, int(np.count_nonzero(ids == newline_id)))
    B = max(1, min(n_lines, n_places * n_lines // len(ids)))
    generator = np.random.default_rng(0)
    longest = max(64, 4 * len(ids) // n_lines)  # of a line that is longer, its start
    return next(islice(line_windows(ids, newline_id, B, longest, generator, counted=Counted(counts.history)), 1))
