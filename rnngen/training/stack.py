"""The recurrent layers of one direction, above an embedding.

The modules are torch.nn's own and only hold the weights, under torch.nn's names; on a CPU the recurrent layers run
through `recurrent.py`, elsewhere through torch.nn.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnngen.checkpoint import Weights
from rnngen.config import ModelConfig
from rnngen.shapes import MIX
from rnngen.training.dropping import drop_units, drop_weights
from rnngen.training.linear import in_blocks
from rnngen.training.recurrent import run_layer

# Up to this vocabulary the embedding and the input weights of the first layer are multiplied as a whole, once a
# window, and the gates are looked up: cheaper than multiplying every row of the window.
LOOKED_UP_VOCABULARY = 1024

State = tuple[Tensor, ...]


def make_rnn(config: ModelConfig, sizes: tuple[int, int, int] | None = None, bidirectional: bool = False) -> nn.RNNBase:
    """Recurrent layers with the first weights of torch.nn.

    Args:
        sizes: inputs, units and layers; None for those of a language model.
    """
    inputs, units, layers = sizes or (config.embedding_dim, config.hidden_size, config.num_layers)
    rnn: nn.RNNBase
    match config.cell:
        case "rnn":
            rnn = nn.RNN(inputs, units, layers, nonlinearity=config.nonlinearity, bidirectional=bidirectional)
        case "gru":
            rnn = nn.GRU(inputs, units, layers, bidirectional=bidirectional)
        case "lstm":
            rnn = nn.LSTM(inputs, units, layers, bidirectional=bidirectional)
    return rnn


def initialize(rnn: nn.Module) -> None:
    """Orthogonal recurrent matrices, forget gates open."""
    with torch.no_grad():
        for name, weight in rnn.named_parameters():
            if name.startswith("weight_hh"):
                for block in weight.split(weight.shape[1]):
                    nn.init.orthogonal_(block)
            elif name.startswith("bias"):
                weight.zero_()
                if isinstance(rnn, nn.LSTM) and name.startswith("bias_hh"):
                    weight[rnn.hidden_size : 2 * rnn.hidden_size] = (
                        1.0  # Jozefowicz et al. 2015: remember until told to forget
                    )


def initial_state(config: ModelConfig, batch_size: int, like: Tensor) -> State:
    """Zeros: h, and for lstm c, each [L, B, H]."""
    shape = (config.num_layers, batch_size, config.hidden_size)
    return tuple(like.new_zeros(shape) for _ in range(2 if config.cell == "lstm" else 1))


def copied_weights(network: nn.Module, config: ModelConfig) -> Weights:
    """A copy of the weights of a network, as a checkpoint has them."""
    values = network.state_dict()
    return {name: values[name].cpu().numpy().copy() for name in config.weight_shapes() if name != MIX}


class Stack:
    """Runs the layers.

    Args:
        rnn: holds the weights.
        low: type of the operands of the large matrix products in training.
        direction: ends the names of the weights.
    """

    def __init__(
        self, config: ModelConfig, embedding: nn.Embedding, rnn: nn.Module, low: torch.dtype, direction: str = ""
    ) -> None:
        self._config, self._embedding, self._rnn, self._low, self._direction = config, embedding, rnn, low, direction

    def run(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        """[T, B] -> the outputs of the last layer, [T, B, H], and the state after the window, detached."""
        return (self._run if ids.device.type == "cpu" else self._run_torch)(ids, state)

    @property
    def _training(self) -> bool:
        return self._rnn.training

    def _run(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        config = self._config
        H = config.hidden_size
        low = self._low if self._training else torch.float32
        after = []
        outputs = None
        for layer in range(config.num_layers):
            w_ih, w_hh, b_ih, b_hh = self._weights(layer)
            b_n = b_hh[2 * H :] if config.cell == "gru" else None
            # All of b_hh can be added before the loop but the gru's share inside the reset gate.
            bias = b_ih + (b_hh if b_n is None else functional.pad(b_hh[: 2 * H], (0, H)))
            if outputs is not None:
                gates = in_blocks(outputs, w_ih, bias, config.num_gates, low)
            elif config.vocab_size <= LOOKED_UP_VOCABULARY:
                gates = self._look_up(ids, w_ih, bias)
            else:
                gates = in_blocks(self._embedding(ids), w_ih, bias, config.num_gates, low)
            first = tuple(part[layer] for part in state)
            w_hh = self._drop_weights(w_hh)
            outputs, last = run_layer(config.cell, config.nonlinearity, gates, first, w_hh, b_n, low)
            outputs = self._drop(outputs)
            after.append(last)
        assert outputs is not None
        return outputs, tuple(torch.stack(parts) for parts in zip(*after, strict=True))

    def _weights(self, layer: int) -> list[Tensor]:
        """In torch's order."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return [getattr(self._rnn, f"{name}_l{layer}{self._direction}") for name in names]

    def _look_up(self, ids: Tensor, w_ih: Tensor, bias: Tensor) -> Tensor:
        V, H = self._config.vocab_size, self._config.hidden_size
        table = functional.linear(self._embedding.weight, w_ih, bias)  # [V, G*H]
        table = table.view(V, -1, H).transpose(0, 1)  # [G, V, H]
        first = torch.arange(len(table))[:, None, None] * V
        return functional.embedding(ids + first, table.reshape(-1, H))  # [G, T, B, H]

    def _run_torch(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        config = self._config
        weights: list[Tensor] = []
        for layer in range(config.num_layers):
            w_ih, w_hh, *biases = self._weights(layer)
            weights += [w_ih, self._drop_weights(w_hh), *biases]
        name = f"rnn_{config.nonlinearity}" if config.cell == "rnn" else config.cell
        run = getattr(torch, name)  # the modules' own forward takes no other weights
        is_low = self._training and self._low == torch.bfloat16
        with torch.autocast(ids.device.type, torch.bfloat16, enabled=is_low):
            outputs, *last = run(
                self._embedding(ids), state if len(state) > 1 else state[0], weights, has_biases=True,
                num_layers=config.num_layers, dropout=config.dropout if config.num_layers > 1 else 0.0,
                train=self._training, bidirectional=False, batch_first=False,
            )  # fmt: skip
        return self._drop(outputs.float()), tuple(part.detach().float() for part in last)

    def _drop(self, outputs: Tensor) -> Tensor:
        return drop_units(outputs, self._config.dropout) if self._training else outputs

    def _drop_weights(self, weight: Tensor) -> Tensor:
        return drop_weights(weight, self._config.weight_drop) if self._training else weight
