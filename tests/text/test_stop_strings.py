"""Generated text ends before the first stop string, however it is cut into pieces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnngen.config import TokenizerConfig
from rnngen.text.stop_strings import StopFilter, never_met
from rnngen.text.tokens import build_tokenizer

pieces_of_abc = st.lists(st.text("abc", max_size=4))
stops_of_abc = st.lists(st.text("abc", min_size=1, max_size=4), max_size=3)


def filtered(pieces: Iterable[str], stops: Sequence[str]) -> str:
    stop_filter = StopFilter(stops)
    return "".join(stop_filter.push(piece) for piece in pieces) + stop_filter.flush()


def test_only_what_may_begin_a_stop_string_is_held_back() -> None:
    stop_filter = StopFilter(["the"])
    assert [stop_filter.push(piece) for piece in ["at", "h", "a", "t", "h"]] == ["a", "", "tha", "", ""]
    assert stop_filter.found is None
    assert stop_filter.flush() == "th"
    assert stop_filter.flush() == ""


def test_the_stop_string_and_all_after_it_are_left_out() -> None:
    stop_filter = StopFilter(["\n\n", "END"])
    assert stop_filter.push("one\n") == "one"
    assert stop_filter.push("twoEN") == "\ntwo"
    assert stop_filter.push("D of it") == ""
    assert stop_filter.found == "END"
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


def test_the_stop_string_is_let_through_where_it_is_kept_and_is_named() -> None:
    stop_filter = StopFilter(["\n\n", "END"], keep=True)
    assert stop_filter.push("one\nEN") == "one\n"
    assert stop_filter.found is None
    assert stop_filter.push("D of it") == "END"
    assert stop_filter.found == "END"
    assert stop_filter.push("more") + stop_filter.flush() == ""


def test_of_stop_strings_that_end_together_the_longest_is_named() -> None:
    stop_filter = StopFilter(["\n", "END\n"])
    assert stop_filter.push("the END\n") == "the "
    assert stop_filter.found == "END\n"


def test_a_stop_string_of_crlf_is_a_line_break_because_texts_have_no_other() -> None:
    assert filtered(["one\ntwo"], ["\r\n"]) == "one"


def test_a_text_that_would_complete_a_stop_string_is_foreseen() -> None:
    stop_filter = StopFilter(["the end"])
    assert [stop_filter.would_end(text) for text in ("the end.", "d", "end")] == [True, False, False]
    stop_filter.push("by the ")
    assert [stop_filter.would_end(text) for text in ("the end.", "d", "end", "en")] == [True, False, True, False]
    assert stop_filter.push("en") == ""
    assert stop_filter.would_end("d")


@pytest.mark.parametrize(
    ("level", "stops", "sentences"),
    [
        ("char", [r"\temp"], [r"the stop string '\\temp' will not come: no symbol of the model has '\\' in it"]),
        ("char", ["\temp"], [r"the stop string '\temp' will not come: no symbol of the model has '\t' in it"]),
        ("char", ["\u200e"], [r"the stop string '\u200e' will not come: no symbol of the model has '\u200e' in it"]),
        ("char", ["un"], ["the stop string 'un' will not come: no symbol of the model has 'u' in it"]),
        ("char", ["the\r\n", "bee", "\n"], []),
        ("char", ["\nthe", "\n"], [r"the stop string '\nthe' will not come: '\n' ends the text before it"]),
        ("word", ["THE END"], ["the stop string 'THE END' will not come: no symbol of the model has 'THE' in it"]),
        ("word", ["he be", "ee, "], []),
        ("byte", ["\\temp", "☃"], []),
    ],
)  # fmt: skip
def test_a_stop_string_that_can_never_match_is_named_with_the_reason(
    level: str, stops: list[str], sentences: list[str]
) -> None:
    tokenizer = build_tokenizer(text="the bee, the sea\n" * 3, config=TokenizerConfig(level))  # type: ignore[arg-type]
    assert never_met(stops, tokenizer) == sentences
