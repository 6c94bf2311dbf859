"""Unknown symbols: the Unicode form in which fewer are unknown, and the share of words."""

from __future__ import annotations

import unicodedata
from types import SimpleNamespace
from typing import Any

import pytest

from rnngen.config import TokenizerConfig
from rnngen.tokenizers import levels
from rnngen.tokenizers.base import encode_known
from rnngen.tokenizers.unknowns import Unknowns, better_form, unknown_share
from rnngen.tokenizers.word import WordTokenizer

FRENCH = "l'été où le garçon rêve à Noël\n"
OF_FORM = {form: unicodedata.normalize(form, FRENCH) for form in ("NFC", "NFD")}


def tokenizer_of(text: str, **config: Any) -> Any:
    return levels.build(TokenizerConfig(**config), SimpleNamespace(chunks=lambda: iter([text * 20])))  # type: ignore[arg-type]


@pytest.mark.parametrize("config", [{}, {"level": "word"}, {"level": "subword", "vocab_size": 300}])
@pytest.mark.parametrize(("own", "other"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_the_form_of_the_vocabulary_is_found_for_a_text_in_the_other(config, own, other):
    tokenizer = tokenizer_of(OF_FORM[own], **config)
    assert better_form(tokenizer, OF_FORM[other]) == own
    assert better_form(tokenizer, OF_FORM[own]) is None
    assert better_form(tokenizer, "ete") is None
    assert better_form(tokenizer, "\u043b\u0435\u0442\u043e") is None  # unknown in either form


def test_bytes_know_both_forms():
    assert better_form(tokenizer_of(OF_FORM["NFC"], level="byte"), OF_FORM["NFD"]) is None


def test_the_note_names_the_form_and_the_remedy():
    tokenizer, unknowns = tokenizer_of(OF_FORM["NFC"]), Unknowns()
    unknowns.add(encode_known(tokenizer, "xyz", "unk", "the text"))
    assert unknowns.note("the text", "unk").endswith("U+0078 LATIN SMALL LETTER X) at character 1")
    unknowns.add(encode_known(tokenizer, OF_FORM["NFD"], "unk", "the text"))
    assert unknowns.form == "NFC"
    assert unknowns.note("the text", "unk").endswith(
        "; in Unicode form NFC fewer are: convert it, as uconv -x nfc does"
    )
    assert Unknowns.of_all([Unknowns(), unknowns]).form == "NFC"


def test_the_share_of_unknown_words_leaves_marks_and_line_breaks_out():
    tokenizer = WordTokenizer(["bell", "rings", "￭,"], "punctuation")
    assert unknown_share(tokenizer, tokenizer.encode("the bell, the ferry,\n\nrings, rings")) == 3 / 6
    assert unknown_share(tokenizer, tokenizer.encode("\n")) == 0
