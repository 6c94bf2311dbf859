"""Spans at every level, and encoding a text with unknown symbols."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_tokenizers import CONFIGS, TEXT, build

from rnngen.config import TokenizerConfig
from rnngen.errors import TokenizerError
from rnngen.tokenizers import levels
from rnngen.tokenizers.base import Encoded, Tokenizer, encode_known
from rnngen.tokenizers.char import CharTokenizer
from rnngen.tokenizers.symbols import Unknown
from rnngen.tokenizers.word import WordTokenizer


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_line_break_is_one_token_at_every_level(config: TokenizerConfig) -> None:
    tokenizer = build(config)
    assert tokenizer.encode("\n").tolist() == [tokenizer.newline_id]
    assert tokenizer.encode(TEXT).tolist().count(tokenizer.newline_id) == TEXT.count("\n")
    assert tokenizer.token(tokenizer.newline_id) == tokenizer.decode([tokenizer.newline_id]) == "\n"


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@settings(deadline=None)
@given(st.text(st.characters() | st.sampled_from("to be,\t\n\x1c\u2581\u3000\u0301\ufeff\U0001f600♜")))
def test_each_id_has_a_span_and_spans_run_on_through_the_text(config: TokenizerConfig, text: str) -> None:
    tokenizer = build(config)
    ids, spans = tokenizer.encode(text), tokenizer.spans(text)
    assert spans.dtype == np.int64
    assert spans.shape == (len(ids), 2)
    assert (spans[:, 0] < spans[:, 1]).all()
    assert (np.diff(spans, axis=0) >= 0).all()
    surfaces = [text[start:end] for start, end in spans.tolist()]
    assert [place for place, id in enumerate(ids.tolist()) if id == tokenizer.newline_id] == [
        place for place, surface in enumerate(surfaces) if surface == "\n"
    ]
    covered = {place for start, end in spans.tolist() for place in range(start, end)}
    assert all(text[place].isspace() for place in set(range(len(text))) - covered)


def parts(encoded: Encoded) -> tuple[list[int], int, Unknown | None]:
    return encoded.ids.tolist(), encoded.n_unknown, encoded.first_unknown


def test_unknown_symbols_are_counted_and_kept_or_left_out() -> None:
    tokenizer = CharTokenizer("abc")
    first = Unknown("é", 1)
    assert parts(encode_known(tokenizer, "aébéx", "unk", "the text")) == ([2, 0, 3, 0, 0], 3, first)
    assert parts(encode_known(tokenizer, "aébéx", "skip", "the text")) == ([2, 3], 3, first)
    assert encode_known(tokenizer, "aébéx", "unk", "the text", offset=100).first_unknown == Unknown("é", 101)


@pytest.mark.parametrize("on_unknown", ["error", "unk", "skip"])
def test_a_text_without_unknown_symbols_is_encoded_as_it_is(on_unknown: Any) -> None:
    assert parts(encode_known(CharTokenizer("abc"), "ab\n", on_unknown, "the text")) == ([2, 3, 1], 0, None)
    byte = levels.from_dict({"level": "byte"})
    assert parts(encode_known(byte, "é", on_unknown, "the text")) == ([0xC3, 0xA9], 0, None)


@pytest.mark.parametrize(
    ("tokenizer", "text", "symbol"),
    [
        (CharTokenizer("abc"), "ab\né", "'é' (U+00E9 LATIN SMALL LETTER E WITH ACUTE) at character 4"),
        (WordTokenizer(["so"], "punctuation"), "so wherefore", "'wherefore' at character 4"),
        (WordTokenizer(["so"], "whitespace"), "<unk> so-so", "'so-so' at character 7"),
        (CharTokenizer("so"), "so ", "'\u2581' (U+0020 SPACE) at character 3"),
    ],
)
def test_an_unknown_symbol_can_be_an_error_that_names_it_and_the_options(
    tokenizer: Tokenizer, text: str, symbol: str
) -> None:
    with pytest.raises(TokenizerError) as error:
        encode_known(tokenizer, text, "error", "line 7")
    assert str(error.value) == (
        f"line 7 has a symbol that the model does not know: {symbol}; "
        "--on-unknown skip leaves such symbols out, --on-unknown unk takes them as the unknown symbol"
    )


def test_a_written_unk_in_split_text_counts_but_is_no_error() -> None:
    tokenizer = WordTokenizer(["so"], "whitespace")
    assert parts(encode_known(tokenizer, "so <unk>", "error", "the text")) == ([2, 0], 1, None)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("on_unknown", ["unk", "skip"])
def test_kept_ids_have_spans_in_the_text_and_in_what_is_known_of_it(config: TokenizerConfig, on_unknown: Any) -> None:
    tokenizer = build(config)
    text = "to Ж be, 漢字 <unk> or\tnotЖ"
    encoded = encode_known(tokenizer, text, on_unknown, "the text")
    ids, spans = tokenizer.encode(text), tokenizer.spans(text)
    kept = ids != tokenizer.unk_id if on_unknown == "skip" else np.full(len(ids), True)
    assert encoded.ids.tolist() == ids[kept].tolist()
    assert encoded.spans.tolist() == spans[kept].tolist()
    left_out = {place for start, end in spans[~kept].tolist() for place in range(start, end)}
    assert encoded.known_text == "".join(sign for place, sign in enumerate(text) if place not in left_out)
    assert [encoded.known_text[start:end] for start, end in encoded.known_spans.tolist()] == [
        text[start:end] for start, end in spans[kept].tolist()
    ]


def test_where_subwords_stand_is_found_without_encoding_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = build(CONFIGS["bpe"])
    encoded, spans = encode_known(tokenizer, "to be", "unk", "the text"), tokenizer.spans("to be")
    monkeypatch.setattr(type(tokenizer), "encode", None)
    assert encoded.spans.tolist() == encoded.known_spans.tolist() == spans.tolist()
