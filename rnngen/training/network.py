"""RNNLM: the language model as a torch module, with torch.nn's names of the weights."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from rnngen.checkpoint import Weights
from rnngen.config import Device, ModelConfig
from rnngen.counts.corrections import CountModel
from rnngen.counts.storage import from_arrays, to_arrays
from rnngen.errors import ConfigError
from rnngen.shapes import MIX
from rnngen.training.linear import in_blocks
from rnngen.training.softmax import Rows, cross_entropy, softmax_loss, target_logprobs
from rnngen.training.stack import Stack, copied_weights, initial_state, initialize, make_rnn

# From this vocabulary on, rounding the softmax's product to bfloat16 saves time.
LARGE_VOCABULARY = 1024

# Measured (docs/defaults.md): the share of the counts' log-probabilities that is added to the logits in training.
COUNTS_IN_TRAINING = 0.4

Ids = npt.NDArray[np.integer]
Loss = tuple[Tensor, Tensor, tuple[Tensor, ...]]


class RNNLM(nn.Module):
    """Embedding, recurrent layers, softmax over the vocabulary; and what counts add to its logits.

    Args:
        low: type of the operands of the large matrix products in training (bfloat16 or float32).
        counts: None for a model without.

    Attributes:
        mix: the weights of the network's logits and of the counts' log-probabilities outside of training.
    """

    def __init__(self, config: ModelConfig, low: torch.dtype = torch.float32, counts: CountModel | None = None) -> None:
        super().__init__()
        self.config = config
        self.low = low
        self.counts = counts
        self.mix = (1.0, COUNTS_IN_TRAINING)
        unigram = np.zeros(config.vocab_size) if counts is None else counts.unigram_logprobs
        self.register_buffer("unigram", torch.from_numpy(unigram).float(), persistent=False)
        self.unigram: Tensor
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_dim)
        self.rnn = make_rnn(config)
        self._stack = Stack(config, self.embedding, self.rnn, low)
        self.output = nn.Linear(config.hidden_size, config.vocab_size)
        self._initialize()
        if config.tie_weights:
            self.output.weight = self.embedding.weight

    def _initialize(self) -> None:
        """Orthogonal recurrent matrices, forget gates open, a softmax that starts uniform."""
        scale = 1 / math.sqrt(self.config.hidden_size)
        with torch.no_grad():
            # A tied matrix is the softmax's too, and must not start with large logits.
            self.embedding.weight.normal_(0, scale if self.config.tie_weights else 1.0)
            initialize(self.rnn)
            self.output.weight.normal_(0, 0.1 * scale)
            self.output.bias.zero_()

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """Zeros: h, and for lstm c, each [L, B, H]."""
        return initial_state(self.config, batch_size, self.output.bias)

    def forward(
        self, ids: Tensor, state: tuple[Tensor, ...], before: Ids | None = None, own: Ids | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Logits of the token after each id.

        Args:
            ids: [T, B].
            state: as `initial_state` has it.
            before: [history, B], the ids before, as `CountModel.nodes` takes them; for a model with counts.
            own: [T, B], as the targets of `CountModel.add`.

        Returns:
            Logits [T, B, V], and the state after the window, detached.
        """
        outputs, after = self._stack.run(ids, state)
        x, bias = self._shares(outputs)
        logits = in_blocks(x, self.output.weight, bias, 1, self._softmax_low())[0]  # [T, B, V]
        if self.counts is not None:
            add = self._counts_adder(ids, before, own)
            add(slice(None), logits.flatten(0, 1))
        return logits, after

    def loss(
        self,
        ids: Tensor,
        targets: Tensor,
        state: tuple[Tensor, ...],
        before: Ids | None = None,
        own: Ids | None = None,
    ) -> Loss:
        """The loss of a training step.

        Args:
            targets: [T, B], int64; IGNORED where nothing is to be predicted.
            ids, state, before, own: as `forward` has them.

        Returns:
            The mean cross-entropy in nats over the targets that count, [], NaN where none does; that of each target,
            [T, B], without gradients, 0 where it does not count; and the state after the window, detached.
        """
        if self.in_chunks:
            outputs, after = self._stack.run(ids, state)
            x, bias = self._shares(outputs)
            add = None if self.counts is None else self._counts_adder(ids, before, own)
            loss, losses = softmax_loss(
                x.flatten(0, 1), self.output.weight, bias, targets.flatten(), self._softmax_low(), add
            )
            return loss, losses.view_as(targets), after
        logits, after = self(ids, state, before, own)
        return *cross_entropy(logits, targets), after

    def _shares(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """What the softmax multiplies, and its bias: with the share of the network, and the unigrams' of the counts."""
        if self.counts is None:
            return outputs, self.output.bias
        share, weight = (1.0, COUNTS_IN_TRAINING) if self.training else self.mix
        return (outputs if share == 1 else share * outputs), share * self.output.bias + weight * self.unigram

    def _counts_adder(self, ids: Tensor, before: Ids | None, own: Ids | None) -> Callable[[Rows, Tensor], None]:
        """A function that adds to the logits of some places of a window, [n, V], what the counts have for them.

        It works on the numbers alone: the counts have no gradient.
        """
        counts = self.counts
        assert counts is not None
        assert before is not None
        weight = COUNTS_IN_TRAINING if self.training else self.mix[1]
        nodes = counts.nodes(np.concatenate([before, ids.cpu().numpy()])).reshape(ids.numel(), -1)
        targets = None if own is None else own.reshape(-1)

        def add(rows: Rows, logits: Tensor) -> None:
            numbers = logits.detach()
            some = None if targets is None else targets[rows]
            if numbers.device.type == "cpu":
                counts.add(numbers.numpy(), nodes[rows], weight, some)
                return
            added = np.zeros(numbers.shape, np.float32)
            counts.add(added, nodes[rows], weight, some)
            numbers += torch.from_numpy(added).to(numbers.device)

        return add

    @property
    def in_chunks(self) -> bool:
        """Whether the softmax works on a few rows at a time."""
        return self.config.vocab_size >= LARGE_VOCABULARY and self.output.bias.device.type == "cpu"

    @torch.no_grad()
    def target_logprobs(
        self, ids: Tensor, targets: Tensor, state: tuple[Tensor, ...], before: Ids | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Natural log-probabilities [T, B] of the targets [T, B] and the state after; for `in_chunks` only."""
        outputs, after = self._stack.run(ids, state)
        x, bias = self._shares(outputs)
        add = None if self.counts is None else self._counts_adder(ids, before, None)
        found = target_logprobs(x.flatten(0, 1), self.output.weight, bias, targets.flatten(), add)
        return found.view_as(targets), after

    @torch.no_grad()
    def parts(
        self, ids: Tensor, state: tuple[Tensor, ...], before: Ids, wanted: npt.NDArray[np.integer]
    ) -> tuple[Tensor, Tensor]:
        """Of some places of a window the network's logits, and the counts' log-probabilities but for a constant.

        Args:
            wanted: [n], places of the flattened window.

        Returns:
            Twice [n, V], float32, on the processor.
        """
        assert self.counts is not None
        outputs, _ = self._stack.run(ids, state)
        x = outputs.flatten(0, 1)[torch.from_numpy(wanted).to(outputs.device)]
        logits = functional.linear(x, self.output.weight, self.output.bias).cpu()
        nodes = self.counts.nodes(np.concatenate([before, ids.cpu().numpy()])).reshape(ids.numel(), -1)
        counts = self.unigram.cpu().repeat(len(wanted), 1)
        self.counts.add(counts.numpy(), nodes[wanted], 1.0)
        return logits, counts

    def _softmax_low(self) -> torch.dtype:
        return self.low if self.training and self.config.vocab_size >= LARGE_VOCABULARY else torch.float32


def to_weights(network: RNNLM) -> Weights:
    """A copy of the weights as a checkpoint has them, and the counts."""
    weights = copied_weights(network, network.config)
    if network.counts is None:
        return weights
    return weights | {MIX: np.array(network.mix, np.float32)} | to_arrays(network.counts.trie)


def load_network(config: ModelConfig, weights: Weights) -> RNNLM:
    """The network in float32 with a copy of a checkpoint's weights."""
    counts = CountModel(from_arrays(weights, config.vocab_size)) if config.ngram_order else None
    network = RNNLM(config, counts=counts)
    if counts is not None:
        network.mix = (float(weights[MIX][0]), float(weights[MIX][1]))
    # A tied matrix stands once in a checkpoint and twice in the module.
    names = set(config.weight_shapes()) - {MIX}
    network.load_state_dict({name: torch.from_numpy(weights[name]) for name in names}, strict=False)
    return network


def check_device(device: Device) -> None:
    """Raise ConfigError when torch cannot use the device."""
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device is 'cuda': torch finds no GPU that it can use; leave out --device")
