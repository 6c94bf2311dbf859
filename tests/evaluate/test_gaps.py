"""Gaps of lines: the tokens around them, and what may stand in each."""

from __future__ import annotations

import pytest
from small_tokenizers import CONFIGS, build

from rnngen.errors import ConfigError, DataError, TokenizerError
from rnngen.evaluate.gaps import GapLength, find_gaps

CHAR, WORD, SPLIT, SUBWORD = (build(CONFIGS[name]) for name in ("char", "word", "split word", "unigram"))


def find(tokenizer, line, mark="___", on_unknown="unk"):
    return find_gaps(tokenizer, line, mark, on_unknown, "line 1")


def shown(tokenizer, gapped):
    return [[tokenizer.token(id) for id in ids] for ids in gapped.ids]


@pytest.mark.parametrize(
    ("tokenizer", "line", "around"),
    [
        (CHAR, "to __", [["t", "o", " "], []]),
        (CHAR, "____to", [[], [], ["t", "o"]]),
        (WORD, "__ be, or __ to be__", [[], ["be", "￭,", "or"], ["to", "be"], []]),
        (WORD, "to be, or not", None),
        (SPLIT, "to __ or __", [["to"], ["or"], []]),
        (SPLIT, "__", [[], []]),
    ],
)
def test_the_tokens_around_gaps(tokenizer, line, around):
    if around is None:
        with pytest.raises(DataError, match="line 1 has no gap: write __"):
            find(tokenizer, line, "__")
    elif line.endswith("be__"):
        with pytest.raises(DataError, match="line 1: a gap is a part of a word"):
            find(tokenizer, line, "__")
    else:
        assert shown(tokenizer, find(tokenizer, line, "__")) == around


@pytest.mark.parametrize("name", CONFIGS)
def test_a_gap_at_the_start_and_the_end_of_a_line(name):
    tokenizer = build(CONFIGS[name])
    for line in ("___ be", "to ___", "___"):
        gapped = find(tokenizer, line)
        whole = [id for ids in gapped.ids for id in ids.tolist()]
        expected = tokenizer.encode(line.replace("___", "").strip(" ") if name in ("word", "split word") else "")
        if len(expected):
            assert whole == expected.tolist()
        [gap] = gapped.gaps
        assert len(gap.first_ids)
        for id in gap.first_ids.tolist()[:50]:
            assert tokenizer.newline_id != id
            assert id not in tokenizer.never_drawn


def test_a_filler_starts_with_the_space_before_it_and_only_with_that():
    [after_a_space] = find(WORD, "to ___").gaps
    [at_a_comma] = find(WORD, "to be ,___").gaps
    words = {WORD.token(id) for id in after_a_space.first_ids.tolist()}
    joined = {WORD.token(id) for id in at_a_comma.first_ids.tolist()}
    assert "be" in words - joined
    assert "￭," in joined - words
    [gap] = find(SUBWORD, "to ___").gaps
    assert (gap.before, gap.owed) == ("to", " ")
    assert all(SUBWORD.decoder("to").peek(id).startswith(" ") for id in gap.first_ids.tolist())
    assert not all(SUBWORD.decoder("to").peek(id).startswith(" ") for id in gap.next_ids.tolist())


def test_a_line_is_put_together_again():
    gapped = find(WORD, "to ___ or ___")
    assert gapped.n_gaps == 2
    assert gapped.filled(("be", "not")) == "to be or not"
    assert gapped.gaps[0].text([WORD.encode("be")[0]]) == "be"


@pytest.mark.parametrize("on_unknown", ["error", "unk", "skip"])
def test_unknown_symbols_around_a_gap(on_unknown):
    if on_unknown == "error":
        with pytest.raises(TokenizerError, match="line 1"):
            find(CHAR, "toX ___", on_unknown=on_unknown)
    else:
        [before, _] = find(CHAR, "toX ___", on_unknown=on_unknown).ids
        assert (CHAR.unk_id in before.tolist()) == (on_unknown == "unk")


@pytest.mark.parametrize("mark", ["", " ", "\t"])
def test_a_mark_needs_a_character(mark):
    with pytest.raises(ConfigError, match=r"gap is .*: the mark of a gap must have a character"):
        find(CHAR, "to be", mark)


@pytest.mark.parametrize("text", ["0", "-1", "3-2", "17", "x", "", "1-", "1-2-3"])
def test_lengths_that_are_none(text):
    with pytest.raises(ConfigError, match=r"gap_length is .*: it must be a number up to 16, or a range such as 1-8"):
        GapLength.of(text)
