"""The losses of a run, as its checkpoint keeps them: one record for a validation, some for steps between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnngen.training.events import Stepped, Validated

TRAINING_LOSSES = 8  # kept between two validations
MOST_RECORDS = 2048
MEASURED = ("step", "train_loss_nats", "known_train_loss_nats", "seconds", "n_tokens")
VALID = ("valid_loss_nats", "known_valid_loss_nats")


class History:
    """Records of losses in the order of the run; every second one is dropped when there are too many.

    Attributes:
        records: `step`, `seconds`, `n_tokens`, `train_loss_nats` (None at step 0), `known_train_loss_nats` without the
            unknown symbols, and `valid_loss_nats` and `known_valid_loss_nats`, both None where there was no validation.
    """

    def __init__(self, validate_every: int, records: list[dict[str, Any]] | None = None) -> None:
        self.records = records or []
        self._every = max(1, validate_every // TRAINING_LOSSES)

    def add_step(self, event: Stepped) -> None:
        """Keep a training loss now and then."""
        if event.step % self._every == 0:
            self._add(measurement(event) | dict.fromkeys(VALID))

    def add_validation(self, event: Validated) -> None:
        """Keep a validation loss, in place of the training loss of the same step."""
        if self.records and self.records[-1]["step"] == event.step:
            self.records.pop()
        self._add(validation(event))

    def forget_after(self, step: int) -> None:
        """Remove what a run that went back to `step` makes anew."""
        self.records = [record for record in self.records if record["step"] <= step]

    def _add(self, record: dict[str, Any]) -> None:
        self.records.append(record)
        if len(self.records) > MOST_RECORDS:
            self.records = self.records[::2]


def measurement(event: Stepped | Validated) -> dict[str, Any]:
    """What the history and the log keep of an event."""
    return {
        "step": event.step,
        "seconds": round(event.seconds, 3),
        "n_tokens": event.n_tokens,
        "train_loss_nats": event.train_loss_nats,
        "known_train_loss_nats": event.known_train_loss_nats,
    }


def validation(event: Validated) -> dict[str, Any]:
    """What the history and the log keep of a validation."""
    return measurement(event) | {name: getattr(event, name) for name in VALID}


def is_measurement(value: object) -> bool:
    """Whether a record of unknown origin has the names and types of `measurement`."""
    match value:
        case {
            "step": int(), "train_loss_nats": float() | None, "known_train_loss_nats": float() | None,
            "seconds": float(), "n_tokens": int(),
        }:  # fmt: skip
            return True
    return False
