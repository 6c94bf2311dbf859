"""A trained model: loading one, and everything that it can do. On the processor it needs no torch."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnngen.checks import check_choice
from rnngen.config import ENCODING, Device, ModelConfig, OnUnknown, SampleConfig, ScoreState
from rnngen.runners import make_runner
from rnngen.storage.atomic import check_writable
from rnngen.storage.checkpoint_paths import find, path_of

if TYPE_CHECKING:
    from rnngen.checkpoint import Checkpoint
    from rnngen.engine.generation import Sample
    from rnngen.engine.language_model import LanguageModel
    from rnngen.engine.model_layers import Layers
    from rnngen.engine.runner import Runner
    from rnngen.engine.stepping import Distribution, Stepper
    from rnngen.evaluate.measures import Measured
    from rnngen.evaluate.scored_lines import Boundaries, ScoredLine
    from rnngen.text.sources import Paths
    from rnngen.tokenizers.base import Ids, Tokenizer
    from rnngen.tokenizers.prompts import Prompt


@dataclass(frozen=True, eq=False)  # two models are never compared weight by weight
class Model:
    """A trained model that is ready to use. `rnngen.load` and `rnngen.train` make one.

    Attributes:
        path: of its checkpoint; None for a model that is in memory only.
        runner: the network, ready to compute.

    >>> import rnngen
    >>> model = rnngen.load("hello")
    >>> model.config.hidden_size, model.tokenizer.level, model.training["steps"]
    (24, 'char', 80)
    """

    path: Path | None
    checkpoint: Checkpoint = field(repr=False)  # thousands of numbers
    runner: Runner = field(repr=False)

    @property
    def network(self) -> LanguageModel:
        """Ids to log-probabilities of what comes next. Raises ConfigError: the model is bidirectional."""
        from rnngen.engine.runner import from_the_left

        return from_the_left(self.runner, self.path or "the model")

    @property
    def tokenizer(self) -> Tokenizer:
        """Text to ids and back."""
        return self.checkpoint.tokenizer

    @property
    def config(self) -> ModelConfig:
        """The sizes of the network."""
        return self.checkpoint.config

    @property
    def training(self) -> dict[str, Any]:
        """How the model was made: texts, settings, losses in nats a token."""
        return self.checkpoint.training

    @property
    def state(self) -> ScoreState:
        """What becomes of the hidden state at a line end in training: "reset" with `lines`, else "carry"."""
        return "reset" if self.training.get("lines") else "carry"

    def encode(self, text: str) -> Ids:
        """The ids of a text, int32, [n]; the unknown symbol stands for what the vocabulary lacks.

        >>> import rnngen
        >>> rnngen.load("hello").encode("hello").tolist()
        [3, 2, 4, 4, 5]
        """
        return self.tokenizer.encode(text)

    def decode(self, ids: Sequence[int] | Ids) -> str:
        """The text of ids. Raises DataError: the model does not have one of them.

        >>> import rnngen
        >>> rnngen.load("hello").decode([3, 2, 4, 4, 5])
        'hello'
        """
        from rnngen.text.tokens import decode_ids

        return decode_ids(self.tokenizer, [int(id) for id in ids])

    def sample(
        self,
        prompt: str = "",
        *,
        temperature: float = SampleConfig.temperature,
        top_k: int = SampleConfig.top_k,
        top_p: float = SampleConfig.top_p,
        min_p: float = SampleConfig.min_p,
        repetition_penalty: float = SampleConfig.repetition_penalty,
        length: int = SampleConfig.length,
        stop: Sequence[str] = (),
        seed: int | None = None,
        on_unknown: OnUnknown = "error",
    ) -> Iterator[str]:
        """Draw a text, and give it as it comes, in pieces of which none is empty.

        Args:
            prompt: the text before it, which is not repeated. A space at its end is the one before the next word.
            temperature: divides the logits; 0 takes the most likely token.
            top_k: only the k most likely tokens; 0 is all.
            top_p: only the most likely tokens that together reach this probability; 1 is all.
            min_p: only tokens at least this fraction as likely as the likeliest; 0 is all.
            repetition_penalty: above 1 makes the words or subwords of the last 64 less likely.
            length: new tokens at most.
            stop: the text ends before any of these strings. A model of lines ends it at the line break too.
            seed: the same seed gives the same text; None takes a random one.
            on_unknown: unknown symbols of the prompt are an "error", the unknown symbol ("unk"), or left out ("skip").

        Raises:
            ConfigError: a setting is out of its range.
            TokenizerError: the prompt has an unknown symbol and `on_unknown` is "error".
            CheckpointError: the model's logits are not finite.

        >>> import rnngen
        >>> "".join(rnngen.load("hello").sample("h", temperature=0, stop=["\\n"]))
        'ello'
        """
        from rnngen.engine.generation import stream_text

        stops = (stop,) if isinstance(stop, str) else tuple(stop)
        config = SampleConfig(
            temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, repetition_penalty=repetition_penalty,
            length=length, stop=stops, seed=secrets.randbits(32) if seed is None else seed,
        )  # fmt: skip
        return stream_text(self.network, self.tokenizer, self._prompt(prompt, on_unknown), self.ending_lines(config))

    def samples(
        self,
        config: SampleConfig = SampleConfig(),
        prompt: str = "",
        on_unknown: OnUnknown = "error",
        *,
        unique: bool = False,
        not_in: Iterable[str] = (),
    ) -> Iterator[Sample]:
        """Draw several texts side by side, and tell how likely each was.

        Args:
            config: how to draw, how many (`num_samples`; 0 is without end), and the seed.
            prompt: the text before each of them.
            on_unknown: as in `sample`, as are the errors.
            unique: leave out a text that has come before. 8 bytes of each are kept.
            not_in: lines, such as those of the training text. A sample is left out if it is one of them: the last line
                of the prompt with the text, without a stop string or a line break at its end. 8 bytes of each are kept.

        Yields:
            Samples in order: text, n_tokens, logprob_nats, stopped_by, stop.

        Raises:
            DataError: with `unique` or `not_in`, 10,000 samples in a row were left out.

        >>> import rnngen
        >>> config = rnngen.SampleConfig(temperature=0, length=4, num_samples=2)
        >>> [sample.text for sample in rnngen.load("hello").samples(config, "h")]
        ['ello', 'ello']
        """
        from rnngen.engine.generation import Newness, draw_samples

        ids, config = self._prompt(prompt, on_unknown), self.ending_lines(config)
        is_new = Newness(prompt, unique, not_in).is_new if unique or not_in else None
        return draw_samples(self.network, self.tokenizer, ids, config, is_new=is_new)

    def next(self, prompt: str = "", on_unknown: OnUnknown = "error") -> Distribution:
        """The probabilities of the token after a prompt.

        Args:
            prompt: stands after a line break. A space at its end is the start of the token, as in `sample`.
            on_unknown: as in `sample`, as are the errors.

        >>> import rnngen
        >>> rnngen.load("hello").next("he").most_likely(1)[0][0]
        'l'
        """
        from rnngen.engine.stepping import Symbols, next_token

        read, symbols = self._prompt(prompt, on_unknown), Symbols(self.tokenizer)
        return next_token(self.network, symbols, [self.tokenizer.newline_id, *read.ids], read.first_ids)

    def ending_lines(self, config: SampleConfig) -> SampleConfig:
        """The settings with the line break as one more stop string, for a model of separate lines.

        >>> import rnngen
        >>> rnngen.load("hello").ending_lines(rnngen.SampleConfig(stop=("x",))).stop  # trained on one text
        ('x',)
        """
        return replace(config, stop=(*config.stop, "\n")) if self.state == "reset" else config

    def _prompt(self, text: str, on_unknown: OnUnknown) -> Prompt:
        from rnngen.tokenizers.prompts import encode_prompt

        return encode_prompt(self.tokenizer, text, on_unknown)

    def start(self) -> Stepper:
        """The model before it has read anything; it reads a symbol a step and says what may come next.

        >>> import rnngen
        >>> rnngen.load("hello").start().step("h").most_likely(1)[0][0]
        'e'
        """
        from rnngen.engine.stepping import Stepper, Symbols

        return Stepper(self.network, Symbols(self.tokenizer))

    def layers(self) -> Layers:
        """New layers with the weights of the model, each to be stepped by hand: embedding, recurrent, output.

        >>> import rnngen
        >>> layers = rnngen.load("hello").layers()
        >>> layers.recurrent[0].step(layers.embedding.step(3)).shape
        (24,)
        """
        from rnngen.engine.model_layers import Layers

        return Layers.of(self.config, self.checkpoint.weights)

    def score(
        self, lines: Iterable[str], *, boundaries: Boundaries | None = None, on_unknown: OnUnknown = "unk"
    ) -> Iterator[ScoredLine]:
        """How likely each line is, in order.

        Args:
            lines: with or without the line breaks that end them.
            boundaries: where a line starts and ends, and what it continues; None: by itself, with its line break.
            on_unknown: what becomes of symbols that the model does not know, as in `sample`.

        Yields:
            Scored lines: `text`, `logprobs` (natural, one a token), `totals`, `tokens()`, `words()`.

        Raises:
            ConfigError: `lines` is one string.
            DataError: a line has a line break inside, or a NUL.
            TokenizerError: a symbol is unknown and `on_unknown` is "error".
            CheckpointError: the model's logits are not finite.

        >>> import rnngen
        >>> good, bad = rnngen.load("hello").score(["hello", "ollhe"])
        >>> good.totals.n_tokens, good.totals.logprob_nats > bad.totals.logprob_nats
        (6, True)
        """
        from rnngen.evaluate.scored_lines import Boundaries, score_in_blocks
        from rnngen.text.sources import blocks_of_lines

        blocks = blocks_of_lines(lines)
        scored = score_in_blocks(self.runner, self.tokenizer, blocks, on_unknown, boundaries or Boundaries())
        return chain.from_iterable(scored)

    def measure(
        self,
        paths: Paths | None = None,
        *,
        text: str | None = None,
        state: ScoreState | None = None,
        on_unknown: OnUnknown = "unk",
        encoding: str = ENCODING,
    ) -> Measured:
        """How well the model predicts a text.

        Args:
            paths: one file or several, one after another.
            text: the text itself, in place of files.
            state: "carry" carries it through the text, "reset" scores each line by itself; None is as in training.
            on_unknown: what becomes of symbols that the model does not know, as in `sample`.
            encoding: of the files.

        Returns:
            `estimate("perplexity")` has the value and its standard error; so have the other measures.

        Raises:
            ConfigError: neither files nor a text are given, or both.
            DataError: a file cannot be read, or there is nothing to measure.
            TokenizerError: a symbol is unknown and `on_unknown` is "error".

        >>> import rnngen
        >>> 1 < rnngen.load("hello").measure(text="hello\\nhello\\n").estimate("perplexity").value < 2
        True
        """
        from rnngen.evaluate.predictors import measure_text
        from rnngen.text.sources import open_text

        opened, state = open_text(paths, text, encoding), self.state if state is None else state
        return measure_text(self.runner, self.tokenizer, opened, state=state, on_unknown=on_unknown)

    def save(self, path: str | os.PathLike[str], *, replace: bool = False) -> Path:
        """Write the checkpoint, whole or not at all, and return its path.

        Args:
            path: a path, or a name in ./checkpoints.
            replace: a file of this name may be overwritten.

        Raises:
            OutputError: the file exists, or cannot be written.

        >>> import rnngen
        >>> rnngen.load("hello").save("copy").as_posix()
        'checkpoints/copy.safetensors'
        """
        from rnngen import checkpoint

        place = path_of(os.fspath(path))
        check_writable(place, force=replace, remedy="give replace=True, or name another file")
        checkpoint.save(self.checkpoint, place, replace=replace)
        return place


def load(
    name: str | os.PathLike[str] | None = None,
    *,
    device: Device = "cpu",
    max_order: int | None = None,
    say: Callable[[str], object] = lambda text: None,
) -> Model:
    """Find a checkpoint and make its model ready. On the processor it needs no torch.

    Args:
        name: a path, or a name in ./checkpoints; None for $RNNGEN_MODEL, or else the newest in ./checkpoints.
        device: where the model runs; "cuda" needs torch.
        max_order: longer n-grams are not used; None uses all.
        say: is told which checkpoint was taken.

    Raises:
        CheckpointError: there is none, or it is broken.
        ConfigError: the device is not there, or there are no n-grams for `max_order`.

    >>> import rnngen
    >>> rnngen.load("hello").path.as_posix()
    'checkpoints/hello.safetensors'
    """
    from rnngen import checkpoint as checkpoints

    check_choice("device", device, Device)
    path = find(name, say)
    checkpoint = checkpoints.up_to_order(checkpoints.load(path), max_order)
    return Model(path, checkpoint, make_runner(checkpoint, device))
