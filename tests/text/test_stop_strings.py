"""Generated text ends before the first stop string, however it is cut into pieces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnngen.text.stop_strings import StopFilter

pieces_of_abc = st.lists(st.text("abc", max_size=4))
stops_of_abc = st.lists(st.text("abc", min_size=1, max_size=4), max_size=3)


def filtered(pieces: Iterable[str], stops: Sequence[str]) -> str:
    stop_filter = StopFilter(stops)
    return "".join(stop_filter.push(piece) for piece in pieces) + stop_filter.flush()


def test_only_what_may_begin_a_stop_string_is_held_back() -> None:
    stop_filter = StopFilter(["the"])
    assert [stop_filter.push(piece) for piece in ["at", "h", "a", "t", "h"]] == ["a", "", "tha", "", ""]
    assert not stop_filter.stopped
    assert stop_filter.flush() == "th"
    assert stop_filter.flush() == ""


def test_the_stop_string_and_all_after_it_are_left_out() -> None:
    stop_filter = StopFilter(["\n\n", "END"])
    assert stop_filter.push("one\n") == "one"
    assert stop_filter.push("twoEN") == "\ntwo"
    assert stop_filter.push("D of it") == ""
    assert stop_filter.stopped
    assert stop_filter.push("more") + stop_filter.flush() == ""


@settings(deadline=None)
@given(pieces_of_abc)
def test_without_stop_strings_every_piece_passes_at_once(pieces: list[str]) -> None:
    stop_filter = StopFilter([])
    assert [stop_filter.push(piece) for piece in pieces] == pieces
    assert stop_filter.flush() == ""


@settings(deadline=None)
@given(pieces_of_abc, st.text("abc", min_size=1, max_size=4))
def test_with_one_stop_string_the_text_before_it_comes_out(pieces: list[str], stop: str) -> None:
    assert filtered(pieces, [stop]) == "".join(pieces).partition(stop)[0]


@settings(deadline=None)
@given(pieces_of_abc, stops_of_abc)
def test_the_pieces_a_text_comes_in_make_no_difference(pieces: list[str], stops: list[str]) -> None:
    text = "".join(pieces)
    assert filtered(pieces, stops) == filtered(text, stops) == filtered([text], stops)


@pytest.mark.parametrize("stops", [("abc", "b"), ("b", "abc")])
def test_of_two_stop_strings_the_one_that_is_whole_first_counts(stops: tuple[str, str]) -> None:
    assert filtered("xabcx", stops) == filtered(["xabcx"], stops) == "xa"
