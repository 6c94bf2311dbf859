"""The settings of a tokenizer, a model, a training run and a sample, checked when they are made.

Only plain Python here: the command line reads its defaults from these classes, and `--help` must be fast.
A default of None means "chosen from the text, the budget and the machine" (`training/plan.py` says how).
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, asdict, dataclass
from typing import Literal

from rnngen.checks import LARGE, MOST_WHOLE, SMALL, Settings, check, check_choice, check_number, check_whole, is_number
from rnngen.errors import ConfigError
from rnngen.shapes import weight_shapes

Level = Literal["char", "byte", "word", "subword"]
Split = Literal["punctuation", "whitespace"]
SubwordModel = Literal["unigram", "bpe"]
Cell = Literal["lstm", "gru", "rnn", "none"]
Nonlinearity = Literal["tanh", "relu"]
Optimizer = Literal["adamw", "rmsprop", "sgd"]
OnUnknown = Literal["error", "unk", "skip"]
ScoreState = Literal["reset", "carry"]
ScoreFormat = Literal["tsv", "jsonl", "kenlm", "srilm"]
LogBase = Literal["e", "2", "10"]
NbestForm = Literal["moses", "srilm", "kaldi"]
SortKey = Literal["perplexity", "logprob"]
Device = Literal["cpu", "cuda"]
Precision = Literal["auto", "float32", "bfloat16"]
ValidPart = Literal["spread", "last"]

PSEUDO = "pseudo_"  # begins the names of what is computed from both sides of a token
MOST_LAYERS = 1024
MOST_UNITS = 1 << 24
MOST_SYMBOLS = 1 << 31  # ids are int32
MOST_ORDER = 16
MOST_THREADS = 1024
MOST_EPOCHS = 1e9
NBEST_FEATURE = "RNNLM"  # the name of a score in a list of Moses
DEFAULT_SECONDS = 180.0  # of a training run without a given budget
ENCODING = "utf-8"  # of texts


@dataclass(frozen=True)
class TokenizerConfig(Settings):
    """How text becomes tokens, when a tokenizer is built from a text.

    Attributes:
        vocab_size: an upper bound on the number of symbols, the special ones included.
        min_count: symbols that occur fewer times in the text are left out of a char or word vocabulary.
    """

    level: Level = "char"
    _: KW_ONLY
    vocab_size: int | None = None
    min_count: int | None = None
    split: Split = "punctuation"
    subword_model: SubwordModel = "unigram"

    def __post_init__(self) -> None:
        self._make_plain()
        check_choice("level", self.level, Level)
        check_choice("split", self.split, Split)
        check_choice("subword_model", self.subword_model, SubwordModel)
        if self.vocab_size is not None:
            check_whole("vocab_size", self.vocab_size, 3)
        if self.min_count is not None:
            check_whole("min_count", self.min_count, 1)
        if self.level == "byte" and (self.vocab_size or self.min_count):
            raise ConfigError("the byte level has 256 symbols: leave out --vocab-size and --min-count")
        if self.level == "subword" and self.min_count:
            raise ConfigError("the subword level knows every text: leave out --min-count")
        if self.subword_model == "bpe" and self.level != "subword":
            raise ConfigError(f"--subword-model is for subwords: add --level subword (level is {self.level!r})")
        if self.split == "whitespace" and self.level != "word":
            raise ConfigError(f"--split whitespace is for words: add --level word (level is {self.level!r})")


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Settings):
    """The network: embedding (V x E), `num_layers` recurrent layers of H units, a softmax over V; and beside it counts.

    A bidirectional network has such layers from the left and from the right, and a layer that joins both: H x 2 H.

    A tagger reads words, and each word as characters too; its bidirectional layers are those of torch.nn, and above
    them is a softmax over the tags (`engine/tagger.py`).

    Attributes:
        bidirectional: a token is predicted from those on both sides of it.
        n_words: that a tagger knows; 0 for all other models.
        n_tags: that it gives.
        spelling_dim: of a character's embedding, and units of the layers that read a word's characters.
        cell: none is a model of counts alone; then all sizes of the network are 0.
        nonlinearity: of the `rnn` cell; the other cells do not use it.
        dropout: probability, applied after every recurrent layer, while training only.
        weight_drop: probability, applied to the recurrent matrices (Merity et al. 2018), while training only.
        tie_weights: the softmax uses the embedding matrix; needs embedding_dim == hidden_size.
        ngram_order: the length of the longest n-grams that are counted (`rnngen/counts`); 0 counts none.
    """

    vocab_size: int
    embedding_dim: int
    hidden_size: int
    num_layers: int = 1
    cell: Cell = "gru"
    nonlinearity: Nonlinearity = "tanh"
    dropout: float = 0.0
    weight_drop: float = 0.0
    tie_weights: bool = False
    ngram_order: int = 0
    bidirectional: bool = False
    n_words: int = 0
    n_tags: int = 0
    spelling_dim: int = 0

    def __post_init__(self) -> None:
        self._make_plain()
        check_whole("vocab_size", self.vocab_size, 1, MOST_SYMBOLS - 1)
        for name in ("n_words", "n_tags", "spelling_dim"):
            check_whole(name, getattr(self, name), 0, MOST_SYMBOLS - 1)
        if len({self.n_words > 0, self.n_tags > 0, self.spelling_dim > 0}) > 1:
            raise ConfigError("a tagger needs words, tags and their spelling: n_words, n_tags and spelling_dim")
        if self.n_tags and (not self.bidirectional or self.tie_weights):
            raise ConfigError("a tagger is bidirectional, and its weights are not tied")
        check_choice("cell", self.cell, Cell)
        check_whole("ngram_order", self.ngram_order, 0, MOST_ORDER)
        least, units, layers = (1, MOST_UNITS, MOST_LAYERS) if self.has_network else (0, 0, 0)
        check_whole("embedding_dim", self.embedding_dim, least, units)
        check_whole("hidden_size", self.hidden_size, least, units)
        check_whole("num_layers", self.num_layers, least, layers)
        if not self.has_network and not self.ngram_order:
            raise ConfigError("a model needs a network or counts: leave out --cell none, or --ngram-order none")
        check(isinstance(self.bidirectional, bool), "bidirectional", self.bidirectional, "true or false")
        if self.bidirectional and self.ngram_order:
            raise ConfigError(
                "counts see only what stands before a token, and --bidirectional both sides: leave out one of them"
            )
        check_choice("nonlinearity", self.nonlinearity, Nonlinearity)
        _check_probability("dropout", self.dropout)
        _check_probability("weight_drop", self.weight_drop)
        check(isinstance(self.tie_weights, bool), "tie_weights", self.tie_weights, "true or false")
        if self.tie_weights and self.embedding_dim != self.hidden_size:
            raise ConfigError(
                f"tie_weights needs equal sizes: embedding_dim is {self.embedding_dim}, "
                f"hidden_size is {self.hidden_size}; set both alike"
            )

    @property
    def has_network(self) -> bool:
        """Whether there is more than counts."""
        return self.cell != "none"

    @property
    def num_gates(self) -> int:
        """Number of blocks of H rows in a layer's weight matrices."""
        return {"none": 0, "rnn": 1, "gru": 3, "lstm": 4}[self.cell]

    @property
    def directions(self) -> tuple[str, ...]:
        """What ends the names of the layers' weights: of those from the left, and of those from the right."""
        return ("", "_reverse") if self.bidirectional else ("",)

    @property
    def is_tagger(self) -> bool:
        """Whether the model gives a tag to each word, and not probabilities to tokens."""
        return self.n_tags > 0

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every weight, under the names that torch.nn gives them; those of the counts are others."""
        return weight_shapes(self)

    @property
    def n_parameters(self) -> int:
        return sum(math.prod(shape) for shape in self.weight_shapes().values())


def _check_probability(name: str, value: object) -> None:
    check(is_number(value) and 0 <= value < 1, name, value, "at least 0 and below 1")  # type: ignore[operator]


@dataclass(frozen=True, kw_only=True)
class ModelOptions(Settings):
    """The sizes that a person may ask for. `training/plan.py` chooses those that are None.

    Attributes:
        ngram_size: what the counts may take in a checkpoint, in millions of bytes.
        tags: the model gives a tag to each word.
    """

    cell: Cell = "gru"
    hidden_size: int | None = None
    embedding_dim: int | None = None
    num_layers: int | None = None
    dropout: float | None = None
    weight_drop: float | None = None
    tie_weights: bool = False
    nonlinearity: Nonlinearity = "tanh"
    ngram_order: int | None = None
    ngram_size: float | None = None
    bidirectional: bool = False
    tags: bool = False

    def __post_init__(self) -> None:
        self._make_plain()
        if self.ngram_size is not None:
            check_number("ngram_size", self.ngram_size, SMALL, LARGE)
            if self.ngram_order == 0:
                raise ConfigError("--ngram-size is for counts: leave it out, or give --ngram-order")
        if self.nonlinearity == "relu" and self.cell != "rnn":
            raise ConfigError(f"--nonlinearity is for the rnn cell: add --cell rnn (cell is {self.cell!r})")
        if self.tags and (self.ngram_order or self.ngram_size is not None or self.tie_weights or self.cell == "none"):
            raise ConfigError("--tags needs a network alone: leave out --ngram-order, --ngram-size and --tie-weights")
        if self.bidirectional and self.ngram_size is not None:
            raise ConfigError("a bidirectional model has no counts: leave out --ngram-size, or --bidirectional")
        # A ModelConfig with the open sizes at 1 checks the rest by its own rules.
        given = {
            name: value
            for name, value in asdict(self).items()
            if value is not None and name not in ("ngram_size", "tags")
        }
        least = 0 if self.cell == "none" else 1
        sizes = {
            "vocab_size": 1,
            "embedding_dim": least,
            "hidden_size": least,
            "num_layers": least,
            "ngram_order": int(not self.bidirectional),
        }
        open_sizes = {"embedding_dim", "hidden_size"} - set(given)
        ModelConfig(**{**sizes, **given, "tie_weights": self.tie_weights and not open_sizes})


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Settings):
    """One training run. At most one of `seconds`, `steps` and `epochs` is given; without any it takes three minutes.

    Attributes:
        seconds: the budget in wall-clock seconds, validation included.
        steps: the budget in optimizer steps.
        epochs: the budget in passes over the text to train on.
        bptt: window length in tokens (truncated backpropagation through time).
        batch_size: parallel streams, or lines with `lines`.
        learning_rate: the peak of the schedule.
        patience: stop after this many validations without a lower loss; None never stops.
        valid_fraction: the part of the text that is kept for validation.
        valid_part: where that part is: in blocks spread over all of the text, or at its end. With `lines`, lines are
            drawn by the seed.
        lines: every line is an example of its own.
        precision: of the matrix products; "auto" takes bfloat16 where the processor has it.
    """

    seconds: float | None = None
    steps: int | None = None
    epochs: float | None = None
    batch_size: int | None = None
    bptt: int | None = None
    learning_rate: float | None = None
    optimizer: Optimizer = "adamw"
    weight_decay: float | None = None
    grad_clip: float = 1.0
    patience: int | None = None
    valid_fraction: float | None = None
    valid_part: ValidPart = "spread"
    lines: bool = False
    seed: int = 1
    threads: int | None = None
    precision: Precision = "auto"
    device: Device = "cpu"

    def __post_init__(self) -> None:
        self._make_plain()
        flags = {"--time": self.seconds, "--steps": self.steps, "--epochs": self.epochs}
        budgets = [flag for flag, value in flags.items() if value is not None]
        check(len(budgets) < 2, "the budget", " and ".join(budgets), "one of --time, --steps and --epochs")
        for name in ("steps", "batch_size", "bptt", "patience", "threads"):
            if (value := getattr(self, name)) is not None:
                check_whole(name, value, 1, MOST_THREADS if name == "threads" else MOST_WHOLE)
        for name in ("seconds", "epochs", "learning_rate"):
            if (value := getattr(self, name)) is not None:
                check_number(name, value, SMALL, MOST_EPOCHS if name == "epochs" else LARGE)
        check_number("grad_clip", self.grad_clip, SMALL)
        check_choice("optimizer", self.optimizer, Optimizer)
        check_choice("device", self.device, Device)
        check_choice("precision", self.precision, Precision)
        check_choice("valid_part", self.valid_part, ValidPart)
        if self.weight_decay is not None:
            check_number("weight_decay", self.weight_decay, 0)
        if self.valid_fraction is not None:
            check(is_number(self.valid_fraction) and 0 < self.valid_fraction < 1, "valid_fraction",
                   self.valid_fraction, "above 0 and below 1")  # fmt: skip
        if self.lines and self.valid_part != "spread":
            raise ConfigError("--lines draws the lines to validate on from all of the text: leave out --valid-part")
        check_whole("seed", self.seed, 0)

    @property
    def time_budget(self) -> float | None:
        """Seconds that the run may take; None where `steps` or `epochs` end it."""
        if self.seconds is None and self.steps is None and self.epochs is None:
            return DEFAULT_SECONDS
        return self.seconds


@dataclass(frozen=True, kw_only=True)
class SampleConfig(Settings):
    """How the next token is drawn from the softmax.

    Attributes:
        temperature: divides the logits; 0 takes the most likely token.
        top_k: keep the k most likely tokens; 0 keeps all.
        top_p: keep the most likely tokens that together have this probability (nucleus); 1 keeps all.
        min_p: keep tokens at least this fraction as likely as the most likely one; 0 keeps all.
        repetition_penalty: above 1 makes the tokens of the last 64 less likely, line breaks excepted; 1 leaves them.
            For models of words and subwords: characters and bytes repeat in every text.
        length: new tokens at most; the prompt does not count.
        min_length: so many new tokens complete no stop string: those that would are not drawn, and the probabilities of
            the others grow in proportion.
        stop: strings that end a sample.
        keep_stop: the stop string is a part of the sample.
        num_samples: 0 is without end.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    length: int = 500
    min_length: int = 0
    stop: tuple[str, ...] = ()
    keep_stop: bool = False
    num_samples: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        self._make_plain()
        check_number("temp", self.temperature, 0)
        check_whole("top_k", self.top_k, 0)
        check(is_number(self.top_p) and 0 < self.top_p <= 1, "top_p", self.top_p, "above 0 and at most 1")
        check_number("min_p", self.min_p, 0, 1)
        check_number("repetition_penalty", self.repetition_penalty, SMALL)
        check_whole("length", self.length, 0)
        check_whole("min_length", self.min_length, 0)
        check(self.min_length <= self.length, "min_length", self.min_length, f"at most the length, {self.length}")
        check(isinstance(self.keep_stop, bool), "keep_stop", self.keep_stop, "true or false")
        check_whole("num_samples", self.num_samples, 0)
        check_whole("seed", self.seed, 0)
        are_strings = isinstance(self.stop, tuple | list) and all(isinstance(text, str) for text in self.stop)
        check(are_strings, "stop", self.stop, "a tuple of strings")
        check("" not in self.stop, "stop", "", "a string of one character or more")
