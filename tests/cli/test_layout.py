"""Text that fits the width of the terminal."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from rnngen.cli.layout import aligned, wrapped

ROWS = [["", "all tokens", "without unknown"], ["nats", "1.25 ± 0.1", "1.0 ± 0.1"], ["bits per byte", "2.5", "-"]]


def test_a_table_that_fits_is_one_block():
    assert aligned(ROWS, 42) == (
        "               all tokens  without unknown\n"
        "nats           1.25 ± 0.1        1.0 ± 0.1\n"
        "bits per byte         2.5                -\n"
    )


def test_columns_that_do_not_fit_follow_in_a_block_of_their_own():
    assert aligned(ROWS, 41) == (
        "               all tokens\n"
        "nats           1.25 ± 0.1\n"
        "bits per byte         2.5\n"
        "\n"
        "               without unknown\n"
        "nats                 1.0 ± 0.1\n"
        "bits per byte                -\n"
    )


def test_columns_are_those_of_the_terminal_where_characters_are_wide_or_have_none():
    rows = [["", "token"], ["1.0", "どこへ"], ["2.0", "ab"], ["3.0", "e\u0301"]]
    assert aligned(rows, 80) == "      token\n1.0  どこへ\n2.0      ab\n3.0       e\u0301\n"


def test_where_no_column_fits_beside_the_first_its_cells_stand_below():
    assert aligned(ROWS, 20) == (
        "  all tokens\n"
        "nats\n"
        "  1.25 ± 0.1\n"
        "bits per byte\n"
        "         2.5\n"
        "\n"
        "  without unknown\n"
        "nats\n"
        "        1.0 ± 0.1\n"
        "bits per byte\n"
        "                -\n"
    )


def test_a_cell_wider_than_the_terminal_leaves_the_others_where_they_are_seen():
    rows = [["p", "token"], ["0.5", "ACGT" * 9], ["0.2", "A"]]
    assert aligned(rows, 20) == "p\n               token\n0.5\n  " + "ACGT" * 9 + "\n0.2\n                   A\n"


def test_a_line_is_wrapped_between_words_and_indented():
    assert (
        wrapped("words   what blanks separate; ppl1", 20, 8) == "words   what blanks\n        separate;\n        ppl1"
    )
    assert wrapped("a-word-that-is-longer-than-the-line", 10) == "a-word-that-is-longer-than-the-line"


@pytest.mark.parametrize(
    ("columns", "stderr_columns", "width"), [("123", 57, 123), (None, 57, 57), (None, 0, 80), (None, None, 80)]
)
def test_the_width_is_that_of_columns_or_of_any_terminal_there_is_or_80(columns, stderr_columns, width):
    import fcntl
    import struct
    import termios

    leader, follower = os.openpty()
    if stderr_columns is not None:
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, stderr_columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    done = subprocess.run(
        [sys.executable, "-c", "from rnngen.cli.layout import terminal_width; print(terminal_width())"],
        env=environment | ({"COLUMNS": columns} if columns else {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if stderr_columns is None else follower,
        timeout=60,
    )
    os.close(leader)
    os.close(follower)
    assert int(done.stdout) == width
