"""The bidirectional network as a torch module, with torch.nn's names of the weights."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from rnngen.checkpoint import Weights
from rnngen.config import Device, ModelConfig
from rnngen.engine.cells import Array
from rnngen.engine.sides import Sides
from rnngen.training.linear import in_blocks
from rnngen.training.network import LARGE_VOCABULARY, check_device
from rnngen.training.softmax import cross_entropy, softmax_loss, target_logprobs
from rnngen.training.stack import Stack, initial_state, initialize, make_rnn

Ids = npt.NDArray[np.int64]


class BidirectionalNetwork(nn.Module):
    """Embedding, layers from the left and from the right, a layer that joins their last outputs, and a softmax.

    `engine/bidirectional.py` has the formula.

    Args:
        low: type of the operands of the large matrix products in training (bfloat16 or float32).
    """

    def __init__(self, config: ModelConfig, low: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.config = config
        self.low = low
        H = config.hidden_size
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_dim)
        # torch.nn's own bidirectional layers would read both directions from the second layer on.
        self.rnn = nn.Module()
        for direction in config.directions:
            rnn = make_rnn(config)
            initialize(rnn)
            for name, weight in rnn.named_parameters():
                self.rnn.register_parameter(name + direction, weight)
        self._left, self._right = (
            Stack(config, self.embedding, self.rnn, low, direction) for direction in config.directions
        )
        self.joint = nn.Linear(2 * H, H)
        self.output = nn.Linear(H, config.vocab_size)
        scale = 1 / math.sqrt(H)
        with torch.no_grad():
            # A tied matrix is the softmax's too, and must not start with large logits.
            self.embedding.weight.normal_(0, scale if config.tie_weights else 1.0)
            self.joint.bias.zero_()
            self.output.weight.normal_(0, 0.1 * scale)
            self.output.bias.zero_()
        if config.tie_weights:
            self.output.weight = self.embedding.weight

    def forward(self, sides: Sides) -> Tensor:
        """Logits of the token at each place, [T, B, V]."""
        return in_blocks(self._joint(sides), self.output.weight, self.output.bias, 1, self._softmax_low())[0]

    def loss(self, sides: Sides, targets: Ids) -> tuple[Tensor, Tensor]:
        """The loss of a training step.

        Args:
            targets: [B, T]; IGNORED where nothing is to be predicted.

        Returns:
            The mean cross-entropy in nats over the targets that count, []; and that of each target, [T, B], without
            gradients, 0 where it does not count.
        """
        wanted = self._time_major(targets)
        if not self.in_chunks:
            return cross_entropy(self(sides), wanted)
        x = self._joint(sides).flatten(0, 1)
        loss, losses = softmax_loss(x, self.output.weight, self.output.bias, wanted.flatten(), self._softmax_low())
        return loss, losses.view_as(wanted)

    @torch.no_grad()
    def logprobs(self, sides: Sides, targets: Ids) -> Tensor:
        """Natural log-probability of each target: [B, T] -> [T, B]."""
        flat = self._time_major(targets).flatten()
        if self.in_chunks:
            x = self._joint(sides).flatten(0, 1)
            found = target_logprobs(x, self.output.weight, self.output.bias, flat)
        else:
            found = -functional.cross_entropy(self(sides).flatten(0, 1), flat, reduction="none")
        return found.view(targets.T.shape)

    @property
    def in_chunks(self) -> bool:
        """Whether the softmax works on a few rows at a time."""
        return self.config.vocab_size >= LARGE_VOCABULARY and self.output.bias.device.type == "cpu"

    def _softmax_low(self) -> torch.dtype:
        return self.low if self.training and self.config.vocab_size >= LARGE_VOCABULARY else torch.float32

    def _joint(self, sides: Sides) -> Tensor:
        """[T, B, H]."""
        outputs = [
            self._outputs(stack, ids, at)
            for stack, ids, at in ((self._left, sides.left, sides.left_at), (self._right, sides.right, sides.right_at))
        ]
        low = self.low if self.training else torch.float32
        both = in_blocks(torch.cat(outputs, -1), self.joint.weight, self.joint.bias, 1, low)[0]
        return outputs[0] + outputs[1] + functional.relu(both)

    def _outputs(self, stack: Stack, ids: Ids, at: Ids) -> Tensor:
        """The outputs of one direction for each place, [T, B, H]."""
        start = initial_state(self.config, len(ids), self.output.bias)
        outputs, _ = stack.run(self._time_major(ids), start)  # [L, B, H]
        step = int(np.sign(at[0, -1] - at[0, 0])) or 1
        if (at == at[0, 0] + step * np.arange(at.shape[1])).all():  # a slice is cheaper than a choice
            first, last = sorted((int(at[0, 0]), int(at[0, -1])))
            part = outputs[first : last + 1]
            return part if step == 1 else part.flip(0)
        places = self._time_major(at)[..., None].expand(-1, -1, outputs.shape[2])
        return outputs.gather(0, places)

    def _time_major(self, ids: Ids) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(ids.T, np.int64)).to(self.output.bias.device)


class TorchBidirectional:
    """The network as an `engine.bidirectional.BidirectionalModel`: numpy in, numpy out, no gradients."""

    def __init__(self, network: BidirectionalNetwork) -> None:
        self._network = network

    @property
    def config(self) -> ModelConfig:
        return self._network.config

    @torch.no_grad()
    def logits(self, sides: Sides) -> Array:
        logits: Array = self._network.eval()(sides).transpose(0, 1).cpu().numpy()
        return logits

    def logprobs(self, sides: Sides, targets: Ids) -> Array:
        found: Array = self._network.eval().logprobs(sides, targets).t().cpu().numpy()
        return found


def load_torch_bidirectional(config: ModelConfig, weights: Weights, device: Device) -> TorchBidirectional:
    """The torch network with a checkpoint's weights. Raises ConfigError when the device is not there."""
    check_device(device)
    network = BidirectionalNetwork(config)
    # A tied matrix stands once in a checkpoint and twice in the module.
    network.load_state_dict({name: torch.from_numpy(weights[name]) for name in config.weight_shapes()}, strict=False)
    return TorchBidirectional(network.to(device))
