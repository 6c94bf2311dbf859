"""What a new run would throw away. Without `force` it is refused, and a run that can go on is named first."""

from __future__ import annotations

import contextlib
from pathlib import Path

from rnngen import checkpoint
from rnngen.errors import CheckpointError, ConfigError, DataError, OutputError
from rnngen.printable import decimal
from rnngen.runs.event_log import is_log_of
from rnngen.runs.repeat import resume_line
from rnngen.runs.request import Request
from rnngen.runs.resume_file import StoppedAt, stopped_at
from rnngen.storage.atomic import check_writable


def check_nothing_is_lost(request: Request) -> str:
    """Refuse to overwrite files without `force`.

    Returns:
        What a run with `force` throws away, as a sentence; empty for nothing.

    Raises:
        OutputError: a file exists already, or cannot be written.
    """
    output, log, resume_path = request.output, request.log, request.resume_path
    stopped, model = stopped_at(resume_path), _model(output)
    unfinished = _run(stopped, resume_path) if stopped else _file(resume_path)
    old_log = f"the log {log}" if log and log.is_file() else None
    losses = ", ".join(phrase for phrase in (unfinished, model, old_log) if phrase)
    if stopped and not request.force:
        raise OutputError(
            f"{output} is of a run that was stopped and can go on: {_go_on(request, stopped)}; or name another model "
            f"with --output; --force throws away {losses}"
        )
    named = f"name another with --output; --force throws away {losses}" if model else "name another with --output"
    check_writable(output, force=request.force, remedy=named)
    if log:
        check_writable(log, force=request.force, stream=True)
    if resume_path.exists():
        check_writable(resume_path, force=request.force)
    return f"--force throws away {losses}" if losses else ""


def _go_on(request: Request, stopped: StoppedAt) -> str:
    paths: tuple[str, ...] = ()
    valid = None
    with contextlib.suppress(ConfigError, DataError):  # a string in Python, which is no part of a command
        before = Request.from_dict(stopped.job, output=request.output)
        paths, valid = before.paths, before.valid
    is_own_log = request.log is not None and is_log_of(request.log, stopped.run_id)
    return resume_line(request.output, paths, valid, request.log if is_own_log else None)


def _run(stopped: StoppedAt, path: Path) -> str:
    of = f" of {stopped.steps:,}" if stopped.steps else ""
    return f"the run {path} (stopped after step {stopped.step:,}{of})"


def _file(path: Path) -> str | None:
    return f"the file {path}" if path.is_file() else None


def _model(path: Path) -> str | None:
    """A checkpoint as a phrase; None where there is none."""
    try:
        loss = checkpoint.load_training(path).get("valid_loss_nats")
    except CheckpointError:
        return _file(path)
    shown = f" (validation loss {decimal(loss)} nats a token)" if isinstance(loss, float) else ""
    return f"the model {path}{shown}"
