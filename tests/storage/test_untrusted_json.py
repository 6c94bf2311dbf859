"""JSON of unknown origin in bounded memory and depth."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from rnngen.storage.untrusted_json import MOST_CHARS, MOST_DEPTH, parse


def test_what_python_writes_is_read_back():
    value = {"a": [1, -2.5, None, True, '\ud800\n"', {}], "b": 2**127, "": float("inf")}
    assert parse(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1, "b": {"c": 2, "c": 3}}', "a name twice in one object"),
        ("1" * 5000, "a number too large"),
        (str(2**128), "a number too large"),
        ("[" * 100_000, "too deep"),
        ("[" * (MOST_DEPTH + 2) + "]" * (MOST_DEPTH + 2), "too deep"),
        ("[1,", "Expecting value"),
        (" " * MOST_CHARS + "1", "1,000,001 characters, where 1,000,000 are the most"),
    ],
    ids=range(7),
)
def test_what_could_do_harm_is_refused_with_the_reason(text, reason):
    with pytest.raises(ValueError, match=reason):
        parse(text)


def test_a_value_of_the_largest_depth_is_read():
    assert parse("[" * MOST_DEPTH + "]" * MOST_DEPTH)


@pytest.mark.parametrize("part", ["[]", '{"a":{}}', "[" * 60 + "]" * 60, '{"":' * 60 + "0" + "}" * 60])
def test_the_values_take_fifty_times_the_memory_of_the_text_at_most(part):
    text = "[" + ",".join([part] * (100_000 // len(part))) + "]"
    tracemalloc.start()
    parse(text)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 50 * len(text)
