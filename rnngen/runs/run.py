"""A training run as the command line sees it: read the text, follow the events, save, log, report."""

from __future__ import annotations

import errno
import math
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnngen import models
from rnngen.cli import options
from rnngen.cli.output import Console, drop_stdout
from rnngen.cli.progress import Progress
from rnngen.cli.signals import stop_at_signals
from rnngen.config import SampleConfig, TokenizerConfig
from rnngen.errors import ConfigError, DataError, DivergenceError, OutputError, TrainingError
from rnngen.printable import plural
from rnngen.runs.event_log import Log
from rnngen.runs.keeper import Record, entry
from rnngen.runs.request import Job
from rnngen.runs.warm_start import Initial
from rnngen.storage.files import check_writable, hold
from rnngen.text.corpus import FileText
from rnngen.text.dataset import Dataset, prepare
from rnngen.tokenizers import levels
from rnngen.tokenizers.base import Tokenizer

if TYPE_CHECKING:
    from rnngen.training.events import Event, Validated
    from rnngen.training.plan import Plan


def run(job: Job, explanation: str, console: Console) -> int:
    """Train, save and report; the checkpoint's path goes to stdout.

    Args:
        explanation: for a person who named no text, if standard input turns out to be empty; else "".

    Returns:
        The exit code: 0, or that of the signal that ended the run.
    """
    _check_places(job)
    with hold(job.output, job.resume_path) as is_locked:
        if not is_locked:
            say_unlocked(job, console)
        _check_nothing_is_lost(job)
        initial = Initial.load(job.init_from) if job.init_from else None
        dataset = read(job, _tokenizer(job, initial), explanation)
        # torch takes over a second to import, so what can fail without it has been done.
        from rnngen.training.plan import make_plan

        sizes = initial.options(job.model, dataset.tokenizer) if initial else job.model
        record = Record(job, dataset, make_plan(job.config, sizes, dataset))
        announce(dataset, record.plan, console)

        def prepare_network(network: Any) -> None:
            if initial:
                initial.carry_over(network, dataset.tokenizer, console)

        log = Log.new(job.log, force=job.force)
        # The run's number makes the log one that no stranger's resume file can know.
        log.write("begin", {"run": record.run_id, "seed": job.config.seed, "text_sha256": dataset.found.sha256})
        return follow(record, log, console, prepare=prepare_network)


def follow(record: Record, log: Log, console: Console, **how: Any) -> int:
    """Train to the end, or until a signal comes; save and report.

    Args:
        how: for `training.loop.train`, a new run or one that goes on.

    Returns:
        The exit code.
    """
    from rnngen.training.loop import train

    job = record.job
    try:
        with _progress(record, console) as progress, stop_at_signals(progress.say) as stop:
            how |= {"should_stop": lambda: stop.signal is not None, "save_every": job.save_every}
            for event in train(record.plan, record.dataset, **how):
                _take(event, record, progress, log)
    except KeyboardInterrupt:
        _say_how_to_go_on(record, console)
        raise
    except TrainingError as error:
        where = _saved_so_far(record)
        if isinstance(error, DivergenceError) and (record.saved or record.best is None):
            record.forget_resume()  # it would come to the same end
        raise TrainingError(f"{error}{where}") from None
    finally:
        log.close()
    finished = record.finished
    if finished is not None and finished.reason == "stopped" and record.best is None:
        _say_how_to_go_on(record, console)
        return stop.exit_code
    if finished is None or record.best is None or not math.isfinite(finished.valid_loss_nats or 0.0):
        record.forget_resume()
        raise TrainingError("the validation loss is not finite, so the model is of no use: try a lower --lr")
    try:
        record.save_at_the_end()
    except OutputError:
        if finished.reason == "stopped":
            _say_how_to_go_on(record, console)
        raise
    _report(record, console)
    try:
        print(job.output, flush=True)
    except OSError as error:
        # A pipe or a terminal that is closed: nobody wants to know it any more.
        if error.errno not in (errno.EPIPE, errno.EIO):
            raise
        drop_stdout()
    if log.error:
        raise log.error
    return stop.exit_code if finished.reason == "stopped" else 0


def _saved_so_far(record: Record) -> str:
    """After an error that ends a run: save its best model if that is still to be done, and say where it is."""
    if record.best is None:
        return ""
    try:
        record.save_at_the_end()
    except OutputError as error:
        return f"; {error}"
    return f"; the best model so far is in {record.job.output}"


def _check_places(job: Job) -> None:
    """No file that is read may be written, and no file twice; nothing is overwritten unasked."""
    read = {Path(path).resolve() for path in (*job.paths, job.valid, job.tokenizer_file) if path and path != "-"}
    if job.init_from:
        read.add(job.init_from.resolve())
    for flag, path in (("--output", job.output), ("--log", job.log)):
        if path and path.resolve() in read:
            raise ConfigError(f"{flag} is {path}, which this run reads: name another file")
    if job.log and job.log.resolve() in (job.output.resolve(), job.resume_path.resolve()):
        raise ConfigError(f"--log is {job.log}, which the run writes beside it: name another file")
    if job.output.name.endswith(models.RESUME_SUFFIX):
        raise ConfigError(f"{job.output} is named as a resume file is: name another with --output")
    if job.paths.count("-") + (str(job.valid) == "-") > 1:
        raise ConfigError("- stands twice: standard input can be read once")


def say_unlocked(job: Job, console: Console) -> None:
    """A second run on this name would not be noticed."""
    console.note(f"{job.output.parent} is on a file system without locks: start no second run of {job.output}")


def _check_nothing_is_lost(job: Job) -> None:
    """Refuse to write over what is there, unless told to."""
    check_writable(job.output, force=job.force)
    if job.log:
        check_writable(job.log, force=job.force, stream=True)
    if job.resume_path.exists():
        check_writable(
            job.resume_path, force=job.force,
            remedy=f"it is a run that was stopped; go on with --resume {job.output}, or begin anew with --force",
        )  # fmt: skip


def _tokenizer(job: Job, initial: Initial | None) -> Tokenizer | None:
    """The one that is there already; None where it is to be built."""
    if job.tokenizer_file:
        return levels.load(job.tokenizer_file)
    return initial.trained.tokenizer if initial and job.symbols is None else None


def read(job: Job, tokenizer: Tokenizer | None, explanation: str = "") -> Dataset:
    """The texts as token ids; a tokenizer is built where there is none."""
    text = FileText(job.paths, job.encoding)
    valid = FileText([str(job.valid)], job.encoding) if job.valid else None
    if explanation and not any(text.chunks()):
        raise DataError(explanation)
    return prepare(text, valid, job.config, tokenizer, job.symbols or TokenizerConfig(), job.cache_dir)


def announce(dataset: Dataset, plan: Plan, console: Console) -> None:
    """Say what will be done."""
    model = plan.model
    layers = f"{plural(model.num_layers, 'layer')} of {model.hidden_size}"
    console.note(
        f"text: {dataset.found.n_chars:,} characters; {len(dataset.train.ids):,} {dataset.tokenizer.level} tokens "
        f"to train on, {len(dataset.valid.ids):,} to validate on; vocabulary {model.vocab_size:,}"
    )
    for name, tokens in (("text to train on", dataset.train), ("validation text", dataset.valid)):
        share = f"the {name}, {tokens.n_unknown / len(tokens.ids):.2%} of its tokens unknown,"
        console.unknowns(tokens.n_unknown, tokens.first_unknown, "unk", share)
    if dataset.reused:
        console.note("tokens: as they were kept from a run before (rnngen tokenize --clear-cache removes them)")
    budget = f"{plan.seconds:g} s" if plan.seconds else plural(plan.steps or 0, "step")
    ngrams = f", n-grams of {options.show_orders(model.ngram_orders)}" if model.ngram_orders else ""
    console.note(
        f"model: {model.cell}, {layers}{ngrams}, {model.n_parameters:,} parameters; {budget}, seed {plan.seed}, "
        f"{plural(plan.threads, 'thread')}, {plan.precision}"
    )
    for reason in plan.slower:
        console.note(f"slower: {reason}")


def _take(event: Event, record: Record, progress: Progress, log: Log) -> None:
    from rnngen.training.events import Diverged, Finished, Resumable, Stepped, Validated

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
        case Resumable():
            error = record.keep(event, log.position())
            if error:
                progress.say(f"{error}; training goes on, and it is tried again")
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
    if finished.reason == "stopped":
        _say_how_to_go_on(record, console)


def _say_how_to_go_on(record: Record, console: Console) -> None:
    if record.resumable is not None:
        console.note(f"go on: rnngen train --resume {shlex.quote(str(record.job.output))}")


def _progress(record: Record, console: Console) -> Progress:
    best = record.best.valid_loss_nats if record.best else math.inf
    return Progress(console, record.plan.seconds, best, lambda event: _sample_line(record, event))


def _sample_line(record: Record, event: Validated) -> str:
    """What the model writes now, as one line."""
    import numpy as np

    from rnngen.engine.language_model import Engine
    from rnngen.engine.sampling import generate
    from rnngen.printable import visible

    tokenizer = record.dataset.tokenizer
    model = Engine(record.plan.model, event.weights or {})
    config = SampleConfig(temperature=0.8, length=120, seed=event.step)
    drawn = generate(model, np.array([tokenizer.newline_id]), config, never=tokenizer.never_drawn)
    text = tokenizer.decode([int(step.ids[0]) for step in drawn])
    return visible(text.strip().replace("\n", " / ")).replace("▁", " ")
