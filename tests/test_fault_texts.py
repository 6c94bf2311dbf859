"""A small part of the campaign of hostile texts, and of lines without an end."""

from __future__ import annotations

from collections import Counter

from faults import fuzz, fuzz_seeds, texts


def test_hostile_texts_are_read_or_refused_in_one_line_and_both_happen():
    endings: Counter[str] = Counter()
    target = "faults.text_target:read_text"
    outcome = fuzz.fuzz("text-fuzz", target, fuzz_seeds.write_checkpoints, 60, 3, 60.0, endings)
    assert outcome.lost == []
    assert endings["loaded"] + endings["refused"] == outcome.tried == 60
    assert min(endings["loaded"], endings["refused"]) > 5


def test_a_line_without_an_end_is_refused_or_cut_in_little_memory():
    outcome = texts.long_lines(0.05, 1)
    assert outcome.lost == []
    assert outcome.tried == 9
