"""Whether a validation text is of another kind than the text to train on."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from rnngen.config import Level, TokenizerConfig, TrainConfig
from rnngen.text.corpus import StringText
from rnngen.text.dataset import prepare
from rnngen.text.likeness import UNLIKE, distance

CORPORA = Path(__file__).parents[2] / "corpora"
PLAY, NAMES = ((CORPORA / name).read_text("utf-8") for name in ("marrowmere.txt", "names.txt"))
GREEK = PLAY[:23_000].lower().translate({ord("a") + n: 0x3B1 + n for n in range(26)})
LAST = (
    "the last part of the text, to validate on, is unlike the text to train on, and the step that is kept is the best "
    "for it alone: --valid-part spread takes it from everywhere"
)


def notes_of(text: str, valid: str | None = None, level: Level = "char", **settings: object) -> tuple[str, ...]:
    own = None if valid is None else StringText(valid)
    return prepare(StringText(text), own, TrainConfig(**settings), None, TokenizerConfig(level)).notes  # type: ignore[arg-type]


@pytest.mark.parametrize("level", ["char", "byte", "word"])
def test_a_last_file_unlike_the_rest_is_said_with_the_remedy(level: Level) -> None:
    assert LAST in notes_of(PLAY + GREEK, level=level, valid_part="last")
    assert notes_of(PLAY + GREEK, level=level) == ()


def test_the_last_letters_of_a_sorted_list_are_unlike_the_rest() -> None:
    names = "\n".join(sorted(NAMES.split()))
    assert notes_of(names, valid_part="last") == (LAST,)
    assert notes_of(names) == ()


def test_a_validation_text_of_another_language_is_said() -> None:
    assert notes_of(PLAY, valid=GREEK) == (
        "the validation text is unlike the text to train on, and the step that is kept is the best for it alone: "
        "without --valid it is a part of the text",
    )


@pytest.mark.parametrize("level", ["char", "byte", "word"])
def test_ordinary_texts_give_no_false_alarm(level: Level) -> None:
    for text in (PLAY, PLAY[:3000], PLAY[:300], NAMES):
        assert LAST not in notes_of(text, level=level, valid_part="last")
    assert notes_of(PLAY[20_000:], valid=PLAY[:20_000], level=level) == ()


def test_the_distance_is_the_kullback_leibler_divergence_less_what_chance_explains() -> None:
    # (1/2, 1/4, 1/4) ln (2, 1, 1/2) = ln(2) / 4
    train, valid = "abcc" * 50_000, "aabc" * 50_000
    assert distance(train, valid) == pytest.approx(0.25 * 0.693147, abs=1e-4)
    assert distance(train, train) == 0


def test_a_short_sample_of_the_same_text_is_not_far_from_it() -> None:
    generator = random.Random(1)
    train = "".join(generator.choices("abcdefghij", k=10_000))
    for n in (1, 3, 10, 100, 1000):
        assert distance(train, "".join(generator.choices("abcdefghij", k=n))) < UNLIKE
