"""What a run trains for: the network, its examples, and how good it is. The loop knows no more of it than this."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from rnngen.checkpoint import Weights
from rnngen.training.losses import NatsSum

Network = nn.Module
State = tuple[Tensor, ...]
# The mean loss in nats over the targets that count, []; that of each, [T, B], without gradients; the state after.
Loss = tuple[Tensor, Tensor, State]


class Example(Protocol):
    """One step's data, whatever its input is.

    Attributes:
        targets: [T, B], int64; IGNORED where there is nothing to predict.
        fresh: [B], bool: rows whose state starts from zeros.
    """

    @property
    def targets(self) -> npt.NDArray[np.int64]: ...

    @property
    def fresh(self) -> npt.NDArray[np.bool_]: ...

    @property
    def n_tokens(self) -> int:
        """How many targets count."""


class Task(Protocol):
    """What a run trains for.

    Attributes:
        unk_id: the unknown symbol among the targets; None where none is unknown.
    """

    @property
    def network(self) -> Network: ...

    @property
    def unk_id(self) -> int | None: ...

    def initial_state(self, batch_size: int) -> State:
        """The recurrent state before any text: arrays whose axis 1 is the batch."""

    def windows(self, generator: np.random.Generator, skip: int) -> Iterator[Example]:
        """The examples, without end.

        Args:
            skip: number of windows to leave out at the start, because an earlier run has used them.
        """

    def loss(self, window: Any, state: State) -> Loss:
        """The loss of a training step on one of the examples."""

    def first_model(self) -> NatsSum | None:
        """Make the best model before any training, and measure it; None where there is none worth keeping."""

    def validate(self) -> NatsSum:
        """Make the network ready for use, and measure it on the validation text."""

    def weights(self) -> Weights:
        """A copy of what a checkpoint has of it."""

    def exact(self, weights: Weights) -> NatsSum:
        """The measure of such a copy, once and exactly."""

    def exact_seconds(self) -> float:
        """About how long `exact` will take."""
