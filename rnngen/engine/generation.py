"""Samples of a model as text: streamed piece by piece, or many side by side with what is known of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rnngen.config import SampleConfig
from rnngen.engine.language_model import Ids, LanguageModel
from rnngen.engine.sampling import Drawn, generate
from rnngen.errors import ConfigError, DataError
from rnngen.text.stop_strings import StopFilter
from rnngen.text.text_set import TextSet
from rnngen.tokenizers.base import Tokenizer
from rnngen.tokenizers.prompts import Prompt

STREAMS_AT_A_TIME = 64
MOST_IN_VAIN = 10_000  # samples in a row of which none was wanted


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A text that was drawn from a model, and how likely it was.

    Attributes:
        text: without the prompt, and without the stop string unless that was to be kept.
        n_tokens: drawn, those of the stop string included.
        logprob_nats: natural log-probability of the drawn tokens under the model itself, whatever temperature,
            truncation and least length drew them; NaN where it was not asked for. After a prompt whose last space
            belongs to the first token, the probability of this one is that among the tokens that start with a space.
        stopped_by: "stop" (a stop string came) or "length".
        stop: the stop string that came; None where none did.

    >>> import rnngen
    >>> config = rnngen.SampleConfig(temperature=0, stop=("\\n",))
    >>> [sample] = rnngen.load("hello").samples(config, "h")
    >>> sample.text, sample.n_tokens, sample.stopped_by, sample.stop, sample.logprob_nats > -1
    ('ello', 5, 'stop', '\\n', True)
    """

    text: str
    n_tokens: int
    logprob_nats: float
    stopped_by: str
    stop: str | None


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
        ConfigError: every token would complete a stop string, and `config.min_length` allows none.
    """
    source = _Source(network, tokenizer, prompt, config)
    [growing] = source.start(1)
    for drawn in source.draws([growing], [number]):
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
    is_new: Callable[[Sample], bool] | None = None,
) -> Iterator[Sample]:
    """Draw `config.num_samples` samples, up to 64 side by side; without end if that is 0.

    Args:
        prompt: as in `stream_text`.
        with_logprobs: compute `logprob_nats`; for a large vocabulary that takes 7 % of the time.
        is_new: is asked for each sample, in the order of their numbers. Those that are not new are left out and do not
            count.

    Yields:
        The samples in the order of their numbers.

    Raises:
        CheckpointError: the model's logits are not finite.
        ConfigError: as in `stream_text`.
        DataError: 10,000 samples in a row are not new; at temperature 0, where all are the same, one is not.
    """
    source = _Source(network, tokenizer, prompt, config)
    first = n_given = in_vain = 0
    while missing := (config.num_samples or math.inf) - n_given:
        numbers = range(first, first + int(min(STREAMS_AT_A_TIME, missing + in_vain)))
        for sample in _draw_together(source, numbers, with_logprobs):
            if is_new is None or is_new(sample):
                yield sample
                n_given, in_vain = n_given + 1, 0
                if n_given == config.num_samples:
                    return
            else:
                in_vain += 1
                if in_vain == MOST_IN_VAIN or not config.temperature:
                    raise DataError(_nothing_new(config, n_given))
        first = numbers.stop


def _nothing_new(config: SampleConfig, n_given: int) -> str:
    where = f"among the last {MOST_IN_VAIN:,}" if config.temperature else "at --temp 0, where all are the same"
    asked, remedy = (f" of {config.num_samples:,}", ", or lower -n") if config.num_samples else ("", "")
    return f"no new sample {where}, after {n_given:,}{asked}: raise --temp{remedy}"


class Newness:
    """Tells the samples that are new from those that were met before.

    Compared is what a reader sees as a line: the last line of the prompt and the text after it, without a stop string
    or a line break at its end.

    Args:
        prompt: of all samples.
        unique: a sample that was new is not new when it comes again.
        known: lines that are not new, with or without their line breaks.

    Raises:
        ConfigError: `known` is one string, whose characters would be the lines.
    """

    def __init__(self, prompt: str, unique: bool, known: Iterable[str] = ()) -> None:
        if isinstance(known, str):
            raise ConfigError("not_in is one string: give a list of lines")
        self._before = prompt.rpartition("\n")[2]
        self._unique = unique
        self._known = TextSet(line.removesuffix("\n") for line in known)

    def is_new(self, sample: Sample) -> bool:
        """Whether a sample was not met before."""
        text = self._before + sample.text.removesuffix(sample.stop or "").removesuffix("\n")
        if text in self._known:
            return False
        if self._unique:
            self._known.add(text)
        return True


def _draw_together(source: _Source, numbers: Sequence[int], with_logprobs: bool) -> list[Sample]:
    none = [math.nan] * len(numbers)
    samples = source.start(len(numbers))
    running = list(range(len(samples)))
    for drawn in source.draws(samples, numbers):
        ids, logprobs = drawn.ids.tolist(), drawn.logprobs.tolist() if with_logprobs else none
        for row in running:
            samples[row].push(ids[row])
            samples[row].logprob_nats += logprobs[row]
        running = [row for row in running if not samples[row].stopped]
        if not running:
            break
    return [sample.finish() for sample in samples]


class _Source:
    """A model after a prompt, ready to draw samples."""

    def __init__(self, network: LanguageModel, tokenizer: Tokenizer, prompt: Prompt, config: SampleConfig) -> None:
        self._network, self._tokenizer, self._prompt, self._config = network, tokenizer, prompt, config
        self._drawn = set(range(tokenizer.vocab_size)).difference(tokenizer.never_drawn)
        self._ending: dict[Hashable, Ids] = {}

    def start(self, n: int) -> list[_Growing]:
        """So many samples without any token."""
        return [_Growing(self._prompt, self._config) for _ in range(n)]

    def draws(self, samples: Sequence[_Growing], numbers: Sequence[int]) -> Iterator[Drawn]:
        """The tokens of samples. The samples take them in before the next are asked for."""
        return generate(
            self._network,
            np.array([self._tokenizer.newline_id, *self._prompt.ids]),
            self._config,
            streams=numbers,
            never=self._tokenizer.never_drawn,
            newline_id=self._tokenizer.newline_id,
            first=self._prompt.first_ids,
            barred=lambda: map(self._ids_that_end, samples),
        )

    def _ids_that_end(self, sample: _Growing) -> Ids:
        """The ids that would complete a stop string. All ids are tried once for each state of a sample."""
        state = sample.state
        if state not in self._ending:
            first = self._prompt.first_ids if sample.owed else None
            drawn = self._drawn if first is None else set(first.tolist())
            ids = set(filter(sample.would_end_with, drawn))
            if ids == drawn:
                raise ConfigError(
                    f"min_length is {self._config.min_length}, and every token completes a stop string: lower it"
                )
            self._ending[state] = np.array(sorted(ids), np.int64)
        return self._ending[state]


class _Growing:
    """A sample while its tokens are drawn."""

    def __init__(self, prompt: Prompt, config: SampleConfig) -> None:
        self._decoder = prompt.decoder()
        self.owed = prompt.owed  # stands at the end of the prompt already
        self._filter = StopFilter(config.stop, config.keep_stop)
        self._pieces: list[str] = []
        self._n_tokens = 0
        self.logprob_nats = 0.0

    @property
    def stopped(self) -> bool:
        return self._filter.found is not None

    @property
    def state(self) -> Hashable:
        """All that decides which tokens would end the sample."""
        return self._decoder.state, self.owed, self._filter.held

    def would_end_with(self, id: int) -> bool:
        """Whether a token would complete a stop string."""
        return self._filter.would_end(self._decoder.peek(id).removeprefix(self.owed))

    def push(self, id: int) -> str:
        """Take the next token. Returns the text that is now sure to be part of the sample."""
        self._n_tokens += 1
        text = self._decoder.push(id).removeprefix(self.owed)
        self.owed = ""
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
            stop=self._filter.found,
        )

    def _keep(self, text: str) -> str:
        self._pieces.append(text)
        return text
