"""A training run as the command line sees it: read the text, follow the events, save the best, log, report."""

from __future__ import annotations

import contextlib
import math
import shlex
import signal
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from rnngen import __version__, checkpoint
from rnngen.checkpoint import Checkpoint
from rnngen.cli.output import Console, json_line, plural
from rnngen.cli.progress import Progress
from rnngen.config import ModelOptions, SampleConfig, TokenizerConfig, TrainConfig
from rnngen.errors import ConfigError, DataError, OutputError
from rnngen.files import check_writable
from rnngen.text import tokenizer as tokenizers
from rnngen.text.corpus import FileText
from rnngen.text.dataset import Dataset, prepare

if TYPE_CHECKING:
    from rnngen.training.loop import Event, Finished, Stepped, Validated
    from rnngen.training.plan import Plan

HISTORY_POINTS_BETWEEN = 8  # training losses that the history keeps between two validations
T = TypeVar("T")
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


def run(job: Job, explanation: str, console: Console) -> bool:
    """Train, save and report; the checkpoint's path goes to stdout.

    Args:
        explanation: for a person who named no text, if standard input turns out to be empty; else "".

    Returns:
        Whether the run was interrupted.
    """
    check_writable(job.output, force=job.force)
    if job.log:
        check_writable(job.log, force=job.force)
        if job.log.resolve() == job.output.resolve():
            raise ConfigError(f"--output and --log are both {job.log}: name two files")
    dataset = _read(job, explanation)
    # torch takes over a second to import, so what can fail without it has been done.
    from rnngen.training.loop import train
    from rnngen.training.plan import make_plan

    plan = make_plan(job.config, job.model, dataset)
    record = _Record(job, dataset, plan)
    _announce(job, dataset, plan, console)
    log = _Log(job.log)
    with _stop_at_interrupt() as stop, _progress(record, console) as progress:
        for event in train(plan, dataset, lambda: stop.asked):
            _follow(event, record, progress, log)
    finished = record.finished
    if finished is None or record.best is None:
        raise KeyboardInterrupt
    record.save()
    _report(record, console)
    with contextlib.suppress(BrokenPipeError):
        print(job.output, flush=True)
    return finished.reason == "stopped"


def _read(job: Job, explanation: str) -> Dataset:
    text = FileText(job.paths, job.encoding)
    tokenizer = tokenizers.load(job.tokenizer_file) if job.tokenizer_file else None
    valid = FileText([str(job.valid)], job.encoding) if job.valid else None
    if explanation and not any(text.chunks()):
        raise DataError(explanation)
    return prepare(text, valid, job.config, tokenizer, job.symbols)


def _announce(job: Job, dataset: Dataset, plan: Plan, console: Console) -> None:
    model = plan.model
    layers = f"{plural(model.num_layers, 'layer')} of {model.hidden_size}"
    console.note(
        f"text: {dataset.found.n_chars:,} characters; {len(dataset.train.ids):,} {dataset.tokenizer.level} tokens "
        f"to train on, {len(dataset.valid.ids):,} to validate on; vocabulary {model.vocab_size:,}"
    )
    for name, tokens in (("text to train on", dataset.train), ("validation text", dataset.valid)):
        if tokens.n_unknown:
            console.note(
                f"the {name} has {plural(tokens.n_unknown, 'unknown symbol')}, "
                f"{tokens.n_unknown / len(tokens.ids):.2%} of its tokens"
            )
    budget = f"{plan.seconds:g} s" if plan.seconds else plural(plan.steps or 0, "step")
    console.note(
        f"model: {model.cell}, {layers}, {model.n_parameters:,} parameters; {budget}, seed {plan.seed}, "
        f"{plural(plan.threads, 'thread')}, {plan.precision}"
    )


class _Record:
    """What is known of the run so far, and the best model."""

    def __init__(self, job: Job, dataset: Dataset, plan: Plan) -> None:
        self.job, self.dataset, self.plan = job, dataset, plan
        self.best: Validated | None = None
        self.finished: Finished | None = None
        self.history: list[dict[str, Any]] = []

    def stepped(self, event: Stepped) -> None:
        every = max(1, self.plan.validate_every // HISTORY_POINTS_BETWEEN)
        if event.step % every == 0 and event.step % self.plan.validate_every:
            self.history.append(_entry(event) | {"valid_loss_nats": None})

    def validated(self, event: Validated) -> None:
        self.history.append(_entry(event) | {"valid_loss_nats": event.valid_loss_nats})
        if event.weights is not None:
            self.best = event
            self.save()

    def save(self) -> None:
        """Write the best model with all that is known now."""
        assert self.best is not None
        weights = self.best.weights or {}
        checkpoint.save(
            Checkpoint(self.plan.model, self.dataset.tokenizer, weights, self.training(), self.history),
            self.job.output,
        )

    def training(self) -> dict[str, Any]:
        """How the model was made, for the checkpoint and `rnngen info`."""
        plan, dataset, best = self.plan, self.dataset, self.best
        assert best is not None
        settings = {field.name: getattr(plan, field.name) for field in fields(plan) if field.name != "model"}
        last = self.finished or best
        bits = best.valid_loss_nats * len(dataset.valid.ids) / dataset.valid_chars / math.log(2)
        return {
            "rnngen_version": __version__,
            "torch_version": version("torch"),
            "texts": self.job.paths,
            "text_sha256": dataset.found.sha256,
            "n_chars": dataset.found.n_chars,
            "n_train_tokens": len(dataset.train.ids),
            "n_valid_tokens": len(dataset.valid.ids),
            **settings,
            "steps": last.step,
            "best_step": best.step,
            "seconds": round(last.seconds, 3),
            "n_tokens": last.n_tokens,
            "tokens_per_second": round(last.n_tokens / max(last.seconds, 1e-9)),
            "train_loss_nats": best.train_loss_nats,
            "valid_loss_nats": best.valid_loss_nats,
            "valid_bits_per_char": bits,
            "valid_perplexity": math.exp(min(best.valid_loss_nats, 700)),
            "stopped_by": self.finished.reason if self.finished else None,
            "repeat": self.repeat() if self.finished and self.finished.reason == "budget" else None,
        }

    def repeat(self) -> str:
        """A command line that makes the same model on this machine: what was chosen by time is named."""
        job, plan = self.job, self.plan
        steps = self.finished.steps if self.finished else None
        config = replace(job.config, seconds=None, epochs=None, steps=steps, threads=plan.threads)
        words = ["rnngen", "train", *job.paths]
        words += _flags(job.symbols, TokenizerConfig()) if job.tokenizer_file is None else []
        words += ["--tokenizer", str(job.tokenizer_file)] if job.tokenizer_file else []
        words += ["--valid", str(job.valid)] if job.valid else []
        words += ["--encoding", job.encoding] if job.encoding != "utf-8" else []
        words += _flags(
            replace(job.model, hidden_size=plan.model.hidden_size, dropout=plan.model.dropout), ModelOptions()
        )
        words += _flags(config, TrainConfig())
        return shlex.join(words)


def _flags(settings: Any, defaults: Any) -> list[str]:
    """The options of the command line that give these settings."""
    words: list[str] = []
    for field in fields(settings):
        value = getattr(settings, field.name)
        if value is None or value == getattr(defaults, field.name):
            continue
        flag = FLAGS.get(field.name, "--" + field.name.replace("_", "-"))
        words += [flag] if value is True else [flag, str(value)]
    return words


def _entry(event: Stepped | Validated) -> dict[str, Any]:
    return {
        "step": event.step,
        "seconds": round(event.seconds, 3),
        "n_tokens": event.n_tokens,
        "train_loss_nats": event.train_loss_nats,
    }


def _follow(event: Event, record: _Record, progress: Progress, log: _Log) -> None:
    from rnngen.training.loop import Diverged, Finished, Stepped, Validated

    match event:
        case Stepped():
            record.stepped(event)
            progress.stepped(event)
            log.write("step", _entry(event) | {"learning_rate": event.learning_rate})
        case Validated():
            record.validated(event)
            progress.validated(event)
            log.write("validation", _entry(event) | {"valid_loss_nats": event.valid_loss_nats})
        case Diverged():
            progress.diverged(event)
            log.write("diverged", asdict(event))
        case Finished():
            record.finished = event


def _report(record: _Record, console: Console) -> None:
    made, best, finished = record.training(), record.best, record.finished
    assert best is not None
    assert finished is not None
    why = {"budget": "", "patience": ", stopped by --patience", "stopped": ", interrupted"}[finished.reason]
    console.note(
        f"trained: {made['steps']:,} steps, {made['n_tokens']:,} tokens "
        f"({made['n_tokens'] / made['n_train_tokens']:.1f} epochs) in {made['seconds']:.1f} s, "
        f"{made['tokens_per_second']:,} tokens/s{why}"
    )
    console.note(
        f"kept: step {best.step:,}, {record.plan.model.n_parameters:,} parameters; "
        f"train loss {best.train_loss_nats:.4f}, validation loss {best.valid_loss_nats:.4f} nats a token, "
        f"{made['valid_bits_per_char']:.4f} bits a character, perplexity {made['valid_perplexity']:.3f}"
    )
    if made["repeat"]:
        console.note(f"repeat: {made['repeat']}")


class _Log:
    """JSON lines, one an event; each is on its way to the disk before the next step."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file = self._try(lambda: _open_for_lines(path)) if path else None

    def write(self, event: str, values: dict[str, Any]) -> None:
        file = self._file
        if file:
            self._try(lambda: file.write(json_line({"event": event, **values})))

    def _try(self, action: Callable[[], T]) -> T:
        try:
            return action()
        except OSError as error:
            raise OutputError(f"cannot write the log {self._path}: {error.strerror}; write it elsewhere") from None


def _open_for_lines(path: Path) -> TextIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return open(path, "w", encoding="utf-8", buffering=1)


class _Stop:
    asked = False


@contextlib.contextmanager
def _stop_at_interrupt() -> Iterator[_Stop]:
    """The first Ctrl-C asks the run to end after its step; the second one does not wait."""
    stop = _Stop()

    def ask(signal_number: int, frame: object) -> None:
        stop.asked = True
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def _progress(record: _Record, console: Console) -> Progress:
    return Progress(console, record.plan.seconds, lambda event: _sample_line(record, event))


def _sample_line(record: _Record, event: Validated) -> str:
    """What the model writes now, as one line."""
    import numpy as np

    from rnngen.engine.model import Engine
    from rnngen.engine.sampling import generate
    from rnngen.text.symbols import visible

    tokenizer = record.dataset.tokenizer
    model = Engine(record.plan.model, event.weights or {})
    config = SampleConfig(temperature=0.8, length=120, seed=event.step)
    drawn = generate(model, np.array([tokenizer.newline_id]), config, never=tokenizer.never_drawn)
    text = tokenizer.decode([int(step.ids[0]) for step in drawn])
    return visible(text.strip()).replace("\n", " / ").replace("▁", " ")
