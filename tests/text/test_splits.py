"""Parts of a text that must stay what it was, and the lines that are drawn from a very long one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnngen.config import ValidPart
from rnngen.errors import DataError
from rnngen.text import splits
from rnngen.text.corpus import StringText, Survey, survey
from rnngen.text.splits import (
    TRAIN,
    VALID,
    BlockSplit,
    LineSplit,
    PartOfText,
    SplitText,
    Unchanged,
    split_by_lines,
    split_in_blocks,
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
        list(split_in_blocks(Unchanged(text_of(now), found), found, 0.4, "last").pieces())


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


def blocks_of(text: str, fraction: float = 0.1, part: ValidPart = "spread") -> list[tuple[int, str]]:
    """The blocks of a text as the splits give them, with the number of their part."""
    whole = StringText(text)
    found: list[tuple[int, str]] = []
    for number, piece in chain.from_iterable(split_in_blocks(whole, survey(whole), fraction, part).cut_chunks()):
        if found and found[-1][0] == number:
            found[-1] = (number, found[-1][1] + piece)
        else:
            found.append((number, piece))
    return found


def valid_of(text: str, fraction: float = 0.1, part: ValidPart = "spread") -> list[str]:
    return [block for number, block in blocks_of(text, fraction, part) if number == VALID]


def lines_of(letter: str, n_chars: int, width: int = 50) -> str:
    return (letter * (width - 1) + "\n") * (n_chars // width)


@pytest.mark.parametrize("greek_first", [True, False])
def test_of_two_files_each_gives_its_share_of_the_validation_text(greek_first: bool) -> None:
    english, greek = lines_of("e", 180_000), lines_of("α", 20_000)
    valid = "".join(valid_of(greek + english if greek_first else english + greek))
    assert 0.095 <= len(valid) / 200_000 <= 0.105
    assert 0.08 <= valid.count("α") / len(valid) <= 0.12


def test_of_a_sorted_list_every_tenth_gives_words_to_validate_on() -> None:
    words = "".join(f"{n:05}\n" for n in range(40_000))
    valid = valid_of(words)
    assert len(valid) == 24
    found = [int(word) // 4000 for block in valid for word in block.split()]
    assert sorted(set(found)) == list(range(10))
    assert all(300 <= found.count(tenth) <= 560 for tenth in range(10))  # two blocks of 167 words, or three


@pytest.mark.parametrize(("n_chars", "n_blocks"), [(150, 1), (3000, 3), (50_000, 10), (300_000, 30), (1_500_000, 100)])
def test_blocks_are_long_and_as_many_as_the_text_allows(n_chars: int, n_blocks: int) -> None:
    text = lines_of("x", n_chars, width=10)
    valid = valid_of(text)
    assert len(valid) == n_blocks
    assert sum(map(len, valid)) == pytest.approx(n_chars / 10, rel=0.05, abs=10)
    assert max(map(len, valid)) - min(map(len, valid)) <= 20


@pytest.mark.parametrize("part", ["spread", "last"])
@pytest.mark.parametrize("width", [7, 60, 900, 3000])
def test_blocks_are_whole_lines_and_make_up_a_tenth_of_the_text(part: ValidPart, width: int) -> None:
    blocks = blocks_of(lines_of("x", 400_000, width), 0.1, part)
    assert all(block.endswith("\n") and len(block) % width == 0 for _, block in blocks)
    assert sum(len(block) for number, block in blocks if number == VALID) == pytest.approx(40_000, rel=0.05)
    assert len(blocks) == 2 if part == "last" else len(blocks) > 20


def test_blocks_start_with_a_paragraph_where_one_is_near() -> None:
    text = "one line\nand another\n\n" * 2000
    assert all(block.startswith("one line\n") and block.endswith("\n\n") for block in valid_of(text))


@pytest.mark.parametrize("part", ["spread", "last"])
def test_a_text_without_line_ends_is_cut_at_white_space_and_never_in_a_word(part: ValidPart) -> None:
    words = [f"word{n}" for n in range(20_000)]
    blocks = blocks_of(" ".join(words), 0.1, part)
    assert [word for _, block in blocks for word in block.split()] == words
    assert all(block.startswith(" ") for _, block in blocks[1:])
    assert "".join(block for _, block in blocks) == " ".join(words)


def test_a_text_without_white_space_is_cut_after_punctuation_else_where_a_cut_is_due() -> None:
    assert all(block.endswith(",") for block in valid_of('{"name":1},' * 5000))
    assert [len(block) for block in valid_of("acgt" * 5000)] == [200] * 10


def test_the_last_part_starts_with_the_line_nearest_to_nine_tenths() -> None:
    text = "".join(f"{n:03}\n" for n in range(1000))
    assert valid_of(text, 0.1, "last") == [text[3600:]]
    assert valid_of("x\n" + text, 0.1, "last") == [text[3600:]]


@pytest.mark.parametrize("part", ["spread", "last"])
@pytest.mark.parametrize("fraction", [0.001, 0.1, 0.5, 0.98])
@pytest.mark.parametrize("text", ["ab", "a\nb", "to be\nor not", "abcabcabca", "a\n\n\n\n\n\n\n\nb\n\n\n", "x\n" * 99])
def test_no_part_of_a_tiny_text_is_empty(text: str, fraction: float, part: ValidPart) -> None:
    try:
        train, valid = both(split_in_blocks(text_of(text), survey(text_of(text)), fraction, part))
    except DataError:
        assert not 0 < int((1 - fraction) * len(text)) < len(text)
        return
    assert train
    assert valid.strip()
    assert len(train) + len(valid) == len(text)


@settings(deadline=None)
@given(
    st.lists(st.text("ab \n,", min_size=1), min_size=1),
    st.integers(1, 30),
    st.integers(1, 20),
    st.integers(0, 100),
)
def test_blocks_are_the_text_in_its_order_and_pieces_are_never_empty(
    chunks: list[str], first: int, length: int, more: int
) -> None:
    text = "".join(chunks)
    split = BlockSplit(text_of(*chunks), len(text), first, length, length + more)
    cut_chunks = list(split.cut_chunks())
    assert ["".join(piece for _, piece in cut_chunk) for cut_chunk in cut_chunks] == chunks
    assert cut_chunks[0][0][0] == TRAIN
    pieces = list(split.pieces())
    assert all(piece for _, piece in pieces)
    for part in (TRAIN, VALID):
        in_order = "".join(piece for number, piece in chain.from_iterable(cut_chunks) if number == part)
        assert "".join(piece for number, piece in pieces if number == part) == in_order


@pytest.mark.parametrize(
    ("n", "fraction", "shown"),
    [(1, 0.1, "1 character: too few to keep 10%"), (3, 0.75, "3 characters: too few to keep 75%")],
)
def test_a_text_too_short_to_cut_says_what_is_missing(n: int, fraction: float, shown: str) -> None:
    with pytest.raises(DataError) as error:
        split_in_blocks(text_of("x" * n), Survey(n, 1, ""), fraction, "spread")
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
