"""What a training run leaves behind: the best checkpoint on the disk, with how it was made."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnngen import __version__, checkpoint
from rnngen.checkpoint import Checkpoint
from rnngen.cli import options
from rnngen.config import ModelOptions, TokenizerConfig, TrainConfig
from rnngen.engine.scoring import perplexity
from rnngen.errors import OutputError
from rnngen.text.dataset import Dataset

if TYPE_CHECKING:
    from rnngen.training.loop import Diverged, Finished, Stepped, Validated
    from rnngen.training.plan import Plan

HISTORY_POINTS_BETWEEN = 8  # training losses that the history keeps between two validations
MOST_HISTORY = 4096
FLAGS = {"learning_rate": "--lr", "seconds": "--time"}


@dataclass(frozen=True)
class Job:
    """What a person asked for."""

    paths: list[str]
    valid: Path | None
    encoding: str
    tokenizer_file: Path | None
    output: Path
    log: Path | None
    force: bool
    config: TrainConfig
    model: ModelOptions
    symbols: TokenizerConfig


class Record:
    """What is known of the run so far, and the best model."""

    def __init__(self, job: Job, dataset: Dataset, plan: Plan) -> None:
        self.job, self.dataset, self.plan = job, dataset, plan
        self.best: Validated | None = None
        self.finished: Finished | None = None
        self.history: list[dict[str, Any]] = []
        self.saved = False

    def stepped(self, event: Stepped) -> None:
        """Keep a training loss now and then."""
        every = max(1, self.plan.validate_every // HISTORY_POINTS_BETWEEN)
        if event.step % every == 0:
            self._remember(entry(event) | {"valid_loss_nats": None})

    def validated(self, event: Validated) -> OutputError | None:
        """Keep the loss, and the weights if they are the best; an error in writing them is for the end of the run."""
        if self.history and self.history[-1]["step"] == event.step:
            self.history.pop()  # what `stepped` kept
        self._remember(entry(event) | {"valid_loss_nats": event.valid_loss_nats})
        if event.weights is not None:
            self.best = event
            try:
                self.save()
            except OutputError as error:
                return error
        return None

    def diverged(self, event: Diverged) -> None:
        """Forget what the run went back behind."""
        self.history = [past for past in self.history if past["step"] <= event.back_to]

    def _remember(self, point: dict[str, Any]) -> None:
        self.history.append(point)
        if len(self.history) > MOST_HISTORY:
            self.history = self.history[::2]

    def save(self) -> None:
        """Write the best model with all that is known now. Raises OutputError."""
        assert self.best is not None
        weights = self.best.weights or {}
        made = Checkpoint(self.plan.model, self.dataset.tokenizer, weights, self.training(), self.history)
        checkpoint.save(made, self.job.output, replace=self.saved or self.job.force)
        self.saved = True

    def valid_loss_nats(self) -> float:
        """Nats a token of the validation text under the best model."""
        assert self.best is not None
        exact = self.finished.valid_loss_nats if self.finished else None
        return self.best.valid_loss_nats if exact is None else exact

    def training(self) -> dict[str, Any]:
        """How the model was made, for the checkpoint and `rnngen info`."""
        plan, dataset, best = self.plan, self.dataset, self.best
        assert best is not None
        settings = {field.name: getattr(plan, field.name) for field in fields(plan) if field.name != "model"}
        last = self.finished or best
        loss, n_valid_tokens = self.valid_loss_nats(), len(dataset.valid.ids)
        return {
            "rnngen_version": __version__,
            "torch_version": version("torch"),
            "texts": self.job.paths,
            "text_sha256": dataset.found.sha256,
            "n_chars": dataset.found.n_chars,
            "n_train_tokens": len(dataset.train.ids),
            "n_valid_tokens": n_valid_tokens,
            **settings,
            "steps": last.step,
            "best_step": best.step,
            "seconds": round(last.seconds, 3),
            "n_tokens": last.n_tokens,
            "tokens_per_second": round(last.n_tokens / max(last.seconds, 1e-9)),
            "train_loss_nats": best.train_loss_nats,
            "valid_loss_nats": loss,
            "valid_bits_per_char": loss * n_valid_tokens / dataset.valid_chars / math.log(2),
            "valid_perplexity": perplexity(-loss, 1),
            "stopped_by": self.finished.reason if self.finished else None,
            "repeat": self._repeat() if self.finished and self.finished.reason in ("budget", "patience") else None,
        }

    def _repeat(self) -> str:
        """A command line that makes the same model on this machine: what was chosen by time is named."""
        job, plan = self.job, self.plan
        steps = self.finished.steps if self.finished else None
        config = replace(job.config, seconds=None, epochs=None, steps=steps, threads=plan.threads)
        words = ["rnngen", "train", *job.paths]
        words += _flags(job.symbols, TokenizerConfig()) if job.tokenizer_file is None else []
        words += ["--tokenizer", str(job.tokenizer_file)] if job.tokenizer_file else []
        words += ["--valid", str(job.valid)] if job.valid else []
        words += ["--encoding", job.encoding] if job.encoding != options.ENCODING else []
        words += _flags(
            replace(job.model, hidden_size=plan.model.hidden_size, dropout=plan.model.dropout), ModelOptions()
        )
        words += _flags(config, TrainConfig())
        words += ["-o", str(job.output.with_name(job.output.stem + "-again" + job.output.suffix))]
        return shlex.join(words)


def _flags(settings: Any, defaults: Any) -> list[str]:
    """The options of the command line that give these settings."""
    words: list[str] = []
    for field in fields(settings):
        value = getattr(settings, field.name)
        if value is None or value == getattr(defaults, field.name):
            continue
        flag = FLAGS.get(field.name, "--" + field.name.replace("_", "-"))
        shown = options.show_orders(value) if isinstance(value, tuple) else str(value)
        words += [flag] if value is True else [flag, shown]
    return words


def entry(event: Stepped | Validated) -> dict[str, Any]:
    """What the history and the log keep of an event."""
    return {
        "step": event.step,
        "seconds": round(event.seconds, 3),
        "n_tokens": event.n_tokens,
        "train_loss_nats": event.train_loss_nats,
    }
