"""What runs a checkpoint: numpy and C, or torch on a GPU; from the left to the right, or from both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnngen.config import Device, ModelConfig
from rnngen.errors import ConfigError

if TYPE_CHECKING:
    from rnngen.checkpoint import Weights
    from rnngen.engine.bidirectional import BidirectionalModel
    from rnngen.engine.language_model import LanguageModel

    Runner = LanguageModel | BidirectionalModel


def make_runner(config: ModelConfig, weights: Weights, device: Device) -> Runner:
    """The network of a checkpoint, ready to compute. Raises ConfigError: the device is not there."""
    if device == "cpu":
        from rnngen.engine.bidirectional import BidirectionalEngine
        from rnngen.engine.language_model import Engine

        return (BidirectionalEngine if config.bidirectional else Engine)(config, weights)
    from rnngen.training.bidirectional import load_torch_bidirectional
    from rnngen.training.torch_model import load_torch_model

    return (load_torch_bidirectional if config.bidirectional else load_torch_model)(config, weights, device)


def from_the_left(runner: Runner, name: object) -> LanguageModel:
    """A runner that reads from the left to the right. Raises ConfigError, with the model's name, for another."""
    if runner.config.bidirectional:
        raise ConfigError(
            f"{name} is bidirectional: it predicts a token from both sides of it, and nothing from the left alone; "
            "train a model without --bidirectional for this"
        )
    return runner  # type: ignore[return-value]


def from_both_sides(runner: Runner, name: object) -> BidirectionalModel:
    """A runner that is bidirectional. Raises ConfigError, with the model's name, for another."""
    if not runner.config.bidirectional:
        raise ConfigError(f"{name} predicts a token from the left alone: train a model with --bidirectional for this")
    return runner  # type: ignore[return-value]
