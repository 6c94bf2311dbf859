"""A set of texts that keeps their hashes answers as a set of strings does."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnngen.text import text_set
from rnngen.text.text_set import TextSet

texts = st.lists(st.text(max_size=3))


@settings(deadline=None)
@given(texts, texts)
def test_it_has_what_was_added_and_nothing_else(added: list[str], asked: list[str]) -> None:
    seen = TextSet(added)
    assert [text in seen for text in [*added, *asked]] == [text in set(added) for text in [*added, *asked]]


def test_texts_are_found_before_and_after_they_are_sorted_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_set, "_MOST_RECENT", 7)
    seen = TextSet()
    for number in range(100):
        assert str(number) not in seen
        seen.add(str(number))
        seen.add("0")
        assert all(str(earlier) in seen for earlier in range(number + 1))
    assert not any(str(number) in seen for number in range(100, 300))
