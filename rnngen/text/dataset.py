"""From texts to the tokenizer and the token ids of a training run."""

from __future__ import annotations

from dataclasses import dataclass

from rnngen.config import TokenizerConfig, TrainConfig
from rnngen.errors import DataError
from rnngen.text import tokenizer as tokenizers
from rnngen.text.corpus import ChosenLines, Survey, Text, split_by_characters, split_by_lines, survey
from rnngen.text.tokenizer import Tokenizer
from rnngen.text.tokens import Tokens, write_tokens

VALID_FRACTION = 0.1
MOST_VALID_CHARS = 250_000  # of the default fraction: more takes time from the training, and tells little more


@dataclass(frozen=True)
class Dataset:
    """Token ids to train and to validate on, on disk.

    Attributes:
        lines: every line is an example of its own, ended by the line break.
        found: of the text that was given (without a separate validation text).
        valid_chars: characters of the validation part, for losses per character.
    """

    tokenizer: Tokenizer
    train: Tokens
    valid: Tokens
    lines: bool
    found: Survey
    valid_chars: int


def prepare(
    text: Text, valid: Text | None, config: TrainConfig, tokenizer: Tokenizer | None, wanted: TokenizerConfig
) -> Dataset:
    """Split the text, build the tokenizer from the part to train on, and encode both parts.

    Args:
        valid: a text of its own to validate on; None takes it from the end of `text`.
        tokenizer: one that exists already; None builds what is `wanted`.

    Raises:
        DataError: a text is empty, binary or too short.
        TokenizerError: the tokenizer cannot be built from this text.
    """
    found = survey(text)
    valid_found = survey(valid, "the validation text") if valid is not None else None
    if valid is not None and valid_found is not None:
        train_part, valid_part = text, valid
        if config.lines:
            train_part, valid_part = _all_lines(text, found, "text"), _all_lines(valid, valid_found, "validation text")
    else:
        fraction = config.valid_fraction or min(VALID_FRACTION, MOST_VALID_CHARS / found.n_chars)
        if config.lines:
            train_part, valid_part = split_by_lines(text, found, fraction, config.seed)
        else:
            train_part, valid_part = split_by_characters(text, found, fraction)
    if tokenizer is None:
        tokenizer = tokenizers.build(wanted, train_part)
    train, valid_tokens = write_tokens(train_part, tokenizer), write_tokens(valid_part, tokenizer)
    if len(train.ids) < 2 or not len(valid_tokens.ids):
        raise DataError(
            f"the text has {len(train.ids)} tokens to train on and {len(valid_tokens.ids)} to validate on, "
            "and needs at least 2 and 1: give more text"
        )
    valid_chars = sum(len(chunk) for chunk in valid_part.chunks())
    return Dataset(tokenizer, train, valid_tokens, config.lines, found, valid_chars)


def _all_lines(text: Text, found: Survey, name: str) -> Text:
    if not found.n_lines:
        raise DataError(f"the {name} has blank lines only: --lines needs lines to learn from")
    return ChosenLines(text, bytes([1]) * found.n_lines)
