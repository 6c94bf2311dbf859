"""What the training loop yields; whoever consumes it shows, logs and saves. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rnngen.checkpoint import Weights
    from rnngen.training.losses import NatsSum
    from rnngen.training.run_state import RunState


@dataclass(frozen=True)
class Stepped:
    """One optimizer step was made.

    Attributes:
        step: its number, counted from 1.
        steps: of the whole run; None while a time budget leaves it open.
        train_loss_nats: a token, smoothed over about 50 steps.
        known_train_loss_nats: the same without the unknown symbols; None where nothing is left.
        seconds: since the start.
        n_tokens: trained on since the start.
    """

    step: int
    steps: int | None
    train_loss_nats: float
    known_train_loss_nats: float | None
    learning_rate: float
    seconds: float
    n_tokens: int


@dataclass(frozen=True)
class Validated:
    """The loss over the whole validation text, within 0.0001 of one exact pass (`validate.py`).

    Attributes:
        step: 0 for the counts alone.
        train_loss_nats: None before the first step.
        known_train_loss_nats, known_valid_loss_nats: without the unknown symbols; None where nothing is left.
        weights: a copy, if this is the best so far; else None.
    """

    step: int
    train_loss_nats: float | None
    known_train_loss_nats: float | None
    valid_loss_nats: float
    known_valid_loss_nats: float | None
    seconds: float
    n_tokens: int
    weights: Weights | None


@dataclass(frozen=True)
class Diverged:
    """A loss or gradient was not finite; training went back to an earlier step with half the learning rate."""

    step: int
    back_to: int
    learning_rate: float


@dataclass(frozen=True)
class Resumable:
    """A state from which the run can go on. A consumer must save it before the next event, which changes it."""

    step: int
    state: RunState


@dataclass(frozen=True)
class Finished:
    """The end of the run.

    Attributes:
        reason: "budget", "patience", "stopped", or "overdue": the machine slowed down and the time was far exceeded.
        steps: the length of the schedule: `--steps` with this number repeats a run that ended by budget or patience.
        valid: of the best weights, in one exact pass; None for a run that was stopped or has no best weights.
    """

    step: int
    steps: int
    reason: str
    valid: NatsSum | None
    seconds: float
    n_tokens: int


Event = Stepped | Validated | Diverged | Resumable | Finished
