"""The heat map: examples to check by eye; and no text gets out of line or injects escape sequences."""

from __future__ import annotations

import io
import math
import os
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from rnngen.cli import heat_map
from rnngen.cli.heat_map import cells_of, legend, paint, pieces_of, wants_colors
from rnngen.tokenizers.char import ByteTokenizer, CharTokenizer
from rnngen.tokenizers.word import WordTokenizer

GUTTER = 8
# Characters that are trouble: control, escape, bidi, wide, joining and combining ones, and a lone surrogate.
TROUBLE = "ab \t\r\x07\x1b\x7f\x9b\\[m\u202e\u200d\u2028漢😀\u0301\ufe0f\U0001f3fd\u1160é\ud800"
texts = st.text(st.sampled_from(TROUBLE) | st.characters(exclude_characters="\n"), max_size=60)


def without_escapes(painted: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", painted)


def rows(painted: str) -> tuple[list[str], list[str]]:
    """The text rows and the mark rows, without what stands in front of them."""
    lines = [line[GUTTER:] for line in painted.split("\n")[:-1]]
    return lines[::2], lines[1::2]


def test_a_line_has_its_number_and_its_bits_in_front_and_a_mark_under_each_token():
    assert paint(1, ["a", " ", "b", "\n"], [0.5, 3, 14, 1.5], 80, colors=False) == (
        "      1 a b⏎\n"
        "   19.0 ▁▃█▂\n"
    )  # fmt: skip


def test_with_colors_the_same_characters_stand_there_on_the_background_of_their_class():
    surfaces, bits = ["a", " ", "b", "\n"], [0.5, 3, 14, 1.5]
    painted = paint(1, surfaces, bits, 80, colors=True)
    assert without_escapes(painted) == paint(1, surfaces, bits, 80, colors=False)
    assert painted.split("\n")[0] == (
        "\x1b[2m      1\x1b[0m a"
        "\x1b[38;5;16;48;5;110m \x1b[0m\x1b[38;5;16;48;5;199mb\x1b[0m\x1b[38;5;16;48;5;248m⏎\x1b[0m"
    )


def test_tokens_of_one_class_share_their_escape_codes():
    painted = paint(1, ["ab", "cd"], [7, 8], 80, colors=True)
    assert "\x1b[38;5;16;48;5;215mabcd\x1b[0m\n" in painted


@pytest.mark.parametrize(
    ("bits", "mark"),
    [
        (-0.0, "▁"),
        (0.99, "▁"),
        (1, "▂"),
        (2, "▃"),
        (4, "▄"),
        (5.99, "▄"),
        (6, "▅"),
        (9, "▆"),
        (13, "█"),
        (math.inf, "█"),
    ],
)
def test_a_class_starts_at_its_lower_border(bits, mark):
    assert rows(paint(1, ["x"], [bits], 80, colors=False)) == (["x"], [mark])


def test_a_word_has_its_mark_under_each_of_its_columns_and_a_wide_character_has_two():
    text, marks = rows(paint(1, ["the", " 漢字", "😀", "!"], [3, 7, 0, 5], 80, colors=False))
    assert (text, marks) == (["the 漢字😀!"], ["▃▃▃▅▅▅▅▅▁▁▄"])


def test_what_was_not_scored_has_no_mark_and_no_share_of_the_bits():
    painted = paint(2, ["the", " ", "end", "?"], [3, math.nan, 4, math.nan], 80, colors=True)
    assert without_escapes(painted) == (
        "      2 the end?\n"
        "    7.0 ▃▃▃ ▄▄▄\n"
    )  # fmt: skip
    assert painted.split("\n")[0].endswith("mend\x1b[0m?")


def test_a_surprisal_of_nothing_but_rounding_is_0_bits():
    assert paint(1, ["a", "b"], [-0.0, -1e-7], 80, colors=False) == "      1 ab\n    0.0 ▁▁\n"


def test_an_empty_line_is_its_line_break_and_without_it_an_empty_row():
    assert paint(3, ["\n"], [7.7], 80, colors=False) == "      3 ⏎\n    7.7 ▅\n"
    assert paint(3, [], [], 80, colors=False) == "      3 \n    0.0\n"


def test_a_long_line_folds_with_its_marks_under_it():
    assert paint(7, [*"abcdefghijklm", "\n"], [0, 3] * 7, 18, colors=False) == (
        "      7 abcdefghij\n"
        "   21.0 ▁▃▁▃▁▃▁▃▁▃\n"
        "        klm⏎\n"
        "        ▁▃▁▃\n"
    )  # fmt: skip


def test_a_wide_character_or_an_escape_that_does_not_fit_starts_the_next_row():
    text, marks = rows(paint(1, ["a" * 9, "漢", "\x1b"], [0, 3, 14], 18, colors=False))
    assert (text, marks) == (["aaaaaaaaa", "漢\\x1b"], ["▁▁▁▁▁▁▁▁▁", "▃▃████"])


@pytest.mark.parametrize("width", [0, 1, 18])
def test_on_a_terminal_too_narrow_ten_columns_of_text_remain(width):
    assert rows(paint(1, ["a"] * 15, [0.0] * 15, width, colors=False))[0] == ["a" * 10, "a" * 5]


def test_large_numbers_widen_what_stands_in_front_of_both_rows():
    assert paint(123_456_789, ["a"], [0], 80, colors=False) == "123456789 a\n      0.0 ▁\n"
    assert paint(1, ["a"], [1234567.25], 80, colors=False) == "        1 a\n1234567.2 █\n"


@pytest.mark.parametrize(
    ("surface", "shown"),
    [
        ("\x1b[31m", "\\x1b[31m"),
        ("a\tb\r\x07", "a\\tb\\r\\x07"),
        ("\x9b1m\\", "\\x9b1m\\"),
        ("\u202e\u2028\ud800", "\\u202e\\u2028\\ud800"),
        ("  ", "  "),
        ("[bold]", "[bold]"),  # no markup
        ("e\u0301x", "e\u0301x"),
        ("\u0301x", "◌\u0301x"),
        ("👍\U0001f3fd❤\ufe0f", "👍\\U0001f3fd❤\\ufe0f"),
        ("👨\u200d👩", "👨\\u200d👩"),
        ("\u1160", "\\u1160"),
    ],
)
def test_what_is_no_sign_of_its_own_is_escaped_or_stands_on_a_circle(surface, shown):
    text, marks = rows(paint(1, [surface], [3], 80, colors=False))
    assert (text, marks) == ([shown], ["▃" * cell_len(shown)])


def test_a_combining_mark_that_is_a_token_has_a_column_and_a_mark_of_its_own():
    text, marks = rows(paint(1, ["e", "\u0301", "x"], [0, 14, 3], 80, colors=False))
    assert (text, marks) == (["e◌\u0301x"], ["▁█▃"])


@given(st.lists(texts, max_size=8), st.integers(18, 100))
def test_any_text_stays_within_the_width_and_its_marks_under_it(surfaces, width):
    painted = paint(1, surfaces, [3.0] * len(surfaces), width, colors=False)
    for text, marks in zip(*rows(painted), strict=True):
        assert sum(map(cell_len, text)) == len(marks) <= width - GUTTER
    assert all(character.isprintable() for character in painted.replace("\n", ""))


@given(st.lists(texts, max_size=8), st.integers(18, 100))
def test_colors_only_add_escape_codes_whatever_the_text(surfaces, width):
    bits = [float(2 * place) for place in range(len(surfaces))]
    painted = paint(1, surfaces, bits, width, colors=True)
    assert without_escapes(painted) == paint(1, surfaces, bits, width, colors=False)


@pytest.mark.parametrize("width", [40, 60, 79])
def test_the_legend_fits_a_narrow_terminal_and_loses_nothing(width):
    plain = legend(colors=False, width=width)
    assert max(map(len, plain.splitlines())) <= width
    assert plain.split() == legend(colors=False).split()
    assert without_escapes(legend(colors=True, width=width)) == plain


def test_the_legend_fits_on_a_terminal_and_names_every_class():
    plain = legend(colors=False)
    assert plain == (
        "surprisal in bits: ▁ 0-1   ▂ 1-2   ▃ 2-4   ▄ 4-6   ▅ 6-9   ▆ 9-13   █ 13+ \n"
        "in front of a line its number and its bits; ⏎ is the line break that ends it\n"
    )
    assert max(map(len, plain.split("\n"))) <= 80
    assert without_escapes(legend(colors=True)) == plain
    assert "\x1b[38;5;16;48;5;203m 9-13 \x1b[0m" in legend(colors=True)


def luminance(color: int) -> float:
    """Relative luminance of one of xterm's 256 colours (WCAG 2.1)."""
    if color >= 232:
        channels = [8 + 10 * (color - 232)] * 3
    else:
        channels = [[0, 95, 135, 175, 215, 255][(color - 16) // step % 6] for step in (36, 6, 1)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (part / 255 for part in channels)]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_letters_can_be_read_on_every_background():
    backgrounds = [color for color in heat_map._BACKGROUNDS if color is not None]
    assert len(set(backgrounds)) == len(heat_map._MARKS) - 1
    for color in backgrounds:
        contrast = (luminance(color) + 0.05) / (luminance(heat_map._BLACK) + 0.05)
        assert contrast >= 4.5, color


@pytest.mark.parametrize(
    ("variables", "on_terminal", "elsewhere"),
    [
        ({}, True, False),
        ({"TERM": "dumb"}, False, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": ""}, True, False),
        ({"CLICOLOR_FORCE": "1", "TERM": "dumb"}, True, True),
        ({"CLICOLOR_FORCE": "0"}, True, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
    ],
)
def test_colors_are_for_terminals_and_for_those_who_ask(monkeypatch, variables, on_terminal, elsewhere):
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm", **variables}.items():
        monkeypatch.setenv(name, value)
    leader, follower = os.openpty()
    with open(follower, "w") as terminal:
        assert wants_colors(terminal) == on_terminal
    os.close(leader)
    assert wants_colors(io.StringIO()) == elsewhere


def pieces_by(tokenizer, text: str, bits=None) -> list[tuple[str, float]]:
    spans = tokenizer.spans(text)
    return list(zip(*pieces_of(text, spans, bits or [1.0] * (len(spans) + 1)), strict=True))


def test_the_space_that_two_words_imply_is_not_scored():
    words = WordTokenizer(["a", "b", "￭,"], "punctuation")
    assert pieces_by(words, "a, b", [1, 2, 3, 4]) == [
        ("a", 1),
        (",", 2),
        (" ", pytest.approx(math.nan, nan_ok=True)),
        ("b", 3),
        ("\n", 4),
    ]


def test_the_bytes_of_a_character_are_one_piece_with_their_sum():
    assert pieces_by(ByteTokenizer(), "aé漢", [1, 2, 3, 4, 5, 6, 7]) == [("a", 1), ("é", 5), ("漢", 15), ("\n", 7)]


def test_symbols_left_out_and_tokens_before_the_first_scored_one_stand_there_unscored():
    pieces, bits = pieces_of("xaxbx", np.array([[1, 2], [3, 4]]), [5.0, 6.0])
    assert pieces == ["x", "a", "x", "b", "x"]
    np.testing.assert_equal(bits, [math.nan, 5, math.nan, 6, math.nan])


def test_an_empty_line_has_no_piece_or_its_line_break():
    nothing = np.zeros((0, 2), np.int64)
    assert pieces_of("", nothing, []) == ([], [])
    assert pieces_of("", nothing, [2.5]) == (["\n"], [2.5])


@pytest.mark.parametrize("tokenizer", [ByteTokenizer(), CharTokenizer("ab"), WordTokenizer(["a", "￭b"], "punctuation")])
@given(text=texts)
def test_pieces_are_the_line_and_have_all_its_bits(tokenizer, text):
    pieces = pieces_by(tokenizer, text)
    assert "".join(surface for surface, _ in pieces) == text + "\n"
    assert sum(bits for _, bits in pieces if not math.isnan(bits)) == len(tokenizer.encode(text)) + 1


def test_marks_without_an_end_stand_on_signs_of_their_own():
    cells = cells_of("a" + "\u0301" * 1000, 0)
    assert max(len(cell.shown) for cell in cells) <= 33
    assert "".join(cell.shown for cell in cells).count("\u0301") == 1000
    assert {cell.width for cell in cells} == {1}
