"""Two language models over the same tokens as one: linear interpolation, and its weight by EM.

    p(token | before) = (1 - weight) p_model(token | before) + weight p_other(token | before)

Jelinek and Mercer (1980), "Interpolated estimation of Markov source parameters from sparse data". All logarithms are
natural; what the other model is, is not known here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rnngen.engine.scoring import Reader, perplexity

Logprobs = npt.NDArray[np.floating]

TOLERANCE_NATS = 1e-6  # a token, from the best weight there is
MOST_ITERATIONS = 10_000


@dataclass(frozen=True)
class Mixture:
    """What a model is mixed with, and how much of that.

    Attributes:
        weight: of the other model, 0 to 1.
        reader: makes a reader of the other model for the start of a text.
    """

    weight: float
    reader: Callable[[], Reader]


def mix(logprobs: Logprobs, other: Logprobs, weight: float) -> npt.NDArray[np.float64]:
    """log((1 - weight) exp(logprobs) + weight exp(other)), float64.

    Args:
        weight: of `other`, 0 to 1; at the ends the one is left out, whatever it says.
    """
    if weight in (0, 1):
        return np.array(other if weight else logprobs, np.float64)
    mixed: npt.NDArray[np.float64] = np.logaddexp(
        math.log1p(-weight) + np.asarray(logprobs, np.float64), math.log(weight) + other
    )
    return mixed


@dataclass(frozen=True)
class Tuned:
    """The weight that suits a text best.

    Attributes:
        weight: of the other model.
        gap_nats: a token; no weight is better than this one by more.
        perplexity: of the model, of the other one, and of the mixture, on the text.
    """

    weight: float
    n_iterations: int
    gap_nats: float
    perplexity: tuple[float, float, float]


def tune_weight(logprobs: Logprobs, other: Logprobs) -> Tuned:
    """The weight with the highest likelihood, by EM from 1/2.

    The likelihood is concave in the weight, and each iteration raises it. With p the mixture, no weight is better than
    the present one by more than log max(mean(p_model / p), mean(p_other / p)) nats a token (Jensen's inequality);
    where that is `TOLERANCE_NATS` or less, it ends. So the mixture is no worse than the better of the two alone, which
    are the weights 0 and 1.

    Args:
        logprobs: of a text's tokens, at least one.
        other: of the same tokens.
    """
    weight, n_iterations = 0.5, 0
    while True:
        mixed = mix(logprobs, other, weight)
        ratio, other_ratio = np.exp(logprobs - mixed).mean(), np.exp(other - mixed).mean()
        gap_nats = math.log(max(ratio, other_ratio, 1.0))
        if gap_nats <= TOLERANCE_NATS or n_iterations == MOST_ITERATIONS:
            break
        # The E step's posterior of a token is weight * p_other / p; the M step takes the mean.
        weight = min(weight * float(other_ratio), 1.0)
        n_iterations += 1
    return Tuned(weight, n_iterations, gap_nats, (_perplexity(logprobs), _perplexity(other), _perplexity(mixed)))


def _perplexity(logprobs: Logprobs) -> float:
    return perplexity(float(logprobs.sum(dtype=np.float64)), len(logprobs))
