"""What runs a checkpoint: numpy and C, or torch on a GPU; from the left to the right, or from both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnngen.config import Device
from rnngen.errors import ConfigError

if TYPE_CHECKING:
    from rnngen.checkpoint import Checkpoint
    from rnngen.engine.runner import Runner


def make_runner(checkpoint: Checkpoint, device: Device) -> Runner:
    """The network of a checkpoint, ready to compute. Raises ConfigError: the device is not there, or has no such."""
    config, weights = checkpoint.config, checkpoint.weights
    if config.is_tagger:
        from rnngen.engine.tagger import Tagger
        from rnngen.text.tagged import from_arrays

        if device != "cpu":
            raise ConfigError(f"taggers run on the processor: leave out --device {device}")
        return Tagger(config, weights, checkpoint.tokenizer, from_arrays(weights, config.n_words, config.n_tags))
    if device == "cpu":
        from rnngen.engine.bidirectional import BidirectionalEngine
        from rnngen.engine.language_model import Engine

        return (BidirectionalEngine if config.bidirectional else Engine)(config, weights)
    from rnngen.training.bidirectional import load_torch_bidirectional
    from rnngen.training.torch_model import load_torch_model

    return (load_torch_bidirectional if config.bidirectional else load_torch_model)(config, weights, device)
