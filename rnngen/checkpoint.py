"""One .safetensors file <-> Checkpoint. Numpy only; nothing is pickled or evaluated.

The weights have the names that torch.nn gives them, float32. The arrays `counts.*` (`counts/storage.py`) are the trie
of a model with n-grams, and `mix` (float32) the weights of network and counts. The metadata hold JSON strings of at
most 1 MB: `format_version`, `model` (a ModelConfig), `tokenizer`, `training` (how it was made) and `history` (the
losses on the way). The vocabulary is a uint8 tensor: UTF-8 `tokenizer.characters`, UTF-8
`tokenizer.words` with a line break after each word, or the SentencePiece model `tokenizer.sentencepiece`. Before, the
first two were in the record `tokenizer`, where they are still read. The version did not change with that: an rnngen
from before refuses the new files, as their record describes no tokenizer that it knows.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rnngen.checks import check_whole, is_number
from rnngen.config import MOST_ORDER, ModelConfig
from rnngen.counts import storage as counts_storage
from rnngen.errors import CheckpointError, ConfigError, TokenizerError
from rnngen.printable import visible
from rnngen.storage import tensor_file
from rnngen.storage.checkpoint_paths import FOLDER, newest_first
from rnngen.storage.tensor_file import SHOWN_CHARS, SUFFIX, TensorFile
from rnngen.text import tagged
from rnngen.tokenizers import levels
from rnngen.tokenizers.base import Tokenizer

__all__ = ["SUFFIX", "TOKENIZER_ARRAYS", "Checkpoint", "Weights", "load", "read_tokenizer", "save", "tokenizer_parts"]

FORMAT = "rnngen"
FORMAT_VERSION = 2
_PREFIX = "tokenizer."
TOKENIZER_ARRAYS = frozenset(_PREFIX + name for name in levels.VOCABULARIES)

Weights = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Checkpoint:
    """A trained model and all that is needed to use it.

    Attributes:
        weights: every name and shape of `config.weight_shapes()`, float32, finite; and the arrays of the counts.
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
    description, arrays = tokenizer_parts(checkpoint.tokenizer)
    records = {
        "model": checkpoint.config.to_dict(),
        "tokenizer": description,
        "training": checkpoint.training,
        "history": checkpoint.history,
    }
    tensor_file.write(path, FORMAT, FORMAT_VERSION, records, {**checkpoint.weights, **arrays}, replace=replace)


def tokenizer_parts(tokenizer: Tokenizer) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """A tokenizer as the record `tokenizer` and the arrays of a tensor file."""
    description, vocabulary = levels.to_parts(tokenizer)
    return description, {_PREFIX + name: np.frombuffer(content, np.uint8) for name, content in vocabulary.items()}


def load(path: Path) -> Checkpoint:
    """Read and check a file that `save` wrote. Raises CheckpointError with the reason."""
    with tensor_file.open_tensor_file(path, FORMAT, FORMAT_VERSION, "checkpoint") as file:
        config = _read_config(file)
        weights = _read_weights(file, config)
        tokenizer = read_tokenizer(file, config)
        training, history = file.record("training"), file.record("history")
        entries_fit = isinstance(history, list) and all(isinstance(entry, dict) for entry in history)
        if not isinstance(training, dict) or not entries_fit:
            raise file.broken("its training record has another form")
    return Checkpoint(config, tokenizer, weights, training, history)


def up_to_order(checkpoint: Checkpoint, order: int | None) -> Checkpoint:
    """The same model without longer n-grams; None leaves none out.

    Raises:
        ConfigError: the model has no n-grams, or `order` is not 1 or more.
    """
    config = checkpoint.config
    if order is None:
        return checkpoint
    check_whole("max_order", order, 1, MOST_ORDER)
    if not config.ngram_order:
        raise ConfigError("the model has no n-grams: leave out --max-order")
    counts = counts_storage.up_to_order(checkpoint.weights, config.vocab_size, order)
    shorter = replace(config, ngram_order=min(order, config.ngram_order))
    return replace(checkpoint, config=shorter, weights={**checkpoint.weights, **counts})


def load_training(path: Path) -> dict[str, Any]:
    """How a checkpoint's model was made, without reading its weights. Raises CheckpointError."""
    with tensor_file.open_tensor_file(path, FORMAT, FORMAT_VERSION, "checkpoint") as file:
        training = file.record("training")
        if not isinstance(training, dict):
            raise file.broken("its training record has another form")
    return training


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a list of checkpoints says of one of them.

    Attributes:
        name: as `rnngen.load` takes it.
        n_bytes: of the file.
        valid_loss_nats: a token, of the validation text; None where nothing is known of it.
        known_valid_loss_nats: the same without the unknown symbols.
        valid_bits_per_char: that of all tokens by characters, to compare models with any tokens.
        modified: when the file was written, in seconds since 1970.
    """

    name: str
    path: Path
    level: str
    n_parameters: int
    n_bytes: int
    valid_loss_nats: float | None
    known_valid_loss_nats: float | None
    valid_bits_per_char: float | None
    modified: float


def summarize(path: Path) -> Summary:
    """What a checkpoint is, without reading its weights. Raises CheckpointError."""
    with tensor_file.open_tensor_file(path, FORMAT, FORMAT_VERSION, "checkpoint") as file:
        config = _read_config(file)
        tokenizer, training = file.record("tokenizer"), file.record("training")
        if not isinstance(tokenizer, dict) or not isinstance(training, dict):
            raise file.broken("its records have another form")
    loss, known, bits = (
        training.get(name) for name in ("valid_loss_nats", "known_valid_loss_nats", "valid_bits_per_char")
    )
    found = path.stat()
    return Summary(
        name=path.name.removesuffix(SUFFIX) if path.parent == FOLDER else str(path),
        path=path,
        level=str(tokenizer.get("level"))[:SHOWN_CHARS],
        n_parameters=config.n_parameters,
        n_bytes=found.st_size,
        valid_loss_nats=loss if is_number(loss) else None,
        known_valid_loss_nats=known if is_number(known) else None,
        valid_bits_per_char=bits if is_number(bits) else None,
        modified=found.st_mtime,
    )


def checkpoints(
    folder: str | os.PathLike[str] = FOLDER, say: Callable[[str], object] = lambda text: None
) -> list[Summary]:
    """The checkpoints in a folder, the newest first.

    Args:
        say: is told of files that are no checkpoints, or broken.

    >>> import rnngen
    >>> [(one.name, one.level) for one in rnngen.checkpoints()]
    [('hello', 'char')]
    """
    found = []
    for path in newest_first(Path(folder)):
        try:
            found.append(summarize(path))
        except CheckpointError as error:
            say(str(error))
    return found


def read_tokenizer(file: TensorFile, config: ModelConfig) -> Tokenizer:
    """The tokenizer of `tokenizer_parts`, which must have the model's vocabulary. Raises CheckpointError.

    To be read after the weights, so that a vocabulary of a size that the file has no weights for takes no memory.
    """
    names = sorted(file.names & TOKENIZER_ARRAYS)
    vocabulary = {name.removeprefix(_PREFIX): file.array(name, None, "uint8").tobytes() for name in names}
    try:
        return levels.from_parts(file.record("tokenizer"), vocabulary, config.vocab_size)
    except TokenizerError as error:
        raise file.broken(str(error)) from None


def _read_config(file: TensorFile) -> ModelConfig:
    try:
        return ModelConfig.from_dict(file.record("model"))
    except ConfigError as error:
        raise file.broken(str(error)) from None


def _read_weights(file: TensorFile, config: ModelConfig) -> Weights:
    shapes = config.weight_shapes()
    others = other_dtypes(config)
    wanted = {*shapes, *others}
    for name in sorted((file.names - TOKENIZER_ARRAYS) ^ wanted):
        what = "lacks the weight" if name in wanted else "has the unknown weight"
        raise file.broken(f"it {what} {visible(name[:SHOWN_CHARS])}")
    weights: Weights = {name: file.array(name, shape, "float32") for name, shape in shapes.items()}
    weights |= {name: file.array(name, None, dtype) for name, dtype in others.items()}
    try:
        check_others(config, weights)
    except CheckpointError as error:
        raise file.broken(str(error)) from None
    return weights


def other_dtypes(config: ModelConfig) -> dict[str, str]:
    """The arrays of a model that are no weights of its network: of counts, and of the words and tags of a tagger."""
    counts = counts_storage.DTYPES if config.ngram_order else {}
    return counts | (tagged.DTYPES if config.is_tagger else {})


def check_others(config: ModelConfig, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Check the content of these arrays. Raises CheckpointError."""
    if config.ngram_order:
        counts_storage.from_arrays(arrays, config.vocab_size)
    if config.is_tagger:
        tagged.from_arrays(arrays, config.n_words, config.n_tags)
