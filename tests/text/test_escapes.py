"""Escapes in the texts of options: one rule for all of them."""

from __future__ import annotations

import pytest

from rnngen.text.escapes import doubtful_escape, escape, model_text, unescape


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        (r"A\n", "A\n"),
        (r"\temp", "\temp"),
        (r"\\temp", r"\temp"),
        (r"\\new", r"\new"),
        (r"\\\new", "\\\new"),
        (r"\\\\n", r"\\n"),
        (r"a\0b", "a\0b"),
        (r"\r\n", "\r\n"),
        (r"\section{\alpha}", r"\section{\alpha}"),
        ("ends with \\", "ends with \\"),
        ("", ""),
    ],
)
def test_one_rule_and_a_backslash_can_be_written(argument: str, text: str) -> None:
    assert unescape(argument) == text
    assert unescape(escape(text)) == text


def test_crlf_is_the_line_break_of_every_text() -> None:
    assert model_text(r"one\r\ntwo") == model_text("one\r\ntwo") == "one\ntwo"
    assert model_text(r"\\r\\n") == r"\r\n"


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        (r"\temp", r"\temp starts with a tab: write \\temp for a backslash"),
        (r"x\\y \new", r"\new starts with a line break: write \\new for a backslash"),
        (r"\rangle", r"\rangle starts with CR: write \\rangle for a backslash"),
        (r"C\C=N\n1ccnc1", r"\n1ccnc1 starts with a line break: write \\n1ccnc1 for a backslash"),
        (r"\\temp", None),
        (r"12\n13;", None),
        (r"\nPERRIN:", None),
        (r"\n\n", None),
        (r"\section", None),
    ],
)
def test_an_escape_that_may_be_the_name_of_a_macro_is_explained(argument: str, sentence: str | None) -> None:
    assert doubtful_escape(argument) == sentence
