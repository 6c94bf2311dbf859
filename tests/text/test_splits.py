"""Parts of a text that must stay what it was, and the lines that are drawn from a very long one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rnngen.errors import DataError
from rnngen.text import splits
from rnngen.text.corpus import Survey, survey
from rnngen.text.splits import Slice, Unchanged, split_by_lines


def text_of(*chunks: str) -> Any:
    return SimpleNamespace(chunks=lambda: iter(chunks))


@pytest.mark.parametrize("now", ["to bee", "to b", "to bE", "", "x"])
def test_a_text_that_is_not_what_was_surveyed_is_an_error_at_its_end(now: str) -> None:
    found = survey(text_of("to ", "be"))
    assert "".join(Unchanged(text_of("to be"), found).chunks()) == "to be"
    with pytest.raises(DataError, match=r"^the text changed while it was read: start again when nothing writes to it$"):
        list(Slice(Unchanged(text_of(now), found), 0, 2).chunks())


def test_lines_that_came_after_the_survey_are_an_error_and_no_traceback() -> None:
    found = survey(text_of("a\nb\nc\n"))
    train, _ = split_by_lines(Unchanged(text_of("a\nb\nc\nd\n"), found), found, 0.4, 1)
    with pytest.raises(DataError, match="changed while it was read"):
        list(train.chunks())


@pytest.mark.parametrize("fraction", [0.01, 0.3, 0.9])
def test_of_many_lines_exactly_the_fraction_is_chosen_block_by_block(
    monkeypatch: pytest.MonkeyPatch, fraction: float
) -> None:
    monkeypatch.setattr(splits, "_BLOCK", 100)
    text = text_of("".join(f"{n}\n" for n in range(1050)))
    train, valid = split_by_lines(text, Survey(0, 1050, ""), fraction, 1)
    chosen, others = ([int(line) for chunk in part.chunks() for line in chunk.split()] for part in (valid, train))
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
    _, valid = split_by_lines(text, Survey(0, 20, ""), 0.2, 1)
    assert "".join(valid.chunks()).split() == ["2", "4", "8", "18"]
