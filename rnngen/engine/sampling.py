"""From logits to the next token: penalty, temperature, truncation, drawing; and the loop around them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rnngen.config import SampleConfig
from rnngen.engine.cells import Array
from rnngen.engine.language_model import NOT_FINITE, Ids, LanguageModel, State, log_softmax_at, select_rows
from rnngen.errors import CheckpointError

PENALTY_WINDOW = 64  # tokens that a repetition penalty looks back on, as in llama.cpp
_DRAWS_AT_A_TIME = 512
_LARGEST_LOGIT = 1e30
_NEVER = np.array(-np.inf)  # numpy would convert a Python number at every call
_LEAST_TEMPERATURE = 1e-200  # divides the difference of any two float32 without overflow


Scores = npt.NDArray[np.float64]


def penalize(
    scores: Scores, recent: Sequence[npt.NDArray[np.integer]], penalty: float, newline_id: int | None = None
) -> None:
    """Make the recent tokens of each row less likely, in place: divide positive scores, multiply negative ones.

    Source: Keskar et al. 2019 (CTRL), section 4.1.

    Args:
        scores: [B, V], logits.
        recent: for each row its recent ids.
        newline_id: is left as it is. A line break says where a line ends, and repeats no word. Every text starts after
            one that nobody wrote; punished, it made the lines of a model of lines twice as long.
    """
    for row, ids in zip(scores, recent, strict=True):
        seen = np.unique(ids[ids != newline_id])
        before = row[seen]
        penalized = np.where(before > 0, before / penalty, before * penalty)
        # A token that was possible stays possible, however large the penalty is.
        row[seen] = np.where(np.isfinite(before), np.clip(penalized, -_LARGEST_LOGIT, _LARGEST_LOGIT), before)


def odds(scores: Scores, config: SampleConfig) -> Scores:
    """Turn logits into numbers in proportion to the probabilities to draw from, in place.

    Temperature comes first, then top-k, min-p and top-p, each applied to the tokens that the last one kept.

    Tokens that tie with the k-th most likely one are all kept by top-k. top-p keeps the smallest set of the most likely
    tokens whose probability reaches p (Holtzman et al. 2020): with [0.5, 0.3, 0.15, 0.05] and p = 0.7 the first two.
    At temperature 0 the most likely token has all the probability; among equal ones it is the first.

    Args:
        scores: [B, V], logits; -inf where a token must not be drawn.

    Returns:
        `scores`; the largest of a row is 1.

    Raises:
        CheckpointError: a row's largest logit is not finite.
    """
    probs = scores
    largest = _largest(probs)
    if config.temperature == 0:
        most_likely = probs.argmax(axis=-1)
        probs.fill(0)
        probs[np.arange(len(probs)), most_likely] = 1
        return probs
    probs -= largest
    if config.temperature != 1:
        probs /= max(config.temperature, _LEAST_TEMPERATURE)
    np.exp(probs, out=probs)
    if 0 < config.top_k < probs.shape[-1]:
        border = np.partition(probs, -config.top_k, axis=-1)[:, -config.top_k, None]
        probs[probs < border] = 0
    if config.min_p > 0:
        probs[probs < config.min_p * probs.max(axis=-1, keepdims=True)] = 0
    if config.top_p < 1:
        _keep_nucleus(probs, config.top_p)
    return probs


def _largest(scores: Scores) -> Scores | float:
    """The largest score of each row, [B, 1]. A single row takes a third of the time. NaN counts as the largest."""
    largest: Scores | float
    if len(scores) == 1:
        largest = scores.item(scores.argmax())
        is_finite = math.isfinite(largest)
    else:
        largest = np.maximum.reduce(scores, axis=-1, keepdims=True)
        is_finite = bool(np.isfinite(largest).all())
    if not is_finite:
        raise CheckpointError(NOT_FINITE)
    return largest


def _keep_nucleus(probs: Scores, top_p: float) -> None:
    order = np.argsort(-probs, axis=-1, kind="stable")
    ranked = np.take_along_axis(probs, order, axis=-1)
    before = np.cumsum(ranked, axis=-1) - ranked
    ranked[before >= top_p * ranked.sum(axis=-1, keepdims=True)] = 0
    np.put_along_axis(probs, order, ranked, axis=-1)


def draw(probs: Scores, uniforms: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Invert the cumulative distribution: [B, V] and [B] numbers in [0, 1) -> [B] ids, none of probability 0.

    Rows of `probs` may have any sum above 0.
    """
    if len(probs) == 1:  # half the time
        total = np.add.accumulate(probs[0])
        return total.searchsorted(uniforms * total[-1], side="right")  # type: ignore[no-any-return]
    cumulative = np.add.accumulate(probs, axis=-1)
    return np.asarray((cumulative > uniforms[:, None] * cumulative[:, -1:]).argmax(axis=-1), np.int64)


@dataclass(slots=True)
class Drawn:
    """One step of all streams.

    Attributes:
        ids: [B].
        logits: [B, V], of the model itself, before penalty, temperature and truncation.
    """

    ids: npt.NDArray[np.int64]
    logits: Array

    @property
    def logprobs(self) -> Array:
        """Natural log-probabilities of the ids under the model itself: [B]."""
        return log_softmax_at(self.logits[:, None].copy(), self.ids[:, None])[:, 0]


def generate(
    model: LanguageModel,
    context: Ids,
    config: SampleConfig,
    *,
    streams: Sequence[int] = (0,),
    never: Sequence[int] = (),
    newline_id: int | None = None,
    first: Ids | None = None,
    barred: Callable[[], Iterable[Ids]] | None = None,
) -> Iterator[Drawn]:
    """Draw tokens after a context, all streams in step, `config.length` times.

    Every stream has its own random numbers, from `config.seed` and its number. So a sample depends on the number of
    other streams only through the rounding of larger products.

    Args:
        context: the first ids, at least one; the same for all streams.
        streams: the numbers of the streams.
        never: ids that are not drawn.
        newline_id: is not punished by the repetition penalty.
        first: the ids among which the first token is drawn; None for all. Its logits are -inf for the others.
        barred: asked before each of the first `config.min_length` draws for the ids that each stream does not draw.
    """
    B = len(streams)
    uniforms = _Uniforms(config.seed, streams)
    logits, state = read_context(model, np.asarray(context), B)
    if first is not None:
        logits = among(logits, first)
    step = model.stepper(state)
    recent = [np.asarray(context)[-PENALTY_WINDOW:] for _ in streams]
    never_drawn = np.zeros((B, model.config.vocab_size), bool)
    never_drawn[:, list(never)] = True
    for n_drawn in range(config.length):
        scores = logits.astype(np.float64)
        if never:
            np.copyto(scores, _NEVER, where=never_drawn)
        if n_drawn < config.min_length and barred is not None:
            for row, ids in enumerate(barred()):
                scores[row, ids] = _NEVER
        if config.repetition_penalty != 1:
            penalize(scores, recent, config.repetition_penalty, newline_id)
        ids = draw(odds(scores, config), uniforms.next())
        yield Drawn(ids, logits)
        if config.repetition_penalty != 1:
            recent = [np.append(old, id)[-PENALTY_WINDOW:] for old, id in zip(recent, ids, strict=True)]
        logits = step(ids)


def read_context(model: LanguageModel, context: Ids, B: int) -> tuple[Array, State]:
    """The logits [B, V] of the token after a context, and the state there, for B streams that all go on from it.

    Args:
        context: at least one id.
    """
    state = model.initial_state(1)
    for start in range(0, len(context), 256):
        logits, state = model.forward(context[None, start : start + 256], state)
    return np.repeat(logits[:, -1], B, axis=0), select_rows(state, np.zeros(B, np.int64))


def among(logits: Array, ids: Ids) -> Array:
    """The logits [B, V] of a token that is known to be one of some ids: -inf for all others."""
    found = np.full_like(logits, -np.inf)
    found[:, ids] = logits[:, ids]
    return found


class _Uniforms:
    """Vectors [B] of numbers in [0, 1), each row from its own generator."""

    def __init__(self, seed: int, streams: Sequence[int]) -> None:
        self._generators = [np.random.Generator(np.random.PCG64([seed, stream])) for stream in streams]
        self._block = np.empty((len(streams), 0))
        self._used = 0

    def next(self) -> npt.NDArray[np.float64]:
        if self._used == self._block.shape[1]:
            self._block = np.stack([generator.random(_DRAWS_AT_A_TIME) for generator in self._generators])
            self._used = 0
        self._used += 1
        return self._block[:, self._used - 1]
