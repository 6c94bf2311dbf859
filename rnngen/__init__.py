"""rnngen: train a small recurrent language model on your text; sample, score and measure with it.

    model = rnngen.train("novel.txt")         or    model = rnngen.load("novel")
    for text in model.sample("Once"):
        print(text, end="")

`docs/python.md` shows the rest. Importing this package loads neither numpy nor torch: each name below is imported when
it is first used.
"""

from __future__ import annotations

import os

__version__ = "0.1.0"

# The threads of numpy's OpenBLAS wait for the next product by spinning. On a busy machine they spin in the place of the
# thread that they wait for. Measured on two cores beside two busy processes, GRU of 512 in numpy: 130 tokens/s drawn
# with the default, 3,300 with this; alone as many as before. OpenBLAS reads it when numpy is first imported: in a
# program that has imported numpy before rnngen it has no effect. A value that the user has set stays.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "18")

# The public names, and the modules that they are imported from.
_MODULES = {
    "rnngen.models": ("Model", "load"),
    "rnngen.checkpoint": ("checkpoints",),
    "rnngen.runs.train": ("train", "training_events"),
    "rnngen.tokenizers.base": ("Tokenizer",),
    "rnngen.counts.arpa": ("arpa_lines",),
    "rnngen.text.lmplz": ("lmplz_lines",),
    "rnngen.text.tokens": ("build_tokenizer", "load_tokenizer", "save_tokenizer"),
    "rnngen.uses": ("fill", "tag"),
    "rnngen.config": ("ModelConfig", "ModelOptions", "SampleConfig", "TokenizerConfig", "TrainConfig"),
    "rnngen.engine.generation": ("Sample",),
    "rnngen.engine.stepping": ("Distribution", "Stepper"),
    "rnngen.engine.layers": ("RNN", "Embedding", "GRULayer", "LSTMLayer", "Linear", "RNNLayer", "softmax"),
    "rnngen.errors": (
        "CheckpointError", "ConfigError", "DataError", "DivergenceError", "OutputError", "RnngenError",
        "TokenizerError", "TrainingError",
    ),
}  # fmt: skip
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

TYPE_CHECKING = False  # type checkers take it as true; importing it from typing would take longer than all of this
if TYPE_CHECKING:
    from rnngen.checkpoint import checkpoints
    from rnngen.config import ModelConfig, ModelOptions, SampleConfig, TokenizerConfig, TrainConfig
    from rnngen.counts.arpa import arpa_lines
    from rnngen.engine.generation import Sample
    from rnngen.engine.layers import RNN, Embedding, GRULayer, Linear, LSTMLayer, RNNLayer, softmax
    from rnngen.engine.stepping import Distribution, Stepper
    from rnngen.errors import (
        CheckpointError,
        ConfigError,
        DataError,
        DivergenceError,
        OutputError,
        RnngenError,
        TokenizerError,
        TrainingError,
    )
    from rnngen.models import Model, load
    from rnngen.runs.train import train, training_events
    from rnngen.text.lmplz import lmplz_lines
    from rnngen.text.tokens import build_tokenizer, load_tokenizer, save_tokenizer
    from rnngen.tokenizers.base import Tokenizer
    from rnngen.uses import fill, tag

__all__ = [
    "RNN",
    "CheckpointError",
    "ConfigError",
    "DataError",
    "Distribution",
    "DivergenceError",
    "Embedding",
    "GRULayer",
    "LSTMLayer",
    "Linear",
    "Model",
    "ModelConfig",
    "ModelOptions",
    "OutputError",
    "RNNLayer",
    "RnngenError",
    "Sample",
    "SampleConfig",
    "Stepper",
    "Tokenizer",
    "TokenizerConfig",
    "TokenizerError",
    "TrainConfig",
    "TrainingError",
    "arpa_lines",
    "build_tokenizer",
    "checkpoints",
    "fill",
    "lmplz_lines",
    "load",
    "load_tokenizer",
    "save_tokenizer",
    "softmax",
    "tag",
    "train",
    "training_events",
]


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = globals()[name] = getattr(import_module(_MODULE_OF[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
