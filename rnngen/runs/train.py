"""Training as one call, or as an iterator of what happens: what `rnngen train` does, for use from Python."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path

from rnngen import models
from rnngen.config import ENCODING, ModelOptions, TokenizerConfig, TrainConfig
from rnngen.models import Model
from rnngen.runs.events import Ended, Event
from rnngen.runs.request import SAVE_EVERY, Request
from rnngen.runs.run import run
from rnngen.storage import checkpoint_paths
from rnngen.text.sources import Paths, path_names

PathLike = str | os.PathLike[str]


def train(
    paths: Paths | None = None,
    *,
    text: str | None = None,
    output: PathLike | None = None,
    tokenizer: TokenizerConfig | PathLike | None = None,
    model: ModelOptions = ModelOptions(),
    training: TrainConfig = TrainConfig(),
    valid: PathLike | None = None,
    init_from: PathLike | None = None,
    encoding: str = ENCODING,
    force: bool = False,
) -> Model:
    """Train a model. It takes three minutes unless `training` says otherwise.

    Args:
        paths: the text: one file or several, one after another. `-` is standard input; gzip is decompressed.
        text: the text itself, in place of files.
        output: the checkpoint to write, a path or a name in ./checkpoints. None writes none: `model.save` does.
        tokenizer: how to build the tokenizer, or the path of a saved one. None takes that of `init_from`, or else
            builds one of characters.
        model: the sizes of the network; those that are None are chosen.
        training: the budget and the settings of the training; those that are None are chosen.
        valid: a file to validate on; None takes a part of the text.
        init_from: a checkpoint whose weights the training starts from, a path or a name in ./checkpoints.
        encoding: of the files.
        force: `output` may be overwritten, and a stopped run of this name forgotten.

    Returns:
        The best model, ready to use on the processor.

    Raises:
        ConfigError: the settings contradict each other, or do not fit the text or the machine.
        DataError, TokenizerError: a text or a tokenizer cannot be read or used.
        CheckpointError: `init_from` cannot be read.
        OutputError: a file exists already, or cannot be written.
        TrainingError: training cannot go on.

    >>> import rnngen
    >>> model = rnngen.train(
    ...     text="hello\\n" * 60,
    ...     model=rnngen.ModelOptions(hidden_size=16, ngram_order=0),
    ...     training=rnngen.TrainConfig(steps=60, learning_rate=0.05),
    ... )
    >>> "".join(model.sample("he", temperature=0, length=3))
    'llo'
    """
    with tempfile.TemporaryDirectory() as folder:
        events = training_events(
            paths, text=text, output=Path(folder) / "model" if output is None else output, tokenizer=tokenizer,
            model=model, training=training, valid=valid, init_from=init_from, encoding=encoding, force=force,
        )  # fmt: skip
        [path] = [event.output for event in events if isinstance(event, Ended)]
        trained = models.load(path)
    return trained if output is not None else replace(trained, path=None)


def training_events(
    paths: Paths | None = None,
    *,
    output: PathLike,
    text: str | None = None,
    tokenizer: TokenizerConfig | PathLike | None = None,
    model: ModelOptions = ModelOptions(),
    training: TrainConfig = TrainConfig(),
    valid: PathLike | None = None,
    init_from: PathLike | None = None,
    log: PathLike | None = None,
    encoding: str = ENCODING,
    force: bool = False,
    cache_dir: PathLike | None = None,
    save_every: float = SAVE_EVERY,
    should_stop: Callable[[], bool] = lambda: False,
) -> Generator[Event, None, None]:
    """Train a model and tell what happens. Nothing happens before the first event is asked for.

    A caller who stops iterating leaves the best model so far in `output`, and beside it the resume file from which
    `rnngen.runs.resume` goes on.

    Args:
        output: as in `train`, where the arguments that are not named here are explained.
        log: a file for the losses as JSON lines; `force` overwrites it too.
        cache_dir: where the ids of texts are kept; None for the default folder.
        save_every: how often the resume file is saved, in seconds.
        should_stop: asked after every step; when it says yes, the run validates once more, saves all and ends.

    Yields:
        The events of `rnngen.runs.events`: Started, then Stepped, Validated and others, then Ended, which names the
        checkpoint.

    Raises:
        What `train` raises.

    >>> import rnngen
    >>> events = rnngen.training_events(text="hello\\n" * 60, output="a", training=rnngen.TrainConfig(steps=2))
    >>> [type(event).__name__ for event in events]  # doctest: +ELLIPSIS
    ['Started', ..., 'Ended']
    """
    settings, file = (tokenizer, None) if isinstance(tokenizer, TokenizerConfig) else (None, tokenizer)
    request = Request(
        paths=path_names(paths), text=text, output=checkpoint_paths.path_of(os.fspath(output)),
        training=training, model=model,
        tokenizer=settings, tokenizer_file=_path(file), encoding=encoding, valid=_path(valid),
        init_from=None if init_from is None else checkpoint_paths.find(init_from), log=_path(log), force=force,
        cache_dir=_path(cache_dir), save_every=save_every,
    )  # fmt: skip
    return run(request, should_stop=should_stop)


def _path(path: PathLike | None) -> Path | None:
    return None if path is None else Path(path)
