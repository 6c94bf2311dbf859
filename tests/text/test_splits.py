"""Parts of a text that must stay what it was, and the lines that are drawn from a very long one."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnngen.errors import DataError
from rnngen.text import splits
from rnngen.text.corpus import Survey, survey
from rnngen.text.splits import (
    TRAIN,
    VALID,
    CharacterSplit,
    LineSplit,
    PartOfText,
    SplitText,
    Unchanged,
    split_by_characters,
    split_by_lines,
)  # fmt: skip


def text_of(*chunks: str) -> Any:
    return SimpleNamespace(chunks=lambda: iter(chunks))


def both(split: SplitText) -> tuple[str, str]:
    """The part to train on and the one to validate on."""
    parts = ("".join(piece for number, piece in split.pieces() if number == part) for part in (TRAIN, VALID))
    return next(parts), next(parts)


@pytest.mark.parametrize("now", ["to bee", "to b", "to bE", "", "x"])
def test_a_text_that_is_not_what_was_surveyed_is_an_error_at_its_end(now: str) -> None:
    found = survey(text_of("to ", "be"))
    assert "".join(Unchanged(text_of("to be"), found).chunks()) == "to be"
    with pytest.raises(DataError, match=r"^the text changed while it was read: start again when nothing writes to it$"):
        list(PartOfText(CharacterSplit(Unchanged(text_of(now), found), 2), TRAIN).chunks())


def test_lines_that_came_after_the_survey_are_an_error_and_no_traceback() -> None:
    found = survey(text_of("a\nb\nc\n"))
    split = split_by_lines(Unchanged(text_of("a\nb\nc\nd\n"), found), found, 0.4, 1)
    with pytest.raises(DataError, match="changed while it was read"):
        list(split.pieces())


@pytest.mark.parametrize("fraction", [0.01, 0.3, 0.9])
def test_of_many_lines_exactly_the_fraction_is_chosen_block_by_block(
    monkeypatch: pytest.MonkeyPatch, fraction: float
) -> None:
    monkeypatch.setattr(splits, "_BLOCK", 100)
    text = text_of("".join(f"{n}\n" for n in range(1050)))
    split = split_by_lines(text, Survey(0, 1050, ""), fraction, 1)
    chosen, others = (
        [int(line) for chunk in PartOfText(split, part).chunks() for line in chunk.split()] for part in (VALID, TRAIN)
    )
    assert len(chosen) == round(fraction * 1050)
    assert sorted(chosen + others) == list(range(1050))
    if fraction == 0.3:
        assert all(10 < sum(n // 100 == block for n in chosen) < 60 for block in range(10))


def test_more_lines_than_can_be_drawn_from_are_refused_with_a_remedy() -> None:
    with pytest.raises(DataError) as error:
        split_by_lines(text_of(), Survey(0, 10**9 + 1, ""), 0.1, 1)
    assert str(error.value) == (
        "the text has 1,000,000,001 lines that are not blank, and of 1,000,000,000 at most some can be drawn for "
        "validation: give a validation text with --valid FILE"
    )
    np.random.default_rng(1).hypergeometric(1, splits._MOST_LINES - 1, 5)  # the most is numpy's own


def test_the_lines_that_validate_are_those_that_the_seed_has_always_drawn() -> None:
    text = text_of("".join(f"{n}\n" for n in range(20)))
    valid = PartOfText(split_by_lines(text, Survey(0, 20, ""), 0.2, 1), VALID)
    assert "".join(valid.chunks()).split() == ["2", "4", "8", "18"]


@settings(deadline=None)
@given(st.lists(st.text("ab\n", min_size=1)), st.integers(0, 30))
def test_a_text_is_cut_at_the_same_character_however_it_comes_in_chunks(chunks: list[str], cut: int) -> None:
    split = CharacterSplit(text_of(*chunks), cut)
    assert both(split) == ("".join(chunks)[:cut], "".join(chunks)[cut:])
    assert all(piece for _, piece in split.pieces())


@pytest.mark.parametrize("n", [2, 9, 10, 11, 99, 1001, 1_115_394])
def test_the_text_is_cut_at_nine_tenths_as_everyone_cuts_it(n: int) -> None:
    text = "".join(map(str, range(n)))[:n]
    split = split_by_characters(text_of(text[: n // 3], text[n // 3 :]), Survey(n, 1, ""), 0.1)
    assert both(split) == (text[: int(0.9 * n)], text[int(0.9 * n) :])


@pytest.mark.parametrize(
    ("n", "fraction", "shown"),
    [(1, 0.1, "1 character: too few to keep 10%"), (3, 0.75, "3 characters: too few to keep 75%")],
)
def test_a_text_too_short_to_cut_says_what_is_missing(n: int, fraction: float, shown: str) -> None:
    with pytest.raises(DataError) as error:
        split_by_characters(text_of("x" * n), Survey(n, 1, ""), fraction)
    assert str(error.value) == (
        f"the text has {shown} for validation; give more text, or a validation text with --valid FILE"
    )


NAMES = text_of("ann\n\nbob\n", " \ncid\n", "dan\neve", "\n\n\nfay\n", "gil")


@pytest.mark.parametrize(("fraction", "n_valid"), [(0.01, 1), (0.1, 1), (0.3, 2), (0.5, 4), (0.8, 6)])
def test_lines_are_dealt_out_whole_and_blank_ones_are_left_out(fraction: float, n_valid: int) -> None:
    train, valid = both(split_by_lines(NAMES, survey(NAMES), fraction, seed=1))
    assert len(valid.splitlines()) == n_valid
    dealt = (train + valid).splitlines(keepends=True)
    assert sorted(dealt) == ["ann\n", "bob\n", "cid\n", "dan\n", "eve\n", "fay\n", "gil\n"]


def test_the_seed_alone_decides_which_lines_validate() -> None:
    def lines(seed: int) -> str:
        return both(split_by_lines(NAMES, survey(NAMES), 0.3, seed))[VALID]

    assert lines(1) == lines(1)
    assert len({lines(seed) for seed in range(9)}) > 1


@pytest.mark.parametrize(
    ("text", "fraction", "shown"),
    [
        ("a\n\n", 0.1, "1 line that is not blank: too few to keep 1"),
        ("a\nb\nc", 0.9, "3 lines that are not blank: too few to keep 3"),
    ],
)
def test_too_few_lines_say_what_is_missing(text: str, fraction: float, shown: str) -> None:
    with pytest.raises(DataError) as error:
        split_by_lines(text_of(text), survey(text_of(text)), fraction, 1)
    assert str(error.value) == (
        f"the text has {shown} for validation; give more lines, or a validation text with --valid FILE"
    )


@pytest.mark.parametrize("size", [3, 7, 20])
def test_a_line_that_is_cut_into_chunks_is_one_line(size: int) -> None:
    whole = "a b c d e f\n \nlong line here\n  x\nlast"

    class Cut:
        def chunks(self) -> Iterator[str]:
            return (whole[start : start + size] for start in range(0, len(whole), size))

    found = survey(Cut())
    assert found.n_lines == 4
    assert both(LineSplit(Cut(), bytes([1, 0, 1, 1]))) == ("long line here\n", "a b c d e f\n  x\nlast\n")
