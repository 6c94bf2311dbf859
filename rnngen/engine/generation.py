"""Samples of a model as text: streamed piece by piece, or many side by side with what is known of each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rnngen.config import SampleConfig
from rnngen.engine.language_model import LanguageModel
from rnngen.engine.sampling import Drawn, generate
from rnngen.text.stop_strings import StopFilter
from rnngen.tokenizers.base import Tokenizer
from rnngen.tokenizers.prompts import Prompt

STREAMS_AT_A_TIME = 64


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A text that was drawn from a model, and how likely it was.

    Attributes:
        text: without the prompt and without the stop string.
        n_tokens: drawn, those of the stop string included.
        logprob_nats: natural log-probability of the drawn tokens under the model itself, whatever temperature and
            truncation drew them; NaN where it was not asked for. After a prompt whose last space belongs to the first
            token, the probability of this one is that among the tokens that start with a space.
        stopped_by: "stop" (a stop string came) or "length".

    >>> import rnngen
    >>> config = rnngen.SampleConfig(temperature=0, stop=("\\n",))
    >>> [sample] = rnngen.load("hello").samples(config, "h")
    >>> sample.text, sample.n_tokens, sample.stopped_by, sample.logprob_nats > -1
    ('ello', 5, 'stop', True)
    """

    text: str
    n_tokens: int
    logprob_nats: float
    stopped_by: str


def stream_text(
    network: LanguageModel, tokenizer: Tokenizer, prompt: Prompt, config: SampleConfig, number: int = 0
) -> Iterator[str]:
    """Draw one sample and give its text as it comes.

    Args:
        prompt: what the sample goes on from.
        number: of the sample. Samples of one seed and different numbers are different; `draw_samples` counts from 0.

    Yields:
        Pieces of text, none empty. A token's text comes as soon as its characters are whole and no stop string can
        start in them.

    Raises:
        CheckpointError: the model's logits are not finite.
    """
    growing = _Growing(prompt, config.stop)
    for drawn in _draws(network, tokenizer, prompt, config, [number]):
        if text := growing.push(int(drawn.ids[0])):
            yield text
        if growing.stopped:
            return
    if text := growing.flush():
        yield text


def draw_samples(
    network: LanguageModel,
    tokenizer: Tokenizer,
    prompt: Prompt,
    config: SampleConfig,
    with_logprobs: bool = True,
) -> Iterator[Sample]:
    """Draw `config.num_samples` samples, up to 64 side by side.

    Args:
        prompt: as in `stream_text`.
        with_logprobs: compute `logprob_nats`; for a large vocabulary that takes 7 % of the time.

    Yields:
        The samples in the order of their numbers.

    Raises:
        CheckpointError: the model's logits are not finite.
    """
    for start in range(0, config.num_samples, STREAMS_AT_A_TIME):
        numbers = range(start, min(config.num_samples, start + STREAMS_AT_A_TIME))
        yield from _draw_together(network, tokenizer, prompt, config, numbers, with_logprobs)


def _draw_together(
    network: LanguageModel,
    tokenizer: Tokenizer,
    prompt: Prompt,
    config: SampleConfig,
    numbers: Sequence[int],
    with_logprobs: bool,
) -> list[Sample]:
    none = [math.nan] * len(numbers)
    samples = [_Growing(prompt, config.stop) for _ in numbers]
    running = list(range(len(samples)))
    for drawn in _draws(network, tokenizer, prompt, config, numbers):
        ids, logprobs = drawn.ids.tolist(), drawn.logprobs.tolist() if with_logprobs else none
        for row in running:
            samples[row].push(ids[row])
            samples[row].logprob_nats += logprobs[row]
        running = [row for row in running if not samples[row].stopped]
        if not running:
            break
    return [sample.finish() for sample in samples]


def _draws(
    network: LanguageModel, tokenizer: Tokenizer, prompt: Prompt, config: SampleConfig, numbers: Sequence[int]
) -> Iterator[Drawn]:
    context = np.array([tokenizer.newline_id, *prompt.ids])
    never, first = tokenizer.never_drawn, prompt.first_ids
    return generate(network, context, config, streams=numbers, never=never, first=first)


class _Growing:
    """A sample while its tokens are drawn."""

    def __init__(self, prompt: Prompt, stop: Sequence[str]) -> None:
        self._decoder = prompt.decoder()
        self._owed = prompt.owed  # stands at the end of the prompt already
        self._filter = StopFilter(stop)
        self._pieces: list[str] = []
        self._n_tokens = 0
        self.logprob_nats = 0.0

    @property
    def stopped(self) -> bool:
        return self._filter.stopped

    def push(self, id: int) -> str:
        """Take the next token. Returns the text that is now sure to be part of the sample."""
        self._n_tokens += 1
        text = self._decoder.push(id).removeprefix(self._owed)
        self._owed = ""
        return self._keep(self._filter.push(text))

    def flush(self) -> str:
        """The text that was held back, at the end. What the decoder still holds is no whole character."""
        return self._keep(self._filter.flush())

    def finish(self) -> Sample:
        self.flush()
        return Sample(
            text="".join(self._pieces),
            n_tokens=self._n_tokens,
            logprob_nats=self.logprob_nats,
            stopped_by="stop" if self.stopped else "length",
        )

    def _keep(self, text: str) -> str:
        self._pieces.append(text)
        return text
