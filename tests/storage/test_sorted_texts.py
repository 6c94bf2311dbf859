"""Sorting in bounded memory."""

from __future__ import annotations

import random
import tempfile

import pytest

from rnngen.errors import DataError
from rnngen.storage import sorted_texts as module
from rnngen.storage.sorted_texts import sorted_texts


@pytest.fixture
def records():
    """Keys that stand several times, numbers that do not."""
    found = [(float(number % 7), number, f"{number}\n☃\ud800") for number in range(50)]
    random.Random(1).shuffle(found)
    return found


def test_the_least_key_comes_first_and_of_equal_ones_the_least_number(records):
    assert list(sorted_texts(records)) == [text for _, _, text in sorted(records)]
    assert list(sorted_texts([])) == []


@pytest.mark.parametrize(("chars", "files"), [(1, 3), (3 * module.RECORD_CHARS, 64), (1, 64)])
def test_more_records_than_fit_into_memory_are_sorted_with_few_open_files(records, monkeypatch, chars, files):
    monkeypatch.setattr(module, "CHARS_IN_MEMORY", chars)
    monkeypatch.setattr(module, "MOST_FILES", files)
    assert list(sorted_texts(records)) == [text for _, _, text in sorted(records)]


def test_infinite_keys_come_last(monkeypatch):
    monkeypatch.setattr(module, "CHARS_IN_MEMORY", 1)
    assert list(sorted_texts([(float("inf"), 1, "a"), (2.0, 2, "b")])) == ["b", "a"]


def test_a_folder_without_room_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(DataError, match=r"cannot keep the lines to sort in .*missing: .*; set TMPDIR"):
        list(sorted_texts([(1.0, 1, "a")]))
