"""From texts to the tokenizer and the token ids of a training run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rnngen.config import TokenizerConfig, TrainConfig
from rnngen.errors import DataError
from rnngen.text.corpus import Survey, survey
from rnngen.text.ids_cache import Cache, Part, default_folder
from rnngen.text.ids_on_disk import Tokens
from rnngen.text.splits import ChosenLines, Unchanged, split_by_characters, split_by_lines
from rnngen.tokenizers.base import Text, Tokenizer

VALID_FRACTION = 0.1
MOST_VALID_CHARS = 250_000  # of the default fraction: more takes time from the training, and tells little more


@dataclass(frozen=True)
class Dataset:
    """Token ids to train and to validate on, on disk.

    Attributes:
        lines: every line is an example of its own, ended by the line break.
        found: of the text that was given (without a separate validation text).
        valid_chars: characters of the validation part, for losses per character.
        valid_sha256: of a separate validation text, as `Survey` has it; None without one.
    """

    tokenizer: Tokenizer
    train: Tokens
    valid: Tokens
    lines: bool
    found: Survey
    valid_chars: int
    valid_sha256: str | None = None

    @property
    def reused(self) -> bool:
        """Whether all ids were in the cache."""
        return self.train.reused and self.valid.reused


def prepare(
    text: Text,
    valid: Text | None,
    config: TrainConfig,
    tokenizer: Tokenizer | None,
    wanted: TokenizerConfig,
    folder: Path | None = None,
) -> Dataset:
    """Split the text, build the tokenizer from the part to train on, and encode both parts.

    What was done before is found in the cache: the text is then read once, for its hash.

    Args:
        valid: a text of its own to validate on; None takes it from the end of `text`.
        tokenizer: one that exists already; None builds what is `wanted`.
        folder: of the cache; None for `default_folder()`.

    Raises:
        DataError: a text is empty, binary or too short, or changes while it is read; the cache cannot be written.
        TokenizerError: the tokenizer cannot be built from this text.
    """
    cache = Cache(folder or default_folder())
    found = survey(text)
    valid_found = None if valid is None else survey(valid, "the validation text")
    if valid is not None and valid_found is not None:
        train_part = _all(text, found, config.lines, "text")
        valid_part = _all(valid, valid_found, config.lines, "validation text")
    else:
        train_part, valid_part = _split(text, found, config)
    if tokenizer is None:
        tokenizer = cache.tokenizer(train_part, wanted)
    train, valid_tokens = cache.tokens(train_part, tokenizer), cache.tokens(valid_part, tokenizer)
    if len(train.ids) < 2 or not len(valid_tokens.ids):
        raise DataError(
            f"the text has {len(train.ids)} tokens to train on and {len(valid_tokens.ids)} to validate on, "
            "and needs at least 2 and 1: give more text"
        )
    valid_sha256 = None if valid_found is None else valid_found.sha256
    return Dataset(tokenizer, train, valid_tokens, config.lines, found, valid_tokens.n_chars, valid_sha256)


def _split(text: Text, found: Survey, config: TrainConfig) -> tuple[Part, Part]:
    fraction = config.valid_fraction or min(VALID_FRACTION, MOST_VALID_CHARS / found.n_chars)
    unchanged = Unchanged(text, found)
    if config.lines:
        how: tuple[str | int, ...] = ("lines", repr(fraction), config.seed)
        train, valid = split_by_lines(unchanged, found, fraction, config.seed)
    else:
        how = ("characters", repr(fraction))
        train, valid = split_by_characters(unchanged, found, fraction)
    return Part(train, found.sha256, (*how, "train")), Part(valid, found.sha256, (*how, "valid"))


def _all(text: Text, found: Survey, lines: bool, name: str) -> Part:
    whole = Unchanged(text, found, f"the {name}")
    if not lines:
        return Part(whole, found.sha256, ("whole",))
    if not found.n_lines:
        raise DataError(f"the {name} has blank lines only: --lines needs lines to learn from")
    return Part(ChosenLines(whole, bytes([1]) * found.n_lines), found.sha256, ("lines",))
