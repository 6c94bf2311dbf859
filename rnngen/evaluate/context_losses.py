"""How much of the text before a token a model uses: its loss when it sees only the last 1, 2, 4, ... tokens.

Khandelwal, He, Qi and Jurafsky 2018, "Sharp nearby, fuzzy far away: how neural language models use context", section 4.
With a context of n tokens the model starts with a state of zeros and then reads the last n tokens. In training a state
of zeros occurs only at the start of a text, so a short context is less usual for a model than a short text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rnngen import work
from rnngen.checks import check_whole
from rnngen.config import OnUnknown
from rnngen.engine.cells import Array
from rnngen.engine.language_model import Engine, Ids, LanguageModel, State
from rnngen.engine.scoring import perplexity, score_text
from rnngen.errors import DataError
from rnngen.printable import plural
from rnngen.text.ids_on_disk import write_ids
from rnngen.tokenizers.base import Text, Tokenizer
from rnngen.tokenizers.unknowns import emptiness, note

N_PLACES = 5000
ROWS, STEPS = 256, 64  # windows side by side, and tokens of them at a time


@dataclass(frozen=True)
class ContextLoss:
    """The loss with a context of one length.

    Attributes:
        context: tokens that the model sees; None for all of them, with the state carried from the start of the text.
        loss_nats: mean over the places.
        standard_error_nats: of that mean, with the places taken as independent; NaN for one place. The places are the
            same for every context, so differences between contexts are more certain than this error says.
        n_places: tokens that were predicted.
    """

    context: int | None
    loss_nats: float
    standard_error_nats: float
    n_places: int

    @property
    def perplexity(self) -> float:
        """exp(nats a token)."""
        return perplexity(-self.loss_nats, 1)


def context_losses(
    model: LanguageModel, ids: npt.NDArray[np.integer], newline_id: int, longest: int, n_places: int = N_PLACES
) -> list[ContextLoss]:
    """The loss with contexts of 1, 2, 4, ... up to `longest` tokens, and with all, at the same places of a text.

    A place with fewer tokens before it than the context is long sees all of them, and the line break before the text.

    Args:
        ids: [T].
        longest: the last context, 1 or more; it need not be a power of two.
        n_places: how many tokens are predicted at most, evenly spaced, the first token included.

    Raises:
        ConfigError: `longest` or `n_places` is no count.
        DataError: the text is empty.
    """
    check_whole("longest", longest, 1)
    check_whole("n_places", n_places, 1)
    if not len(ids):
        raise DataError("the text is empty: there is nothing to measure")
    count = min(n_places, len(ids))
    places = np.arange(count) * len(ids) // count
    carried = _carried(model, ids, newline_id, places)
    losses = []
    lengths = context_lengths(longest)
    for context in work.follow(lengths, "short contexts", sum(lengths), "", int):
        logprobs = carried.copy()
        far = places >= context  # the others see all tokens, as with the state carried
        logprobs[far] = _with_context(model, ids, places[far], context)
        losses.append(_loss(context, logprobs))
    return [*losses, _loss(None, carried)]


def measure_contexts(
    network: LanguageModel,
    tokenizer: Tokenizer,
    text: Text,
    longest: int,
    *,
    on_unknown: OnUnknown = "unk",
    say: Callable[[str], object] = lambda text: None,
) -> list[ContextLoss]:
    """`context_losses` of a text.

    Args:
        say: is told of unknown symbols, and which tokens are predicted.

    Raises:
        ConfigError: `longest` is no count.
        DataError: the text cannot be read, or has no tokens.
        TokenizerError: an unknown symbol, with `on_unknown` "error".
    """
    tokens = write_ids(text, tokenizer, on_unknown)
    if not len(tokens.ids):
        raise DataError(f"the text {emptiness(tokens.n_unknown)}: there is nothing to measure")
    if unknown := note(tokens.n_unknown, tokens.first_unknown, "the text", on_unknown):
        say(unknown)
    losses = context_losses(network, tokens.ids, tokenizer.newline_id, longest)
    say(
        f"context: {plural(losses[0].n_places, 'token')} of {len(tokens.ids):,} predicted, evenly spaced, the same for "
        "every context; a context starts with a state of zeros, all is the state carried from the start of the text"
    )
    return losses


def context_lengths(longest: int) -> list[int]:
    """1, 2, 4, ... and `longest`."""
    return [*(1 << power for power in range((longest - 1).bit_length())), longest]


def _carried(
    model: LanguageModel, ids: npt.NDArray[np.integer], newline_id: int, places: npt.NDArray[np.int64]
) -> Array:
    found = []
    start = 0
    n_tokens = int(places[-1]) + 1
    windows = score_text(model, ids[:n_tokens], newline_id)
    for logprobs in work.follow(windows, "all of the context", n_tokens, "tokens", len):
        here = places[(places >= start) & (places < start + len(logprobs))] - start
        found.append(logprobs[here])
        start += len(logprobs)
    return np.concatenate(found)


def _with_context(
    model: LanguageModel, ids: npt.NDArray[np.integer], places: npt.NDArray[np.int64], context: int
) -> Array:
    """Log-probabilities of the tokens at `places`, each from the `context` tokens before it: [N]."""
    found = [np.empty(0, np.float32)]
    for some in work.follow(_batches(places), "windows", len(places), "tokens", len):
        windows = np.asarray(ids[some[:, None] + np.arange(-context, 0)], np.int64)  # [B, context]
        targets = np.asarray(ids[some], np.int64)[:, None]
        state = _after(model, windows[:, :-1])
        found.append(model.logprobs(windows[:, -1:], targets, state)[0][:, 0])
    return np.concatenate(found)


def _batches(places: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    for start in range(0, len(places), ROWS):
        yield places[start : start + ROWS]


def _after(model: LanguageModel, ids: Ids) -> State:
    """The state after ids [B, T], from a state of zeros."""
    state = model.initial_state(len(ids))
    # Only the last place is predicted: with a large vocabulary the logits of the others would be most of the work.
    advance = model.outputs if isinstance(model, Engine) else model.forward
    for start in range(0, ids.shape[1], STEPS):
        _, state = advance(ids[:, start : start + STEPS], state)
    return state


def _loss(context: int | None, logprobs: Array) -> ContextLoss:
    count = len(logprobs)
    nats = -logprobs.astype(np.float64)
    error = float(nats.std(ddof=1)) / math.sqrt(count) if count > 1 else math.nan
    return ContextLoss(context, float(nats.mean()), error, count)
