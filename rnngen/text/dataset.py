"""From texts to the tokenizer and the token ids of a training run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rnngen import work
from rnngen.config import TokenizerConfig, TrainConfig
from rnngen.errors import DataError
from rnngen.text.corpus import Survey, survey
from rnngen.text.ids_cache import IdsCache, KeyedText, default_folder
from rnngen.text.ids_on_disk import IdsOnDisk
from rnngen.text.likeness import are_unlike, sample
from rnngen.text.remarks import WithStart, remarks, words_are_apart
from rnngen.text.splits import TRAIN, LineSplit, Unchanged, split_by_lines, split_in_blocks
from rnngen.tokenizers.base import Text, Tokenizer
from rnngen.tokenizers.unknowns import unknown_share

VALID_FRACTION = 0.1
MOST_UNKNOWN = 0.5  # of the words that a model of words learns from
MOST_VALID_CHARS = 250_000  # of the default fraction: more would take time from the training and add little


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Token ids to train and to validate on, on disk.

    Attributes:
        lines: every line is an example of its own, which ends with the line break.
        survey: of the given text (without a separate validation text).
        valid_chars: characters of the validation part, for losses per character.
        valid_sha256: of a separate validation text, as in `Survey`; None without one.
        notes: what a person should know about the texts, as sentences.
    """

    tokenizer: Tokenizer
    train: IdsOnDisk
    valid: IdsOnDisk
    lines: bool
    survey: Survey
    valid_chars: int
    valid_sha256: str | None = None
    notes: tuple[str, ...] = ()

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

    A text is read once for its hash, once to build a tokenizer, and once to encode both parts. The last two are not
    needed if the cache has the result.

    Args:
        valid: a separate text to validate on; None takes it from `text`, as `config` says.
        tokenizer: an existing one; None builds the one that is `wanted`.
        folder: of the cache; None for `default_folder()`.

    Raises:
        DataError: a text is empty, binary or too short, or changes while it is read; the cache cannot be written.
        TokenizerError: the tokenizer cannot be built from this text.
    """
    cache = IdsCache(folder or default_folder())
    with work.named("reading the text"):
        read = WithStart(text)
        found = survey(read)
        valid_found = None if valid is None else survey(valid, "the validation text")
    if valid is None or valid_found is None:
        texts = [_split(text, found, config)]
    else:
        texts = [_whole(text, found, config.lines, "text"), _whole(valid, valid_found, config.lines, "validation text")]
    if tokenizer is None:
        with work.named(f"the vocabulary ({wanted.level})"):
            tokenizer = cache.tokenizer(texts[0], wanted)
    with work.named("encoding the text"):
        train, valid_ids = [ids for keyed in texts for ids in cache.ids(keyed, tokenizer)]
    if len(train.ids) < 2 or not len(valid_ids.ids):
        raise DataError(
            f"the text has {len(train.ids)} tokens to train on and {len(valid_ids.ids)} to validate on, "
            "and needs at least 2 and 1: give more text"
        )
    return Dataset(
        tokenizer=tokenizer,
        train=train,
        valid=valid_ids,
        lines=config.lines,
        survey=found,
        valid_chars=valid_ids.n_chars,
        valid_sha256=valid_found.sha256 if valid_found else None,
        notes=(
            *remarks(read.start, config.lines),
            *_words(tokenizer, train, valid_ids, read.start),
            *_likeness(tokenizer, train, valid_ids, config, has_own=valid is not None),
        ),
    )


def _words(tokenizer: Tokenizer, train: IdsOnDisk, valid: IdsOnDisk, start: str) -> tuple[str, ...]:
    """What to do about a text that is not made of words that the vocabulary knows."""
    if tokenizer.level != "word":
        return ()
    remedy = "a model of --level char or --level subword suits such a text"
    for name, tokens in (("to train on", train), ("to validate on", valid)):
        if tokens.n_unknown and unknown_share(tokenizer, sample(tokens)) > MOST_UNKNOWN:
            return (f"most words of the text {name} are unknown: {remedy}",)
    if words_are_apart(start):
        return ()
    return (f"the text has hardly any white space, so its words are whole phrases at word level: {remedy}",)


def _likeness(
    tokenizer: Tokenizer, train: IdsOnDisk, valid: IdsOnDisk, config: TrainConfig, *, has_own: bool
) -> tuple[str, ...]:
    """What to do about a validation text of another kind; spread blocks and drawn lines are of the same kind."""
    if not (has_own or config.valid_part == "last") or not are_unlike(tokenizer, train, valid):
        return ()
    if has_own:
        which, remedy = "the validation text", "without --valid it is a part of the text"
    else:
        which, remedy = "the last part of the text, to validate on,", "--valid-part spread takes it from everywhere"
    return (f"{which} is unlike the text to train on, and the step that is kept is the best for it alone: {remedy}",)


def _split(text: Text, found: Survey, config: TrainConfig) -> KeyedText:
    fraction = config.valid_fraction or min(VALID_FRACTION, MOST_VALID_CHARS / found.n_chars)
    unchanged = Unchanged(text, found)
    if config.lines:
        lines = split_by_lines(unchanged, found, fraction, config.seed)
        key: tuple[str | int, ...] = ("lines", repr(fraction), config.seed)
        return KeyedText(lines, found.sha256, ((*key, "train"), (*key, "valid")))
    blocks = split_in_blocks(unchanged, found, fraction, config.valid_part)
    key = (config.valid_part, repr(fraction))
    return KeyedText(blocks, found.sha256, ((*key, "train"), (*key, "valid")))


def _whole(text: Text, found: Survey, lines: bool, name: str) -> KeyedText:
    unchanged = Unchanged(text, found, f"the {name}")
    if not lines:
        return KeyedText.whole(unchanged, found.sha256)
    if not found.n_lines:
        raise DataError(f"the {name} has blank lines only: --lines needs lines to learn from")
    return KeyedText(LineSplit(unchanged, bytes([TRAIN]) * found.n_lines), found.sha256, (("lines",),))
