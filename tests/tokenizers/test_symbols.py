"""How symbols are shown to a person."""

from __future__ import annotations

import pytest

from rnngen.printable import codepoint, visible
from rnngen.tokenizers.symbols import Unknown


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        ("the", "the"),
        (" the", "\u2581the"),
        ("\t\n\r", "\\t\\n\\r"),
        (r"C:\new", r"C:\new"),
        ("\x00\x1b\xa0", "\\x00\\x1b\\xa0"),
        ("\u200b", "\\u200b"),
        ("\U000e0001", "\\U000e0001"),
        ("\ud800", "\\ud800"),
        ("é\U0001f600", "é\U0001f600"),
        ("", ""),
    ],
)
def test_a_token_is_shown_as_one_printable_word(token: str, shown: str) -> None:
    assert visible(token) == shown
    assert shown == "" or (shown.isprintable() and len(shown.split()) == 1)


@pytest.mark.parametrize(
    ("character", "shown"),
    [
        ("é", "U+00E9 LATIN SMALL LETTER E WITH ACUTE"),
        ("\U0001f600", "U+1F600 GRINNING FACE"),
        ("\t", "U+0009"),
    ],
)
def test_a_character_is_named_by_its_code_point_and_unicode_name(character: str, shown: str) -> None:
    assert codepoint(character) == shown


@pytest.mark.parametrize(
    ("symbol", "shown"),
    [
        ("é", "'é' (U+00E9 LATIN SMALL LETTER E WITH ACUTE) at character 5"),
        ("\t", "'\\t' (U+0009) at character 5"),
        ("zeugma", "'zeugma' at character 5"),
        ("\u3000\u3000", "'\\u3000\\u3000' at character 5"),
        ("a" * 201, "'" + "a" * 200 + "' at character 5"),
    ],
)
def test_an_unknown_symbol_is_named_with_its_place_counted_from_one(symbol: str, shown: str) -> None:
    assert str(Unknown(symbol, 4)) == shown
