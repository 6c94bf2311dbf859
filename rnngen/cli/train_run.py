"""A training run as the command line sees it: read the text, follow the events, save the best, log, report."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from rnngen.cli import options
from rnngen.cli.output import Console, json_line, plural
from rnngen.cli.progress import Progress
from rnngen.cli.train_record import Job, Record, entry
from rnngen.config import SampleConfig
from rnngen.errors import ConfigError, DataError, OutputError, TrainingError
from rnngen.files import check_writable
from rnngen.text import tokenizer as tokenizers
from rnngen.text.corpus import FileText
from rnngen.text.dataset import Dataset, prepare

if TYPE_CHECKING:
    from rnngen.training.loop import Event, Validated
    from rnngen.training.plan import Plan

T = TypeVar("T")


def run(job: Job, explanation: str, console: Console) -> bool:
    """Train, save and report; the checkpoint's path goes to stdout.

    Args:
        explanation: for a person who named no text, if standard input turns out to be empty; else "".

    Returns:
        Whether the run was interrupted.
    """
    _check_places(job)
    dataset = _read(job, explanation)
    # torch takes over a second to import, so what can fail without it has been done.
    from rnngen.training.loop import train
    from rnngen.training.plan import make_plan

    plan = make_plan(job.config, job.model, dataset)
    record = Record(job, dataset, plan)
    _announce(dataset, plan, console)
    log = _Log(job.log)
    try:
        with _progress(record, console) as progress, _stop_at_interrupt(progress.say) as stop:
            for event in train(plan, dataset, lambda: stop.asked):
                _follow(event, record, progress, log)
    except TrainingError as error:
        kept = f"; the best model so far is in {job.output}" if record.saved else ""
        raise TrainingError(f"{error}{kept}") from None
    finished = record.finished
    if finished is None or (record.best is None and finished.reason == "stopped"):
        raise KeyboardInterrupt
    if record.best is None:
        raise TrainingError("the validation loss was never finite, so no model was kept: try a lower --lr")
    record.save()
    _report(record, console)
    with contextlib.suppress(BrokenPipeError):
        print(job.output, flush=True)
    return finished.reason == "stopped"


def _check_places(job: Job) -> None:
    """No file that is read may be written, and no file twice; nothing is overwritten unasked."""
    read = {Path(path).resolve() for path in (*job.paths, job.valid, job.tokenizer_file) if path and path != "-"}
    for flag, path in (("--output", job.output), ("--log", job.log)):
        if path and path.resolve() in read:
            raise ConfigError(f"{flag} is {path}, which this run reads: name another file")
    if job.log and job.log.resolve() == job.output.resolve():
        raise ConfigError(f"--output and --log are both {job.log}: name two files")
    if job.paths.count("-") + (str(job.valid) == "-") > 1:
        raise ConfigError("- stands twice: standard input can be read once")
    check_writable(job.output, force=job.force)
    if job.log:
        check_writable(job.log, force=job.force)


def _read(job: Job, explanation: str) -> Dataset:
    text = FileText(job.paths, job.encoding)
    tokenizer = tokenizers.load(job.tokenizer_file) if job.tokenizer_file else None
    valid = FileText([str(job.valid)], job.encoding) if job.valid else None
    if explanation and not any(text.chunks()):
        raise DataError(explanation)
    return prepare(text, valid, job.config, tokenizer, job.symbols)


def _announce(dataset: Dataset, plan: Plan, console: Console) -> None:
    model = plan.model
    layers = f"{plural(model.num_layers, 'layer')} of {model.hidden_size}"
    console.note(
        f"text: {dataset.found.n_chars:,} characters; {len(dataset.train.ids):,} {dataset.tokenizer.level} tokens "
        f"to train on, {len(dataset.valid.ids):,} to validate on; vocabulary {model.vocab_size:,}"
    )
    for name, tokens in (("text to train on", dataset.train), ("validation text", dataset.valid)):
        share = f"the {name}, {tokens.n_unknown / len(tokens.ids):.2%} of its tokens unknown,"
        console.unknowns(tokens.n_unknown, tokens.first_unknown, "unk", share)
    budget = f"{plan.seconds:g} s" if plan.seconds else plural(plan.steps or 0, "step")
    ngrams = f", n-grams of {options.show_orders(model.ngram_orders)}" if model.ngram_orders else ""
    console.note(
        f"model: {model.cell}, {layers}{ngrams}, {model.n_parameters:,} parameters; {budget}, seed {plan.seed}, "
        f"{plural(plan.threads, 'thread')}, {plan.precision}"
    )
    for reason in plan.slower:
        console.note(f"slower: {reason}")


def _follow(event: Event, record: Record, progress: Progress, log: _Log) -> None:
    from rnngen.training.loop import Diverged, Finished, Stepped, Validated

    match event:
        case Stepped():
            record.stepped(event)
            progress.stepped(event)
            log.write("step", entry(event) | {"learning_rate": event.learning_rate})
        case Validated():
            error = record.validated(event)
            progress.validated(event)
            if error:
                progress.say(f"{error}; training goes on, and it is tried again")
            log.write("validation", entry(event) | {"valid_loss_nats": event.valid_loss_nats})
        case Diverged():
            record.diverged(event)
            progress.diverged(event)
            log.write("diverged", asdict(event))
        case Finished():
            record.finished = event


def _report(record: Record, console: Console) -> None:
    made, best, finished = record.training(), record.best, record.finished
    assert best is not None
    assert finished is not None
    why = {
        "budget": "",
        "patience": ", stopped by --patience",
        "stopped": ", interrupted",
        "overdue": f", ended {finished.steps - finished.step:,} steps early: the machine slowed down",
    }[finished.reason]
    console.note(
        f"trained: {made['steps']:,} steps, {made['n_tokens']:,} tokens "
        f"({made['n_tokens'] / made['n_train_tokens']:.1f} epochs) in {made['seconds']:.1f} s, "
        f"{made['tokens_per_second']:,} tokens/s{why}"
    )
    console.note(
        f"kept: step {best.step:,}, {record.plan.model.n_parameters:,} parameters; "
        f"train loss {best.train_loss_nats:.4f}, validation loss {made['valid_loss_nats']:.4f} nats a token, "
        f"{made['valid_bits_per_char']:.4f} bits a character, perplexity {made['valid_perplexity']:.3f}"
    )
    for reason in record.plan.slower:
        console.note(f"slower: {reason}")
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
def _stop_at_interrupt(say: Callable[[str], None]) -> Iterator[_Stop]:
    """The first Ctrl-C asks the run to end after its step; the second one does not wait."""
    stop = _Stop()

    def ask(signal_number: int, frame: object) -> None:
        stop.asked = True
        say("stopping after a last validation; Ctrl-C again to quit at once")
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def _progress(record: Record, console: Console) -> Progress:
    return Progress(console, record.plan.seconds, lambda event: _sample_line(record, event))


def _sample_line(record: Record, event: Validated) -> str:
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
    return visible(text.strip().replace("\n", " / ")).replace("▁", " ")
