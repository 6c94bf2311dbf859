"""`train --resume`: a run that was stopped goes on as if it had not been.

A resume file may be a stranger's. Where to write is not taken from it, but for a log that is known to be the run's own;
and what it says to read must be files that hold what the run began with.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnngen import models
from rnngen.cli.output import Console
from rnngen.errors import CheckpointError, ConfigError, DataError, OutputError
from rnngen.runs.event_log import Log
from rnngen.runs.keeper import Record
from rnngen.runs.request import Job
from rnngen.runs.run import announce, follow, read, say_unlocked
from rnngen.storage.files import check_writable, hold
from rnngen.text.dataset import Dataset

if TYPE_CHECKING:
    from rnngen.runs.resume_file import Resume


def resume(
    name: str,
    paths: list[str] | None,
    valid: Path | None,
    log: Path | None,
    cache_dir: Path | None,
    save_every: float | None,
    console: Console,
) -> int:
    """Go on with the run of a checkpoint.

    Args:
        paths: where its texts are now; None: where they were.
        valid: the same of its validation text.
        log: a new one, or the old one; None goes on with the old one, if there was one.
        cache_dir: None for the one that the run had, if that is still there.
        save_every: None for that of the run.

    Returns:
        The exit code, as of a new run.
    """
    output, resume_path = models.find_resume(name)
    with hold(output, resume_path) as is_locked:
        from rnngen.runs.resume_file import load
        from rnngen.training.network import check_device

        found = load(resume_path)
        try:
            job = Job.from_dict(found.record.get("job"), output)
        except ConfigError as error:
            raise CheckpointError(f"{resume_path} is broken: {error}") from None
        if valid and not job.valid:
            raise ConfigError("the run has no validation text of its own: leave out --valid")
        _check_texts(job.paths if paths is None else [], job.valid if valid is None else None)
        check_device(found.plan.device)
        job = replace(
            job, paths=paths or job.paths, valid=valid or job.valid, log=log,
            cache_dir=cache_dir or job.cache_dir, save_every=save_every or job.save_every,
        )  # fmt: skip
        if not is_locked:
            say_unlocked(job, console)
        return _go_on(job, found, console)


def _go_on(job: Job, resume: Resume, console: Console) -> int:
    kept, plan = resume.record, resume.plan
    log = _log_again(job, kept.get("log"), console)
    dataset = read(job, resume.tokenizer)
    _check_same(job, kept, dataset)
    record = Record(job, dataset, plan)
    record.go_on(kept, resume.state)
    if not record.saved:
        check_writable(
            job.output, force=job.force, remedy="it is none of this run's; move it away, and the run can go on"
        )
    announce(dataset, plan, console)
    if kept.get("torch_version") != version("torch"):
        console.note(
            f"this is torch {version('torch')}, not the one of the run's begin: its weights may differ a little"
        )
    console.note(f"goes on after step {record.resumable:,}")
    return follow(record, log, console, start=resume.state)


def _check_texts(paths: list[str], valid: Path | None) -> None:
    """What a resume file says to read must be files: it may be a stranger's. Raises DataError."""
    for path in [*paths, str(valid)] if valid else paths:
        if path == "-" and (sys.stdin is None or sys.stdin.isatty()):
            raise DataError("the run's text came from standard input: pipe it in again")
        if path != "-" and not os.path.isfile(path):
            which = "its validation text with --valid" if path == str(valid) else "its text"
            raise DataError(f"{path} is not there, or no file any more: name {which} beside --resume")


def _check_same(job: Job, kept: dict[str, Any], dataset: Dataset) -> None:
    """Raises DataError when the texts are not those that the run began with."""
    found = {
        "text": (", ".join(job.paths), dataset.found.sha256, kept.get("text_sha256")),
        "validation text": (str(job.valid), dataset.valid_sha256, kept.get("valid_sha256")),
    }
    for name, (places, now, before) in found.items():
        if now != before:
            anew = f", or begin anew with --init-from {job.output}" if job.output.exists() else ""
            raise DataError(f"the {name} ({places}) is not the one that the run began with: give that one{anew}")


def _log_again(job: Job, position: Any, console: Console) -> Log:
    """The log that a person names, else the run's own as far as it can go on."""
    is_own = isinstance(position, dict) and job.log is not None and position.get("path") == os.path.abspath(job.log)
    if job.log and not is_own:
        check_writable(job.log, force=False, stream=True, remedy="name another")
        return Log.new(job.log, force=False)
    try:
        return Log.go_on(position)
    except OutputError as error:
        if job.log:
            raise
        # Said again at the end: training is worth more than its log.
        console.note(f"{error}; --log names another")
        log = Log.go_on(None)
        log.error = error
        return log
