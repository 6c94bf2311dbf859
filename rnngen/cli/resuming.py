"""`train --resume`: a run that was stopped goes on as if it had not been.

A resume file may be a stranger's. Where to write is not taken from it, but for a log that is known to be the run's own;
and what it says to read must be files that hold what the run began with.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnngen.cli import models
from rnngen.cli.output import Console
from rnngen.cli.train_job import Job
from rnngen.cli.train_log import Log
from rnngen.cli.train_record import Record
from rnngen.cli.train_run import announce, follow, read, say_unlocked
from rnngen.errors import CheckpointError, ConfigError, DataError, OutputError
from rnngen.files import hold

if TYPE_CHECKING:
    from rnngen.training.resume import Resume


def resume(
    name: str,
    paths: list[str] | None,
    valid: Path | None,
    log: Path | None,
    cache_dir: Path | None,
    save_every: float,
    console: Console,
) -> int:
    """Go on with the run of a checkpoint.

    Args:
        paths: where its texts are now; None: where they were.
        valid: the same of its validation text.
        log: a new one; None goes on with the old one.

    Returns:
        The exit code, as of a new run.
    """
    output, resume_path = models.find_resume(name)
    with hold(output, resume_path) as is_locked:
        from rnngen.training.resume import load

        found = load(resume_path)
        try:
            job = Job.from_dict(found.record.get("job"), output)
        except ConfigError as error:
            raise CheckpointError(f"{resume_path} is broken: {error}") from None
        texts = {"paths": paths or job.paths, "valid": valid or job.valid}
        job = replace(job, log=log, cache_dir=cache_dir, save_every=save_every, **texts)  # type: ignore[arg-type]
        if not is_locked:
            say_unlocked(job, console)
        return _go_on(job, found, console)


def _go_on(job: Job, resume: Resume, console: Console) -> int:
    kept, plan = resume.record, resume.plan
    _check_texts(job)
    dataset = read(job, resume.tokenizer)
    found = {"text": dataset.found.sha256, "validation text": dataset.valid_sha256}
    for name, sha256 in zip(found, (kept.get("text_sha256"), kept.get("valid_sha256")), strict=True):
        if found[name] != sha256:
            raise DataError(
                f"the {name} ({', '.join(job.paths) if name == 'text' else job.valid}) is not the one that the run "
                f"began with: give that one, or begin anew with --init-from {job.output}"
            )
    record = Record(job, dataset, plan)
    record.go_on(kept, resume.state)
    announce(dataset, plan, console)
    console.note(f"goes on after step {record.resumable:,}")
    return follow(record, _log_again(job, kept.get("log"), console), console, start=resume.state)


def _check_texts(job: Job) -> None:
    """The texts of a run that goes on must be files, as its resume file may be a stranger's. Raises DataError."""
    paths = [*job.paths, str(job.valid)] if job.valid else job.paths
    for path in paths:
        if path == "-" and (sys.stdin is None or sys.stdin.isatty()):
            raise DataError("the run's text came from standard input: pipe it in again")
        if path != "-" and not os.path.isfile(path):
            which = "its validation text with --valid" if job.valid and path == str(job.valid) else "its text"
            raise DataError(f"{path} is not there, or no file any more: name {which} beside --resume")


def _log_again(job: Job, position: Any, console: Console) -> Log:
    """The log that a person names, else the run's own as far as it can go on."""
    if job.log:
        return Log.new(job.log, force=False)
    try:
        return Log.go_on(position)
    except OutputError as error:
        # Said again at the end: training is worth more than its log.
        console.note(f"{error}; --log names another")
        log = Log.go_on(None)
        log.error = error
        return log
