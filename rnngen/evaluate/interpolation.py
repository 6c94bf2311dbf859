"""Two language models over the same tokens as one: linear interpolation, and its weight by EM.

    p(token | before) = (1 - weight) p_model(token | before) + weight p_other(token | before)

Jelinek and Mercer (1980), "Interpolated estimation of Markov source parameters from sparse data". All logarithms are
natural. The other model may be of any kind.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rnngen import work
from rnngen.engine.scoring import Reader, perplexity

Logprobs = npt.NDArray[np.floating]

TOLERANCE_NATS = 1e-6  # per token, between the weight found and the best one
MOST_ITERATIONS = 10_000


@dataclass(frozen=True)
class Mixture:
    """The other model of a mixture, and its weight.

    Attributes:
        weight: of the other model, 0 to 1.
        reader: makes a reader of the other model that starts a text. Mixtures that share it are read together.
    """

    weight: float
    reader: Callable[[], Reader]


def mix(logprobs: Logprobs, other: Logprobs, weight: float) -> npt.NDArray[np.float64]:
    """log((1 - weight) exp(logprobs) + weight exp(other)), float64.

    Args:
        weight: of `other`, 0 to 1; with 0 or 1 the model without weight is ignored, also where it gives -inf.
    """
    if weight in (0, 1):
        return np.array(other if weight else logprobs, np.float64)
    mixed: npt.NDArray[np.float64] = np.logaddexp(
        math.log1p(-weight) + np.asarray(logprobs, np.float64), math.log(weight) + other
    )
    return mixed


@dataclass(frozen=True)
class Tuned:
    """The weight under which a text is likeliest.

    Attributes:
        weight: of the other model.
        gap_nats: per token; no weight is better than this one by more.
        perplexity: of the text by the model, by the other model, and by the mixture.
    """

    weight: float
    n_iterations: int
    gap_nats: float
    perplexity: tuple[float, float, float]


def tune_weight(logprobs: Logprobs, other: Logprobs) -> Tuned:
    """The weight with the highest likelihood, by EM from 1/2.

    The likelihood is concave in the weight, and each iteration raises it. With p the mixture, no weight is better than
    the present one by more than log max(mean(p_model / p), mean(p_other / p)) nats per token (Jensen's inequality). EM
    ends when that is `TOLERANCE_NATS` or less. So the mixture is no worse than either model alone, which is the mixture
    with weight 0 or 1.

    Args:
        logprobs: of a text's tokens, at least one.
        other: of the same tokens.
    """
    weight, n_iterations = 0.5, 0
    for _ in work.follow(itertools.count(), "EM", None, "iterations"):
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
