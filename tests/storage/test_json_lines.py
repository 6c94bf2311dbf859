"""Records as lines of JSON."""

from __future__ import annotations

import json
import math

import pytest

from rnngen.storage.json_lines import json_line


@pytest.mark.parametrize("more", [{}, {"nan": math.nan}])
def test_a_line_of_json_is_one_line_for_every_reader(more):
    text = "".join(map(chr, range(0x100))) + "\u2028\u2029 漢 \U0001f600"
    written = json_line({"text": text, text: [{"inner": text}], **more})
    assert written.splitlines() == [written.removesuffix("\n")]
    assert json.loads(written) == {"text": text, text: [{"inner": text}], **dict.fromkeys(more)}


def test_line_separators_are_escaped_and_other_characters_stand_as_they_are():
    assert json_line({"a": "x\u2028y\u2029z\u0085é漢"}) == '{"a": "x\\u2028y\\u2029z\\u0085é漢"}\n'


def test_an_escape_that_the_text_has_itself_stays_what_it_is():
    assert json.loads(json_line({"a": r"\u2028 and \\u2029"})) == {"a": r"\u2028 and \\u2029"}


def test_numbers_that_are_not_finite_become_null_anywhere():
    record = {"a": math.nan, "b": [math.inf, 1.5], "c": {"d": -math.inf}}
    assert json_line(record) == '{"a": null, "b": [null, 1.5], "c": {"d": null}}\n'
