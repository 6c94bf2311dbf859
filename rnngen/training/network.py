"""RNNLM: the language model as a torch module.

The modules are torch.nn's own and only hold the weights, under torch.nn's names; on a CPU the recurrent layers run
through `recurrent.py`, elsewhere through torch.nn.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from rnngen.checkpoint import Weights
from rnngen.config import MIX, Device, ModelConfig
from rnngen.counts.corrections import CountModel
from rnngen.counts.storage import from_arrays, to_arrays
from rnngen.errors import ConfigError
from rnngen.training.bptt import IGNORED
from rnngen.training.dropping import drop_units, drop_weights
from rnngen.training.products import product, sum_of_products
from rnngen.training.recurrent import run_layer
from rnngen.training.softmax import Rows, softmax_loss, target_logprobs

# Up to this vocabulary the embedding and the input weights of the first layer are multiplied as a whole, once a
# window, and the gates are looked up: cheaper than multiplying every row of the window.
LOOKED_UP_VOCABULARY = 1024
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
        sizes = (config.embedding_dim, config.hidden_size, config.num_layers)
        self.rnn: nn.RNNBase
        match config.cell:
            case "rnn":
                self.rnn = nn.RNN(*sizes, nonlinearity=config.nonlinearity)
            case "gru":
                self.rnn = nn.GRU(*sizes)
            case "lstm":
                self.rnn = nn.LSTM(*sizes)
        self.output = nn.Linear(config.hidden_size, config.vocab_size)
        self._initialize()
        if config.tie_weights:
            self.output.weight = self.embedding.weight

    def _initialize(self) -> None:
        """Orthogonal recurrent matrices, forget gates open, a softmax that starts uniform."""
        H = self.config.hidden_size
        scale = 1 / math.sqrt(H)
        with torch.no_grad():
            # A tied matrix is the softmax's too, and must not start with large logits.
            self.embedding.weight.normal_(0, scale if self.config.tie_weights else 1.0)
            for name, weight in self.rnn.named_parameters():
                if name.startswith("weight_hh"):
                    for block in weight.split(H):
                        nn.init.orthogonal_(block)
                elif name.startswith("bias"):
                    weight.zero_()
                    if self.config.cell == "lstm" and name.startswith("bias_hh"):
                        weight[H : 2 * H] = 1.0  # Jozefowicz et al. 2015: remember until told to forget
            self.output.weight.normal_(0, 0.1 * scale)
            self.output.bias.zero_()

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """Zeros: h, and for lstm c, each [L, B, H]."""
        shape = (self.config.num_layers, batch_size, self.config.hidden_size)
        zeros = self.output.bias.new_zeros
        return tuple(zeros(shape) for _ in range(2 if self.config.cell == "lstm" else 1))

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
        outputs, after = self._outputs(ids, state)
        x, bias = self._shares(outputs)
        logits = _blocks(x, self.output.weight, bias, 1, self._softmax_low())[0]  # [T, B, V]
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
        flat = targets.flatten()
        if self.in_chunks:
            outputs, after = self._outputs(ids, state)
            x, bias = self._shares(outputs)
            add = None if self.counts is None else self._counts_adder(ids, before, own)
            loss, losses = softmax_loss(x.flatten(0, 1), self.output.weight, bias, flat, self._softmax_low(), add)
            return loss, losses.view_as(targets), after
        logits, after = self(ids, state, before, own)
        logprobs = functional.log_softmax(logits.flatten(0, 1), -1)
        losses = functional.nll_loss(logprobs.detach(), flat, ignore_index=IGNORED, reduction="none")
        return functional.nll_loss(logprobs, flat, ignore_index=IGNORED), losses.view_as(targets), after

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
        outputs, after = self._outputs(ids, state)
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
        outputs, _ = self._outputs(ids, state)
        x = outputs.flatten(0, 1)[torch.from_numpy(wanted).to(outputs.device)]
        logits = functional.linear(x, self.output.weight, self.output.bias).cpu()
        nodes = self.counts.nodes(np.concatenate([before, ids.cpu().numpy()])).reshape(ids.numel(), -1)
        counts = self.unigram.cpu().repeat(len(wanted), 1)
        self.counts.add(counts.numpy(), nodes[wanted], 1.0)
        return logits, counts

    def _softmax_low(self) -> torch.dtype:
        return self.low if self.training and self.config.vocab_size >= LARGE_VOCABULARY else torch.float32

    def _outputs(self, ids: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Of the last layer, [T, B, H], and the recurrent state after."""
        return (self._run if ids.device.type == "cpu" else self._run_torch)(ids, state)

    def _run(self, ids: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        config = self.config
        H = config.hidden_size
        low = self.low if self.training else torch.float32
        after = []
        outputs = None
        for layer in range(config.num_layers):
            w_ih, w_hh, b_ih, b_hh = (
                getattr(self.rnn, f"{name}_l{layer}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            b_n = b_hh[2 * H :] if config.cell == "gru" else None
            # All of b_hh can be added before the loop but the gru's share inside the reset gate.
            bias = b_ih + (b_hh if b_n is None else functional.pad(b_hh[: 2 * H], (0, H)))
            if outputs is not None:
                gates = _blocks(outputs, w_ih, bias, config.num_gates, low)
            elif config.vocab_size <= LOOKED_UP_VOCABULARY:
                gates = self._look_up(ids, w_ih, bias)
            else:
                gates = _blocks(self.embedding(ids), w_ih, bias, config.num_gates, low)
            first = tuple(part[layer] for part in state)
            w_hh = self._drop_weights(w_hh)
            outputs, last = run_layer(config.cell, config.nonlinearity, gates, first, w_hh, b_n, low)
            outputs = self._drop(outputs)
            after.append(last)
        assert outputs is not None
        return outputs, tuple(torch.stack(parts) for parts in zip(*after, strict=True))

    def _look_up(self, ids: Tensor, w_ih: Tensor, bias: Tensor) -> Tensor:
        V, H = self.config.vocab_size, self.config.hidden_size
        table = functional.linear(self.embedding.weight, w_ih, bias)  # [V, G*H]
        table = table.view(V, -1, H).transpose(0, 1)  # [G, V, H]
        first = torch.arange(len(table))[:, None, None] * V
        return functional.embedding(ids + first, table.reshape(-1, H))  # [G, T, B, H]

    def _run_torch(self, ids: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        config = self.config
        weights = [
            self._drop_weights(weight) if name.startswith("weight_hh") else weight
            for name, weight in self.rnn.named_parameters()
        ]
        name = f"rnn_{config.nonlinearity}" if config.cell == "rnn" else config.cell
        run = getattr(torch, name)  # the modules' own forward takes no other weights
        is_low = self.training and self.low == torch.bfloat16
        with torch.autocast(ids.device.type, torch.bfloat16, enabled=is_low):
            outputs, *last = run(
                self.embedding(ids), state if len(state) > 1 else state[0], weights, has_biases=True,
                num_layers=config.num_layers, dropout=config.dropout if config.num_layers > 1 else 0.0,
                train=self.training, bidirectional=False, batch_first=False,
            )  # fmt: skip
        return self._drop(outputs.float()), tuple(part.detach().float() for part in last)

    def _drop(self, outputs: Tensor) -> Tensor:
        return drop_units(outputs, self.config.dropout) if self.training else outputs

    def _drop_weights(self, weight: Tensor) -> Tensor:
        return drop_weights(weight, self.config.weight_drop) if self.training else weight


class _LowLinear(torch.autograd.Function):
    """x W^T + b with rounded operands in the products, forward and backward, and a float32 result, block by block.

    [N, I], [blocks * O, I], [blocks * O] -> [blocks, N, O].
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, blocks: int, low: torch.dtype) -> Any:
        x, weight = x.to(low), weight.detach().to(low)
        ctx.save_for_backward(x, weight)
        rows = product(weight)(x).view(len(x), blocks, -1).transpose(0, 1)
        # Memory of its own, not a view: a recurrent layer writes into it.
        return torch.add(rows, bias.view(blocks, 1, -1), out=torch.empty(rows.shape, device=x.device))

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        x, weight = ctx.saved_tensors
        grad = grads[0]  # [blocks, N, O]
        rows = grad.to(weight.dtype).transpose(0, 1).reshape(len(x), -1)
        d_x = product(weight.t().contiguous())(rows).float()
        return d_x, sum_of_products(rows, x), grad.sum(1).flatten(), None, None


def _blocks(x: Tensor, weight: Tensor, bias: Tensor, blocks: int, low: torch.dtype) -> Tensor:
    """x W^T + b, block by block of W's rows: [T, B, I] -> [blocks, T, B, O]."""
    rows: Tensor = _LowLinear.apply(x.flatten(0, 1), weight, bias, blocks, low)  # type: ignore[no-untyped-call]
    return rows.view(blocks, *x.shape[:2], -1)


def to_weights(network: RNNLM) -> Weights:
    """A copy of the weights as a checkpoint has them, and the counts."""
    values = network.state_dict()
    weights = {name: values[name].cpu().numpy().copy() for name in network.config.weight_shapes() if name != MIX}
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
