"""Text for KenLM's lmplz."""

from __future__ import annotations

import re
from typing import Any

import pytest
from small_tokenizers import CONFIGS, TEXT, build

import rnngen
from rnngen.config import TokenizerConfig
from rnngen.errors import TokenizerError
from rnngen.tokenizers.unknowns import Unknowns
from rnngen.tokenizers.word import WordTokenizer

BEES = WordTokenizer(["the", "bee", "sees"], "whitespace")


def test_words_are_those_of_the_model_and_unknown_ones_have_a_name_that_lmplz_takes() -> None:
    unknowns = Unknowns()
    lines = rnngen.lmplz_lines(BEES, ["the  bee\tsees\n", "<unk> wasp ", "\n", "bee"], unknowns=unknowns)
    assert list(lines) == ["the bee sees\n", "<unknown> <unknown>\n", "\n", "bee\n"]
    assert unknowns.note("the text", "unk") == (
        "the text has 2 unknown symbols, taken as the unknown symbol; the first is 'wasp' at character 7 of line 2"
    )
    assert list(rnngen.lmplz_lines(BEES, ["the wasp"], "skip")) == ["the\n"]
    with pytest.raises(TokenizerError, match="line 1 has a symbol that the model does not know: 'wasp'"):
        list(rnngen.lmplz_lines(BEES, ["the wasp"], "error"))


def test_words_are_the_text_itself() -> None:
    text = "C:\\tmp ▁the a\u00a0b soft\u00adhyphen می\u200cخواهم a\vb"
    tokenizer = WordTokenizer(text.split(" "), "whitespace")
    assert list(rnngen.lmplz_lines(tokenizer, [text])) == [text + "\n"]


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_no_token_of_any_level_is_empty_or_white_space_or_refused_by_lmplz(config: TokenizerConfig) -> None:
    tokenizer: Any = build(config)
    [*lines, last] = [*(TEXT + "\t ▁ <unk> <s> \u2603").split("\n"), ""]
    for line, written in zip([*lines, last], rnngen.lmplz_lines(tokenizer, [*lines, last]), strict=True):
        # As lmplz divides a line (KenLM, lm/builder/corpus_count.cc).
        words = re.split("[\0\t\r ]", written.removesuffix("\n")) if written != "\n" else []
        assert len(words) == len(tokenizer.encode(line))
        assert "" not in words
        assert not {"<s>", "</s>", "<unk>"} & set(words)


@pytest.mark.parametrize("sign", ["<s>", "</s>", "<unknown>"])
def test_a_vocabulary_with_a_word_that_lmplz_refuses_is_refused(sign: str) -> None:
    with pytest.raises(TokenizerError, match=f"the vocabulary has {sign}, which a text for lmplz cannot have"):
        list(rnngen.lmplz_lines(WordTokenizer(["a", sign], "whitespace"), ["a"]))
