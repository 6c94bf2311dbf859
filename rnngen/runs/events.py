"""What a training run on disk tells, in this order: Started; any number of the others; Ended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnngen.errors import OutputError
from rnngen.training.events import Diverged, Finished, Stepped, Validated

if TYPE_CHECKING:
    from rnngen.text.dataset import Dataset
    from rnngen.training.plan import Plan

__all__ = ["Diverged", "Ended", "Event", "NotSaved", "ResumeSaved", "Started", "Stepped", "Validated"]


@dataclass(frozen=True, kw_only=True)
class Started:
    """The texts are read and encoded, every setting is chosen, and training starts with the next event.

    Attributes:
        output: the checkpoint to write.
        resume_path: the file that a stopped run goes on from.
        resumed_after: the last step of the run before it was stopped; None for a new run.
        go_on: the command that continues the run, should it be stopped.
        best_valid_loss_nats: of the run before it was stopped; infinite for a new run.
        notes: what a person should know, as sentences.
    """

    dataset: Dataset
    plan: Plan
    output: Path
    resume_path: Path
    resumed_after: int | None
    go_on: str
    best_valid_loss_nats: float
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ResumeSaved:
    """The resume file is written: should the run be stopped or killed, it goes on after this step."""

    step: int


@dataclass(frozen=True)
class NotSaved:
    """The best model or the resume file could not be written; training goes on, and it is tried again."""

    error: OutputError


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The best model is saved.

    Attributes:
        output: the checkpoint; None for a run that was stopped before it had a model.
        finished: why and when it ended.
        training: how the model was made, as its checkpoint has it; empty without a model.
        log_error: why the log is not whole; None if it is.
    """

    output: Path | None
    finished: Finished
    training: dict[str, Any]
    log_error: OutputError | None


Event = Started | Stepped | Validated | Diverged | ResumeSaved | NotSaved | Ended
