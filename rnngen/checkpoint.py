"""One .safetensors file <-> Checkpoint. Numpy only; nothing is pickled or evaluated.

The weights stand under the names that torch.nn gives them, float32; `ngram.weight` (`ngrams.py`) is float16. The
metadata holds JSON strings: `format_version`, `model` (a ModelConfig), `tokenizer`, `training` (how it was made) and
`history` (the losses on the way). The bytes of a SentencePiece model are the uint8 tensor `tokenizer.sentencepiece`.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_safetensors

from rnngen import errors
from rnngen.config import ModelConfig, weight_dtype
from rnngen.errors import CheckpointError
from rnngen.files import write_atomically
from rnngen.text import tokenizer as tokenizers
from rnngen.text.tokenizer import Tokenizer

FORMAT_VERSION = 1
SUFFIX = ".safetensors"
_SENTENCEPIECE = "tokenizer.sentencepiece"
_SAFETENSORS_NAMES = {"float32": "F32", "float16": "F16", "uint8": "U8"}

Weights = dict[str, npt.NDArray[np.floating]]


@dataclass(frozen=True)
class Checkpoint:
    """A trained model and all that is needed to use it.

    Attributes:
        weights: every name and shape of `config.weight_shapes()`, finite.
        training: how it was made: corpus, settings, results.
        history: one record for every measurement of the loss.
    """

    config: ModelConfig
    tokenizer: Tokenizer
    weights: Weights
    training: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)


def save(checkpoint: Checkpoint, path: Path, *, replace: bool = True) -> None:
    """Write the file whole or not at all; without `replace` never over another. Raises OutputError."""
    tokenizer = checkpoint.tokenizer.to_dict()
    tensors: dict[str, npt.NDArray[Any]] = {
        name: np.ascontiguousarray(weight, weight_dtype(name)) for name, weight in checkpoint.weights.items()
    }
    if "sentencepiece" in tokenizer:
        tensors[_SENTENCEPIECE] = np.frombuffer(base64.b64decode(tokenizer.pop("sentencepiece")), np.uint8)
    metadata = {
        "format": "rnngen",
        "format_version": str(FORMAT_VERSION),
        "model": json.dumps(checkpoint.config.to_dict()),
        "tokenizer": json.dumps(tokenizer),
        "training": json.dumps(checkpoint.training),
        "history": json.dumps(checkpoint.history),
    }
    write_atomically(path, to_safetensors(tensors, metadata), replace=replace)


def load(path: Path) -> Checkpoint:
    """Read and check a file that `save` wrote. Raises CheckpointError with the reason."""
    try:
        if path.is_dir():
            raise CheckpointError(f"{path} is a folder: name a {SUFFIX} file in it")
        with safe_open(path, framework="np") as file:
            metadata = _checked_metadata(path, file.metadata() or {})
            config = ModelConfig.from_dict(_json(path, metadata, "model"))
            weights = _read_weights(path, file, config)
            description = _json(path, metadata, "tokenizer")
            if _SENTENCEPIECE in file.keys():  # noqa: SIM118 - not a dictionary
                model = _read_tensor(path, file, _SENTENCEPIECE, "uint8")
                if not isinstance(description, dict):
                    raise CheckpointError(f"{path} is broken: its tokenizer record has another form")
                description = {**description, "sentencepiece": base64.b64encode(model.tobytes()).decode()}
        tokenizer = tokenizers.from_dict(description)
        training, history = _json(path, metadata, "training"), _json(path, metadata, "history")
    except FileNotFoundError:
        raise CheckpointError(f"there is no checkpoint {path}: train one with rnngen train TEXT") from None
    except OSError as error:
        raise CheckpointError(f"cannot read the checkpoint {path}: {error.strerror or error}") from None
    except SafetensorError as error:
        raise CheckpointError(f"{path} is not a whole safetensors file ({error}): train it again") from None
    except (errors.ConfigError, errors.TokenizerError) as error:
        raise CheckpointError(f"{path} is broken: {error}") from None
    if tokenizer.vocab_size != config.vocab_size:
        raise CheckpointError(
            f"{path} is broken: its tokenizer has {tokenizer.vocab_size} symbols, its model {config.vocab_size}"
        )
    entries_fit = isinstance(history, list) and all(isinstance(entry, dict) for entry in history)
    if not isinstance(training, dict) or not entries_fit:
        raise CheckpointError(f"{path} is broken: its training record has another form")
    return Checkpoint(config, tokenizer, weights, training, history)


def _checked_metadata(path: Path, metadata: dict[str, str]) -> dict[str, str]:
    if metadata.get("format") != "rnngen":
        raise CheckpointError(f"{path} is not an rnngen checkpoint: train one with rnngen train TEXT")
    version = metadata.get("format_version")
    if version != str(FORMAT_VERSION):
        raise CheckpointError(
            f"{path} has checkpoint format {version}; this rnngen reads format {FORMAT_VERSION}: "
            "use the rnngen that made it, or train again"
        )
    return metadata


def _json(path: Path, metadata: dict[str, str], key: str) -> Any:
    try:
        return json.loads(metadata[key])
    except KeyError:
        raise CheckpointError(f"{path} is broken: it has no {key} record") from None
    except (ValueError, RecursionError):
        raise CheckpointError(f"{path} is broken: its {key} record is not JSON") from None


def _read_weights(path: Path, file: Any, config: ModelConfig) -> Weights:
    shapes = config.weight_shapes()
    names = set(file.keys()) - {_SENTENCEPIECE}
    for name in sorted(names ^ set(shapes)):
        what = "lacks the weight" if name in shapes else "has the unknown weight"
        raise CheckpointError(f"{path} is broken: it {what} {name}")
    weights: Weights = {}
    for name, shape in shapes.items():
        found = tuple(file.get_slice(name).get_shape())
        if found != shape:
            raise CheckpointError(f"{path} is broken: {name} has the shape {found}, its model needs {shape}")
        weights[name] = _read_tensor(path, file, name, weight_dtype(name))
        if not np.isfinite(weights[name]).all():
            raise CheckpointError(f"{path} is broken: {name} holds numbers that are not finite")
    return weights


def _read_tensor(path: Path, file: Any, name: str, dtype: str) -> npt.NDArray[Any]:
    kind = file.get_slice(name).get_dtype()
    if kind != _SAFETENSORS_NAMES[dtype]:
        raise CheckpointError(f"{path} is broken: {name} has the type {kind}, not {dtype}")
    tensor: npt.NDArray[Any] = file.get_tensor(name)
    return tensor
