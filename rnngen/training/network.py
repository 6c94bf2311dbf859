"""RNNLM: the language model as a torch module, and the same with numpy arrays in and out.

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
from rnngen.config import NGRAM_WEIGHT, Device, ModelConfig, weight_dtype
from rnngen.errors import ConfigError
from rnngen.training.bptt import IGNORED
from rnngen.training.ngram_rows import NGrams
from rnngen.training.products import product, sum_of_products
from rnngen.training.recurrent import run_layer
from rnngen.training.softmax import softmax_loss, target_logprobs

# Up to this vocabulary the embedding and the input weights of the first layer are multiplied as a whole, once a
# window, and the gates are looked up: cheaper than multiplying every row of the window.
LOOKED_UP_VOCABULARY = 1024
# From this vocabulary on, rounding the softmax's product to bfloat16 saves time.
LARGE_VOCABULARY = 1024

Loss = tuple[Tensor, Tensor, tuple[Tensor, ...]]


class RNNLM(nn.Module):
    """Embedding, recurrent layers, softmax over the vocabulary.

    Args:
        low: type of the operands of the large matrix products in training (bfloat16 or float32).
    """

    def __init__(self, config: ModelConfig, low: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.config = config
        self.low = low
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
        self.ngram = NGrams(config) if config.ngram_orders else None

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

    def dense_parameters(self) -> list[nn.Parameter]:
        """All but the rows of n-grams, whose gradient is sparse."""
        return [parameter for name, parameter in self.named_parameters() if name != NGRAM_WEIGHT]

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """Zeros: h, and for lstm c, each [L, B, H]; with n-grams the ids before, [N - 1, B]."""
        shape = (self.config.num_layers, batch_size, self.config.hidden_size)
        zeros = self.output.bias.new_zeros
        recurrent = tuple(zeros(shape) for _ in range(2 if self.config.cell == "lstm" else 1))
        return recurrent if self.ngram is None else (*recurrent, self.ngram.initial_history(batch_size))

    def forward(self, ids: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Logits of the token after each id.

        Args:
            ids: [T, B].
            state: as `initial_state` has it.

        Returns:
            Logits [T, B, V], and the state after the window, detached.
        """
        outputs, after = self._outputs(ids, state if self.ngram is None else state[:-1])
        logits = _blocks(outputs, self.output.weight, self.output.bias, 1, self._softmax_low())[0]  # [T, B, V]
        if self.ngram is None:
            return logits, after
        direct, history = self.ngram(ids, state[-1])
        return logits + direct, (*after, history)

    def loss(self, ids: Tensor, targets: Tensor, state: tuple[Tensor, ...]) -> Loss:
        """The loss of a training step.

        Args:
            ids: [T, B].
            targets: [T, B], int64; IGNORED where nothing is to be predicted.
            state: as `initial_state` has it.

        Returns:
            The mean cross-entropy in nats over the targets that count, [], NaN where none does; that of each target,
            [T, B], without gradients, 0 where it does not count; and the state after the window, detached.
        """
        flat = targets.flatten()
        if self.in_chunks:
            outputs, after = self._outputs(ids, state)
            output, low = self.output, self._softmax_low()
            loss, losses = softmax_loss(outputs.flatten(0, 1), output.weight, output.bias, flat, low)
            return loss, losses.view_as(targets), after
        logits, after = self(ids, state)
        logprobs = functional.log_softmax(logits.flatten(0, 1), -1)
        losses = functional.nll_loss(logprobs.detach(), flat, ignore_index=IGNORED, reduction="none")
        return functional.nll_loss(logprobs, flat, ignore_index=IGNORED), losses.view_as(targets), after

    @property
    def in_chunks(self) -> bool:
        """Whether the softmax works on a few rows at a time.

        With n-grams it does not: their logits have a sparse gradient with as many numbers as all logits of a window,
        and beside a large vocabulary they are made on request only.
        """
        large = self.config.vocab_size >= LARGE_VOCABULARY
        return large and self.ngram is None and self.output.bias.device.type == "cpu"

    @torch.no_grad()
    def target_logprobs(
        self, ids: Tensor, targets: Tensor, state: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Natural log-probabilities [T, B] of the targets [T, B] and the state after; for `in_chunks` only."""
        outputs, after = self._outputs(ids, state)
        output = self.output
        found = target_logprobs(outputs.flatten(0, 1), output.weight, output.bias, targets.flatten())
        return found.view_as(targets), after

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
            outputs, last = run_layer(
                config.cell, config.nonlinearity, gates, tuple(part[layer] for part in state), w_hh, b_n, low
            )
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
        self.rnn.dropout = self.config.dropout if self.config.num_layers > 1 else 0.0
        outputs, last = self.rnn(self.embedding(ids), state if len(state) > 1 else state[0])
        last = last if isinstance(last, tuple) else (last,)
        return self._drop(outputs), tuple(part.detach() for part in last)

    def _drop(self, outputs: Tensor) -> Tensor:
        """One mask for all steps of a window (Gal and Ghahramani 2016; Merity et al. 2018): [T, B, H]."""
        p = self.config.dropout
        if not self.training or p == 0:
            return outputs
        mask = torch.empty_like(outputs[0]).bernoulli_(1 - p).div_(1 - p)
        return outputs * mask


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


class TorchModel:
    """The network as an `engine.model.LanguageModel`: numpy in, numpy out, no gradients."""

    def __init__(self, network: RNNLM) -> None:
        self._network = network
        self._device = network.output.bias.device

    @property
    def config(self) -> ModelConfig:
        return self._network.config

    def weights(self) -> Weights:
        """A copy of the network's weights."""
        return to_weights(self._network)

    def initial_state(self, batch_size: int) -> tuple[npt.NDArray[np.float32], ...]:
        return tuple(part.numpy() for part in map(Tensor.cpu, self._network.initial_state(batch_size)))

    def forward(
        self, ids: npt.NDArray[np.integer], state: tuple[npt.NDArray[np.float32], ...]
    ) -> tuple[npt.NDArray[np.float32], tuple[npt.NDArray[np.float32], ...]]:
        logits, after = self._run(ids, state)
        return logits.transpose(0, 1).cpu().numpy(), tuple(part.cpu().numpy() for part in after)

    def stepper(
        self, state: tuple[npt.NDArray[np.float32], ...], in_place: bool = False
    ) -> Callable[[npt.NDArray[np.integer]], npt.NDArray[np.float32]]:
        parts = state if in_place else tuple(part.copy() for part in state)

        def step(ids: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
            logits, after = self.forward(ids[:, None], parts)
            for part, new in zip(parts, after, strict=True):
                part[:] = new
            return logits[:, 0]

        return step

    @torch.no_grad()
    def logprobs(
        self, ids: npt.NDArray[np.integer], targets: npt.NDArray[np.integer], state: tuple[npt.NDArray[np.float32], ...]
    ) -> tuple[npt.NDArray[np.float32], tuple[npt.NDArray[np.float32], ...]]:
        B, T = ids.shape
        network = self._network.eval()
        # The softmax in chunks has a bound of its own, and brings its weights in order once a window.
        widest = max(1 if network.in_chunks else self.config.vocab_size, 4 * self.config.hidden_size)
        window = max(1, (1 << 22) // (B * widest))
        found = []
        parts = self._parts(state)
        for start in range(0, T, window):
            inputs, wanted = (self._time_major(each[:, start : start + window]) for each in (ids, targets))
            if network.in_chunks:
                logprobs, parts = network.target_logprobs(inputs, wanted, parts)
            else:
                logits, parts = network(inputs, parts)
                loss = functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="none")
                logprobs = -loss.view_as(wanted)
            found.append(logprobs.t().cpu().numpy())
        state = tuple(part.cpu().numpy() for part in parts)
        return np.concatenate(found, axis=1), state

    @torch.no_grad()
    def _run(
        self, ids: npt.NDArray[np.integer], state: tuple[npt.NDArray[np.float32], ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        self._network.eval()
        logits, after = self._network(self._time_major(ids), self._parts(state))
        return logits, after

    def _time_major(self, ids: npt.NDArray[np.integer]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(ids.T, np.int64)).to(self._device)

    def _parts(self, state: tuple[npt.NDArray[np.float32], ...]) -> tuple[Tensor, ...]:
        return tuple(torch.from_numpy(np.ascontiguousarray(part)).to(self._device) for part in state)


def to_weights(network: RNNLM) -> Weights:
    """A copy of the weights as a checkpoint has them."""
    values = network.state_dict()
    return {name: values[name].cpu().numpy().astype(weight_dtype(name)) for name in network.config.weight_shapes()}


def load_torch_model(config: ModelConfig, weights: Weights, device: Device) -> TorchModel:
    """The torch network with a checkpoint's weights. Raises ConfigError when the device is not there."""
    check_device(device)
    return TorchModel(load_network(config, weights).to(device))


def load_network(config: ModelConfig, weights: Weights) -> RNNLM:
    """The network in float32 with a copy of a checkpoint's weights."""
    network = RNNLM(config)
    # A tied matrix stands once in a checkpoint and twice in the module.
    network.load_state_dict({name: torch.from_numpy(weight) for name, weight in weights.items()}, strict=False)
    return network


def check_device(device: Device) -> None:
    """Raise ConfigError when torch cannot use the device."""
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device is 'cuda': torch finds no GPU that it can use; leave out --device")
