"""`score --color --alternatives`: rows of likelier tokens, to check by eye; the same as JSON."""

from __future__ import annotations

import pytest

from rnngen.cli.color_format import alternatives_row
from rnngen.evaluate.alternatives import SurprisingToken


def row(line: str, /, width: int = 80, **changes) -> str:
    token = SurprisingToken(
        **{"number": 2, "start": 1, "token": "b", "text": "b", "surprisal_bits": 2.32, "likelier": ()} | changes
    )
    return alternatives_row(line, token, width)


def test_a_row_has_the_place_the_text_before_the_token_its_bits_and_what_is_likelier():
    assert row("abc", likelier=(("a", 0.3), ("\n", 0.06))) == (
        "      2            a 'b' 2.3 bits, likelier: 'a' 30 %, '\\n' 6.0 %\n"
    )
    assert row("abc", number=4, start=3, token="\n", text="\n", surprisal_bits=4.06, likelier=(("a", 0.3),)) == (
        "      4          abc '\\n' 4.1 bits, likelier: 'a' 30 %\n"
    )


def test_a_row_goes_on_under_the_token_where_the_terminal_ends():
    likelier = (("どこ", 0.3), ("b", 0.2), ("c", 0.1))
    folded = (
        "      2            a 'b' 2.3 bits, likelier: 'どこ' 30 %,\n"
        "                     'b' 20 %, 'c' 10 %\n"
    )  # fmt: skip
    assert row("abc", 57, likelier=likelier) == row("abc", 66, likelier=likelier) == folded
    assert row("abc", 67, likelier=likelier).count("\n") == 2
    assert row("abc", 77, likelier=likelier).count("\n") == 1


@pytest.mark.parametrize(("probability", "shown"), [(0.9951, "100 %"), (0.0996, "10 %"), (0.00099, "<0.1 %")])
def test_percents_are_short(probability, shown):
    assert row("ab", likelier=((" ", probability),)).endswith(f"likelier: '▁' {shown}\n")


def test_control_characters_are_escaped_and_an_unknown_symbol_is_shown_as_it_stands_in_the_text():
    unknown = {"number": 12, "start": 4, "token": "<unk>", "text": "猫", "surprisal_bits": 9.34}
    shown = row("漢\x1b\t字猫", **unknown, likelier=(("\x07", 0.1),))
    assert shown == "     12   漢\\x1b\\t字 '猫' 9.3 bits, likelier: '\\x07' 10 %\n"


def test_a_combining_mark_does_not_stand_on_its_quotation_mark():
    shown = row("e\u0301", number=1, token="\u0301", text="\u0301", surprisal_bits=3.0, likelier=(("\u0308", 0.5),))
    assert shown == "      1            e '◌\u0301' 3.0 bits, likelier: '◌\u0308' 50 %\n"


def test_of_a_long_token_the_start_is_shown():
    shown = row("ab", likelier=(("A" * 4000, 0.3),)).replace("\n", "").replace(" ", "")
    assert shown == f"2a'b'2.3bits,likelier:'{'A' * 200}'…30%"


def test_a_byte_is_shown_as_a_byte_and_the_likeliest_token_as_such():
    shown = row("漢", number=1, start=0, token="<0xE6>", text="漢", surprisal_bits=4.0)
    assert shown == "      1              '<0xE6>' 4.0 bits, nothing is likelier\n"


def test_rows_and_json_say_the_same(rnngen, models):
    arguments = ["score", "-", "-m", models["char"], "-q", "--alternatives", 2]
    painted = rnngen(*arguments, "--color", stdin=b"zqx\n").out.splitlines()
    [record] = rnngen(*arguments, "--json", stdin=b"zqx\n").records
    rows = [line for line in painted if "likelier" in line]
    assert len(rows) == len(record["alternatives"]) == 3
    for shown, token in zip(rows, record["alternatives"], strict=True):
        assert list(token) == ["token_number", "token", "text", "surprisal_bits", "likelier"]
        assert f"{token['surprisal_bits']:.1f} bits" in shown
        for other in token["likelier"]:
            assert list(other) == ["token", "probability"]
            assert other["token"].replace(" ", "▁").replace("\n", "\\n") in shown
