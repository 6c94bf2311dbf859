"""What runs a checkpoint: numpy and C, or torch on a GPU; from the left to the right, or from both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnngen.config import Device, ModelConfig

if TYPE_CHECKING:
    from rnngen.checkpoint import Weights
    from rnngen.engine.runner import Runner


def make_runner(config: ModelConfig, weights: Weights, device: Device) -> Runner:
    """The network of a checkpoint, ready to compute. Raises ConfigError: the device is not there."""
    if device == "cpu":
        from rnngen.engine.bidirectional import BidirectionalEngine
        from rnngen.engine.language_model import Engine

        return (BidirectionalEngine if config.bidirectional else Engine)(config, weights)
    from rnngen.training.bidirectional import load_torch_bidirectional
    from rnngen.training.torch_model import load_torch_model

    return (load_torch_bidirectional if config.bidirectional else load_torch_model)(config, weights, device)
