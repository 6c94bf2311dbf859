"""RNNLM: the language model as a torch module, and the same through numpy's eyes.

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
from rnngen.training.ngram_rows import NGrams
from rnngen.training.products import product, sum_of_products
from rnngen.training.recurrent import run_layer

# Up to this vocabulary the embedding and the input weights of the first layer are multiplied as a whole, once a
# window, and the gates are looked up: cheaper than multiplying every row of the window.
LARGEST_TABLE = 1024
# From this vocabulary on the softmax's product is worth rounding to bfloat16.
LARGE_VOCABULARY = 1024


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
        recurrent = state if self.ngram is None else state[:-1]
        outputs, after = (self._run if ids.device.type == "cpu" else self._run_torch)(ids, recurrent)
        low = self.low if self.training and self.config.vocab_size >= LARGE_VOCABULARY else torch.float32
        logits = _blocks(outputs, self.output.weight, self.output.bias, 1, low)[0]  # [T, B, V]
        if self.ngram is None:
            return logits, after
        direct, history = self.ngram(ids, state[-1])
        return logits + direct, (*after, history)

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
            elif config.vocab_size <= LARGEST_TABLE:
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
        self, state: tuple[npt.NDArray[np.float32], ...]
    ) -> Callable[[npt.NDArray[np.integer]], npt.NDArray[np.float32]]:
        def step(ids: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
            nonlocal state
            logits, state = self.forward(ids[:, None], state)
            return logits[:, 0]

        return step

    def logprobs(
        self, ids: npt.NDArray[np.integer], targets: npt.NDArray[np.integer], state: tuple[npt.NDArray[np.float32], ...]
    ) -> tuple[npt.NDArray[np.float32], tuple[npt.NDArray[np.float32], ...]]:
        B, T = ids.shape
        window = max(1, (1 << 22) // (B * max(self.config.vocab_size, 4 * self.config.hidden_size)))
        found = []
        for start in range(0, T, window):
            logits, after = self._run(ids[:, start : start + window], state)
            state = tuple(part.cpu().numpy() for part in after)
            wanted = torch.from_numpy(np.ascontiguousarray(targets[:, start : start + window].T, np.int64))
            wanted = wanted.to(self._device)
            loss = functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="none")
            found.append(-loss.view_as(wanted).t().cpu().numpy())
        return np.concatenate(found, axis=1), state

    @torch.no_grad()
    def _run(
        self, ids: npt.NDArray[np.integer], state: tuple[npt.NDArray[np.float32], ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        self._network.eval()
        time_major = torch.from_numpy(np.ascontiguousarray(ids.T, np.int64)).to(self._device)
        parts = tuple(torch.from_numpy(np.ascontiguousarray(part)).to(self._device) for part in state)
        logits, after = self._network(time_major, parts)
        return logits, after


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
