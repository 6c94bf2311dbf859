"""A training run on disk: reads the texts, trains, and keeps the best model, the resume file and the log.

It never prints: it yields events, and whoever consumes them shows them.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from rnngen.config import TokenizerConfig
from rnngen.errors import DivergenceError, OutputError, TrainingError
from rnngen.runs.event_log import EventLog
from rnngen.runs.events import Diverged, Ended, Event, NotSaved, ResumeSaved, Started, Stepped, Validated
from rnngen.runs.history import measurement, validation
from rnngen.runs.keeper import Keeper
from rnngen.runs.overwriting import check_nothing_is_lost
from rnngen.runs.repeat import resume_line
from rnngen.runs.request import Request
from rnngen.runs.warm_start import WarmStart
from rnngen.storage.locks import hold
from rnngen.text.dataset import Dataset, prepare
from rnngen.text.tagged import check_lines
from rnngen.tokenizers import levels
from rnngen.tokenizers.base import Tokenizer
from rnngen.training.events import Finished, Resumable

if TYPE_CHECKING:
    from rnngen.training.events import Event as TrainingEvent
    from rnngen.training.run_state import RunState
    from rnngen.training.task import Network


def run(request: Request, *, should_stop: Callable[[], bool] = lambda: False) -> Generator[Event, None, None]:
    """Train a model and save it.

    A caller who stops iterating leaves the best model so far, and the resume file for `rnngen.runs.resume`.

    Args:
        should_stop: asked after every step; when it says yes, the run validates once more, saves all and ends.

    Yields:
        Started, then what happens, then Ended.

    Raises:
        ConfigError: the request contradicts itself, or does not fit the text or the machine.
        DataError, TokenizerError: a text cannot be read or used.
        CheckpointError: `init_from` cannot be read.
        OutputError: a file exists already, or cannot be written; another process writes it.
        TrainingError: training cannot go on. The message says where the best model is, if there is one.
    """
    request.check_files()
    with hold(request.output, request.resume_path) as is_locked:
        thrown_away = check_nothing_is_lost(request)
        warm_start = WarmStart.load(request.init_from) if request.init_from else None
        dataset = read_texts(request, _given_tokenizer(request, warm_start))
        # torch takes over a second to import, so everything that can fail without it comes first.
        from rnngen.training.plan import make_plan

        options = warm_start.options(request.model, dataset.tokenizer) if warm_start else request.model
        keeper = Keeper(request, dataset, make_plan(request.training, options, dataset))
        notes: tuple[str, ...] = (thrown_away,) if thrown_away else ()
        notes += () if is_locked else (unlocked_note(request),)
        if warm_start:
            notes += (warm_start.note(dataset.tokenizer),)

        def prepare_network(network: Network) -> None:
            if warm_start:
                warm_start.carry_over(network, dataset.tokenizer)

        with contextlib.closing(EventLog.new(request.log, force=request.force)) as log:
            write_first_line(log, keeper)
            yield started(keeper, notes)
            yield from follow(keeper, log, should_stop=should_stop, prepare_network=prepare_network)


def started(keeper: Keeper, notes: tuple[str, ...]) -> Started:
    """The first event of a run."""
    request = keeper.request
    return Started(
        dataset=keeper.dataset,
        plan=keeper.plan,
        output=request.output,
        resume_path=request.resume_path,
        resumed_after=keeper.resumable_step,
        go_on=resume_line(request.output, request.paths, request.valid, request.log),
        best_valid_loss_nats=keeper.best.valid_loss_nats if keeper.best else math.inf,
        notes=(*keeper.dataset.notes, *notes),
    )


def follow(
    keeper: Keeper,
    log: EventLog,
    *,
    should_stop: Callable[[], bool],
    start: RunState | None = None,
    prepare_network: Callable[[Network], None] = lambda network: None,
) -> Generator[Event, None, None]:
    """Train to the end, keep what comes of it, and log it.

    Args:
        start: where a stopped run goes on; None for a new one.
        prepare_network: of a new run, may change the first weights.
    """
    from rnngen.training.loop import train

    save_every = keeper.request.save_every
    events = train(
        keeper.plan, keeper.dataset, should_stop, save_every=save_every, start=start, prepare_network=prepare_network
    )
    try:
        for event in events:
            yield from _keep(event, keeper, log)
    except TrainingError as error:
        where = _save_after_error(keeper)
        if isinstance(error, DivergenceError) and (keeper.is_saved or keeper.best is None):
            keeper.forget_resume()  # a resumed run would diverge again
        raise TrainingError(f"{error}{where}") from None
    finished = keeper.finished
    assert finished is not None
    if finished.reason == "stopped" and keeper.best is None:
        yield Ended(output=None, finished=finished, training={}, log_error=log.error)
        return
    if not keeper.has_finite_loss():
        keeper.forget_resume()
        raise TrainingError("the validation loss is not finite, so the model is of no use: try a lower --lr")
    keeper.save_at_the_end()
    yield Ended(output=keeper.request.output, finished=finished, training=keeper.training(), log_error=log.error)


def _keep(event: TrainingEvent, keeper: Keeper, log: EventLog) -> Iterator[Event]:
    """Keep and log an event of the training loop, and pass on what a caller may want to know."""
    match event:
        case Stepped():
            keeper.add_step(event)
            log.write("step", measurement(event) | {"learning_rate": event.learning_rate})
            yield event
        case Validated():
            error = keeper.add_validation(event)
            log.write("validation", validation(event))
            yield event
            if error:
                yield NotSaved(error)
        case Diverged():
            keeper.add_divergence(event)
            log.write("diverged", asdict(event))
            yield event
        case Resumable():
            error = keeper.save_resume(event)
            yield NotSaved(error) if error else ResumeSaved(event.step)
        case Finished():
            keeper.finished = event


def _save_after_error(keeper: Keeper) -> str:
    """Save the best model, if there is one, and say where it is."""
    best = keeper.best
    if best is None:
        return ""
    try:
        keeper.save_at_the_end()
    except OutputError as error:
        return f"; {error}"
    loss = f"of step {best.step:,} with validation loss {best.valid_loss_nats:.5g}"
    return f"; the best model so far, {loss}, is in {keeper.request.output}"


def write_first_line(log: EventLog, keeper: Keeper) -> None:
    """Name the run, so that its log is known again when it goes on."""
    seed, text_sha256 = keeper.plan.seed, keeper.dataset.survey.sha256
    log.write("start", {"run": keeper.run_id, "seed": seed, "text_sha256": text_sha256})


def unlocked_note(request: Request) -> str:
    """A second run of the same name would not be noticed."""
    return f"{request.output.parent} is on a file system without locks: start no second run of {request.output}"


def _given_tokenizer(request: Request, warm_start: WarmStart | None) -> Tokenizer | None:
    """The tokenizer that exists already; None where one is to be built. Raises TokenizerError."""
    if request.tokenizer_file:
        return levels.load(request.tokenizer_file)
    return warm_start.trained.tokenizer if warm_start and request.tokenizer is None else None


def read_texts(request: Request, tokenizer: Tokenizer | None) -> Dataset:
    """The texts as token ids.

    Args:
        tokenizer: None builds the one that is asked for.
    """
    notes: list[str] = []
    text, valid = request.open_text(notes.append), request.open_valid(notes.append)
    wanted = request.tokenizer or TokenizerConfig()
    if request.model.tags:
        check_lines(text, "")
        if valid is not None:
            check_lines(valid, " of the validation text")
    dataset = prepare(text, valid, request.training, tokenizer, wanted, request.cache_dir)
    return replace(dataset, notes=(*notes, *dataset.notes))
