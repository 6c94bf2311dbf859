"""A run that was stopped goes on as if nothing had happened.

A resume file may come from an unknown source. It names no file to write, and the files that it names to read must hold
what the run started with. The one folder that it names is that of the cache, which must exist.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnngen.errors import CheckpointError, ConfigError, DataError
from rnngen.runs.event_log import EventLog
from rnngen.runs.events import Event
from rnngen.runs.keeper import Keeper
from rnngen.runs.repeat import resume_line
from rnngen.runs.request import Request
from rnngen.runs.run import follow, read_texts, started, unlocked_note, write_first_line
from rnngen.storage import checkpoint_paths
from rnngen.storage.atomic import check_writable
from rnngen.storage.locks import hold
from rnngen.text.dataset import Dataset
from rnngen.text.sources import Paths, has_standard_input, is_stream, path_names

if TYPE_CHECKING:
    from rnngen.runs.resume_file import StoppedRun


def resume(
    name: str | os.PathLike[str],
    *,
    paths: Paths | None = None,
    text: str | None = None,
    valid: Path | None = None,
    log: Path | None = None,
    cache_dir: Path | None = None,
    save_every: float | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Generator[Event, None, None]:
    """Go on with the run of a checkpoint.

    Args:
        name: of the checkpoint or its resume file.
        paths: where the texts are now, one file or several; None for where they were.
        text: the text itself, for a run that was given a string.
        valid: where the validation text is now; None for where it was.
        log: a new file for the events, or the log of this run; None keeps no log.
        cache_dir: None for the one that the run had, if it still exists.
        save_every: seconds between two resume files; None for that of the run.
        should_stop: as in `run`.

    Yields:
        What `run` yields.

    Raises:
        CheckpointError: there is no such run, or its resume file is broken.
        DataError: a text is not the one that the run started with.
        ConfigError, OutputError, TrainingError: as in `run`.
    """
    names = path_names(paths)
    output, resume_path = checkpoint_paths.find_resume(os.fspath(name))
    with hold(output, resume_path) as is_locked:
        from rnngen.runs.resume_file import load
        from rnngen.training.network import check_device

        stopped = load(resume_path)
        try:
            request = Request.from_dict(stopped.record.get("job"), output=output, paths=names, text=text)
        except ConfigError as error:
            raise CheckpointError(f"{resume_path} is broken: {error}") from None
        if valid and not request.valid:
            raise ConfigError("the run has no validation text of its own: leave out --valid")
        _check_same_split(request, stopped.record, resume_path)
        _check_files(request, () if names else request.paths, request.valid if valid is None else None)
        check_device(stopped.plan.device)
        request = replace(
            request, valid=valid or request.valid, log=log, cache_dir=cache_dir or request.cache_dir,
            save_every=save_every or request.save_every,
        )  # fmt: skip
        request.check_files()
        yield from _go_on(request, stopped, should_stop, () if is_locked else (unlocked_note(request),))


def _go_on(
    request: Request, stopped: StoppedRun, should_stop: Callable[[], bool], notes: tuple[str, ...]
) -> Generator[Event, None, None]:
    dataset = read_texts(request, stopped.tokenizer)
    _check_same(request, stopped.record, dataset)
    keeper = Keeper.of_stopped_run(request, dataset, stopped.plan, stopped.record, stopped.state)
    if not keeper.is_saved:
        check_writable(
            request.output, force=request.force, remedy="it is not of this run; move it away, and the run can go on"
        )
    if stopped.record.get("torch_version") != version("torch"):
        notes += (
            f"the run was started with another torch than this {version('torch')}: its weights may differ a little",
        )
    with contextlib.closing(_open_log(keeper)) as log:
        yield started(keeper, notes)
        yield from follow(keeper, log, should_stop=should_stop, start=stopped.state)


def _check_files(request: Request, paths: Sequence[str], valid: Path | None) -> None:
    """See that what a resume file says to read, and nobody has named anew, is there. Raises DataError."""
    for path in [*paths, str(valid)] if valid else paths:
        if is_stream(path) and not (path == "-" and has_standard_input()):
            origin = "standard input, and nothing comes from there" if path == "-" else f"a pipe, {path}"
            again = resume_line(request.output, request.paths, request.valid)
            raise DataError(f"the run read its text from {origin}: give it the same text again: {again}")
        if path != "-" and not os.path.isfile(path):
            which = "its validation text with --valid" if path == str(valid) else "its text"
            raise DataError(f"{path} is not there, or no file any more: name {which} beside --resume")


def _check_same_split(request: Request, record: dict[str, Any], resume_path: Path) -> None:
    """Raises CheckpointError for a run whose text was divided by an older rule: its windows would be other ones.

    Its model has seen all but the end of the text. So only the end can show whether it gets better.
    """
    is_named = "valid_part" in record["job"]["config"]
    if not (is_named or request.training.lines or request.valid):
        raise CheckpointError(
            f"{resume_path} is of an older rnngen, which took other text to validate on: "
            f"go on with that one{_or_anew(request, ' --valid-part last')}"
        )


def _check_same(request: Request, record: dict[str, Any], dataset: Dataset) -> None:
    """Raises DataError when the texts are not those that the run started with."""
    hashes = {
        "text": (", ".join(request.paths), dataset.survey.sha256, record.get("text_sha256")),
        "validation text": (str(request.valid), dataset.valid_sha256, record.get("valid_sha256")),
    }
    for name, (where, now, before) in hashes.items():
        if now != before:
            named = f" ({'standard input' if where == '-' else where})" if where else ""
            raise DataError(
                f"the {name}{named} is not the one that the run started with: give that one{_or_anew(request)}"
            )


def _or_anew(request: Request, options: str = "") -> str:
    return f", or start anew with --init-from {request.output}{options} -o NAME" if request.output.exists() else ""


def _open_log(keeper: Keeper) -> EventLog:
    """A new log, or the log of this run without the lines that come again. Raises OutputError."""
    path = keeper.request.log
    if path and path.is_file():
        return EventLog.go_on(path, keeper.run_id, keeper.resumable_step or 0)
    log = EventLog.new(path, force=False)
    write_first_line(log, keeper)
    return log
