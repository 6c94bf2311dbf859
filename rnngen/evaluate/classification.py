"""Which of several models explains a line best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Decisions:
    """For each line, the model under which it is the most likely one.

    Attributes:
        winners: numbers of models, int64 [N]; of equals the first.
        posteriors: of the winners when all models are as likely beforehand, float64 [N], 1/M to 1.
        margins_nats: of the winners over the second best, float64 [N], 0 or more.
    """

    winners: npt.NDArray[np.int64]
    posteriors: npt.NDArray[np.float64]
    margins_nats: npt.NDArray[np.float64]


def decide(logprobs: npt.NDArray[np.floating]) -> Decisions:
    """Bayes' rule with equal priors: p(model | line) = p(line | model) / sum of p(line | any of them).

    Args:
        logprobs: natural, of whole lines, each model's of the same text [M, N]; two models or more.
    """
    exact = np.asarray(logprobs, np.float64)
    second, best = np.partition(exact, -2, axis=0)[-2:]
    # The winner's own term is exp(0): the sum is 1 to M, however unlikely the line is.
    posteriors = 1 / np.exp(exact - best).sum(axis=0)
    return Decisions(exact.argmax(axis=0), posteriors, best - second)
