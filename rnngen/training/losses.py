"""The loss of all tokens, and that without the unknown symbol: a model may know no more than how common it is."""

from __future__ import annotations

import math
import statistics
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rnngen.errors import DivergenceError

if TYPE_CHECKING:
    from rnngen.training.plan import Plan

SMOOTHING = 0.98  # of the training loss that events carry
RECENT_STEPS = 9  # that tell how a run ends
WORSE_THAN_A_GUESS = 0.5  # nats a token; before its first step a model is as good as a guess


@dataclass(frozen=True)
class NatsSum:
    """Nats and tokens, of all tokens and of the unknown symbols among them."""

    nats: float = 0.0
    n_tokens: float = 0
    unknown_nats: float = 0.0
    n_unknown: float = 0

    @classmethod
    def of(cls, nats: npt.NDArray[np.floating], targets: npt.NDArray[np.integer], unk_id: int | None) -> NatsSum:
        """The sums over some targets.

        Args:
            nats: of each target, of any shape.
            targets: of the same shape.
            unk_id: None where there is no unknown symbol.
        """
        total = float(nats.sum(dtype=np.float64))
        if unk_id is None:
            return cls(total, nats.size)
        unknown = nats[targets == unk_id]
        return cls(total, nats.size, float(unknown.sum(dtype=np.float64)), unknown.size)

    def plus(self, other: NatsSum, weight: float = 1.0) -> NatsSum:
        """These sums and `weight` times the others."""
        return NatsSum(*(one + weight * two for one, two in zip(self.numbers(), other.numbers(), strict=True)))

    def numbers(self) -> list[float]:
        """All four, in order."""
        return [self.nats, self.n_tokens, self.unknown_nats, self.n_unknown]

    @property
    def loss(self) -> float:
        """Nats a token."""
        return self.nats / self.n_tokens

    @property
    def known_loss(self) -> float | None:
        """Nats a token without the unknown symbols; None where nothing is left.

        >>> found = NatsSum(nats=6.0, n_tokens=4, unknown_nats=1.0, n_unknown=2)
        >>> found.loss, found.known_loss
        (1.5, 2.5)
        """
        if not self.n_unknown:
            return self.loss
        n_known = self.n_tokens - self.n_unknown
        return (self.nats - self.unknown_nats) / n_known if n_known > 0 else None


class RunningLoss:
    """The training loss over the steps.

    Args:
        smooth: where a stopped run goes on.

    Attributes:
        smooth: the sums whose losses are those of all steps so far, each weighted `SMOOTHING` times the next one.
    """

    def __init__(self, smooth: NatsSum | None = None) -> None:
        self.smooth = smooth or NatsSum()
        self._recent: deque[float] = deque(maxlen=RECENT_STEPS)

    def add(self, step: NatsSum) -> None:
        """Take the loss of a step in."""
        self.smooth = NatsSum().plus(self.smooth, SMOOTHING).plus(step, (1 - SMOOTHING) / step.n_tokens)
        self._recent.append(step.loss)

    def check_that_it_learnt(self, plan: Plan) -> None:
        """Refuse a run that is worse than it began. Raises DivergenceError.

        One huge loss, as a ReLU network may have at its start, stays long in `smooth`. So the median of the last steps
        decides.
        """
        loss, size = statistics.median(self._recent or [0.0]), plan.model.vocab_size
        guess = math.log(size)
        if loss > guess + WORSE_THAN_A_GUESS:
            raise DivergenceError(
                f"the run diverged: its training loss is {loss:.5g} nats a token, and a guess among {size:,} "
                f"tokens has {guess:.5g}: train with a lower --lr than {plan.learning_rate:g}, or a lower "
                f"--grad-clip than {plan.grad_clip:g}"
            )
