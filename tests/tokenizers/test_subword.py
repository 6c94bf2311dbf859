"""Subword level: SentencePiece without loss."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sentencepiece import SentencePieceTrainer

from rnngen.errors import DataError, TokenizerError
from rnngen.tokenizers import subword
from rnngen.tokenizers.subword import SubwordTokenizer


def text_of(*chunks: str) -> Any:
    return SimpleNamespace(chunks=lambda: iter(chunks))


MARROWMERE = Path(__file__).parents[2] / "corpora" / "marrowmere.txt"
TEXT = text_of(*(f"the cat number {n} sat on the mat,\n\n  counting {7 * n} mice.\n" for n in range(150)))
MANY_CHARACTERS = text_of("".join(map(chr, range(0x4E00, 0x4E00 + 300))) + "\n")
any_text = st.text(
    st.characters(exclude_categories=["Cs"])
    | st.sampled_from("the cat\0\t\n\r \u2581\u0301\u200d\ufeff\ufffd\U0001f600\U0010ffff")
)
TOKENIZERS = {model: SubwordTokenizer.build(TEXT, 320, model) for model in ("unigram", "bpe")}
each_model = pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS)


@each_model
@settings(deadline=None)
@given(any_text)
@example("<unk><s></s>\n<0x0A> <0xE2>")
@example(" \u2581 \u2581\u2581the\u2581cat ")
@example("  the  cat\t\t\n\n \n")
@example("a\0b\0")
def test_decode_undoes_encode_for_any_text(tokenizer: SubwordTokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert ids.dtype == np.int32
    assert not np.isin(ids, tokenizer.never_drawn).any()
    assert tokenizer.decode(ids) == text
    decoder = tokenizer.decoder()
    assert "".join(map(decoder.push, ids.tolist())) == text
    assert list(tokenizer.unknowns(text)) == []


@each_model
def test_a_line_break_is_a_token_of_its_own_and_lines_are_encoded_by_themselves(tokenizer: SubwordTokenizer) -> None:
    ids = tokenizer.encode("the cat\n\nthe mat").tolist()
    newline = tokenizer.newline_id
    assert ids == [*tokenizer.encode("the cat"), newline, newline, *tokenizer.encode("the mat")]
    assert tokenizer.token(newline) == "\n"
    assert tokenizer.encode("\n").tolist() == [newline]


@each_model
def test_the_tokens_of_known_words_joined_are_the_text(tokenizer: SubwordTokenizer) -> None:
    tokens = [tokenizer.token(id) for id in tokenizer.encode("the cat sat on the mat").tolist()]
    assert "".join(tokens) == "the cat sat on the mat"
    assert 1 < len(tokens) < 22


@each_model
def test_what_has_no_piece_goes_as_its_bytes_and_streams_as_whole_characters(tokenizer: SubwordTokenizer) -> None:
    ids = tokenizer.encode("\U0001f600").tolist()
    assert [tokenizer.token(id) for id in ids] == ["<0xF0>", "<0x9F>", "<0x98>", "<0x80>"]
    decoder = tokenizer.decoder()
    assert [decoder.push(id) for id in ids] == ["", "", "", "\U0001f600"]


@each_model
@pytest.mark.parametrize(
    ("text", "surfaces"),
    [
        ("\u2581", ["\u2581"] * 3),
        ("\ud800\n\U0001f600", ["\ud800"] * 3 + ["\n"] + ["\U0001f600"] * 4),
        ("\n\n", ["\n", "\n"]),
        ("", []),
    ],
)
def test_the_bytes_of_a_character_without_a_piece_have_the_span_of_the_character(
    tokenizer: SubwordTokenizer, text: str, surfaces: list[str]
) -> None:
    spans = tokenizer.spans(text)
    assert (spans.dtype, spans.shape) == (np.int64, (len(surfaces), 2))
    assert [text[start:end] for start, end in spans.tolist()] == surfaces


@each_model
@settings(deadline=None)
@given(any_text | st.text(st.sampled_from("the cat \u2581\ud800\udfff\n\u3000")))
@example("the cat\u2581the\ud800 mat\n\n  the cat ")
def test_a_piece_stands_where_its_own_characters_stand(tokenizer: SubwordTokenizer, text: str) -> None:
    spans = tokenizer.spans(text)
    written = re.sub("[\ud800-\udfff]", "\ufffd", text)
    covered = 0
    for id, (start, end) in zip(tokenizer.encode(text).tolist(), spans.tolist(), strict=True):
        byte = re.fullmatch("<0x(..)>", tokenizer.token(id))
        if byte:
            assert end == start + 1
            assert int(byte[1], 16) in written[start].encode()
        else:
            assert written[start:end] == tokenizer.token(id)
        assert start in (covered, covered - 1)  # the next character, or another byte of this one
        covered = end
    assert covered == len(text)


def test_a_model_that_changes_the_text_cannot_say_where_its_tokens_stand() -> None:
    model = io.BytesIO()
    SentencePieceTrainer.Train(
        sentence_iterator=TEXT.chunks(), model_writer=model, vocab_size=320, model_type="bpe", minloglevel=2,
        byte_fallback=True, user_defined_symbols=["\n"], normalization_rule_name="identity",
    )  # fmt: skip
    with pytest.raises(TokenizerError, match=r"^the SentencePiece model changes the text, .*; train another$"):
        SubwordTokenizer(model.getvalue()).spans("the  cat")


@pytest.mark.parametrize("model", ["unigram", "bpe"])
def test_the_same_text_makes_the_same_model(model: Any) -> None:
    assert SubwordTokenizer.build(TEXT, 320, model).model == TOKENIZERS[model].model


def test_the_vocabulary_size_asked_for_is_exact_for_bpe_and_a_bound_for_unigram() -> None:
    assert TOKENIZERS["bpe"].vocab_size == 320
    assert TOKENIZERS["unigram"].vocab_size <= 320


@pytest.mark.parametrize("model", ["unigram", "bpe"])
@pytest.mark.parametrize("text", [TEXT, text_of("hello world, hello\n"), text_of("to be or not\u2581to be\n\n\tor\n")])
def test_without_a_size_the_vocabulary_is_as_large_as_a_small_text_allows(text: Any, model: Any) -> None:
    tokenizer = SubwordTokenizer.build(text, None, model)
    assert tokenizer.vocab_size <= 450
    whole = "".join(text.chunks())
    assert tokenizer.decode(tokenizer.encode(whole)) == whole


def test_without_a_size_the_tokens_of_a_small_text_are_longer_than_characters() -> None:
    text = MARROWMERE.read_text("utf-8")[:40_000]
    tokenizer = SubwordTokenizer.build(text_of(text), None, "bpe")
    assert tokenizer.vocab_size == 450
    assert len(text) / len(tokenizer.encode(text)) > 1.7


@pytest.mark.parametrize("model", ["unigram", "bpe"])
@pytest.mark.parametrize("text", ["aaaaaaaaaa", "\n", "\n\n\n"])
def test_a_text_too_small_for_subwords_is_refused_in_words_of_the_user(text: str, model: Any) -> None:
    with pytest.raises(TokenizerError, match="text") as error:
        SubwordTokenizer.build(text_of(text), None, model)
    message = str(error.value)
    # The user named no vocabulary size, and cannot read SentencePiece's source.
    assert not any(word in message for word in ("vocab_size is", "INTERNAL", ".cc"))


@pytest.mark.parametrize("model", ["unigram", "bpe"])
def test_a_vocabulary_too_small_for_the_bytes_is_refused(model: Any) -> None:
    with pytest.raises(TokenizerError, match=r"^vocab_size is 267: a subword vocabulary needs 268 or more$"):
        SubwordTokenizer.build(TEXT, 267, model)


@pytest.mark.parametrize(
    ("text", "vocab_size", "model", "message", "change"),
    [
        (TEXT, 30_000, "bpe", r"vocab_size is 30000: this text allows at most (\d+) subwords; lower --vocab-size", 0),
        (MANY_CHARACTERS, 300, "bpe", r"vocab_size is 300: .*; raise --vocab-size above (\d+)", 1),
        (MANY_CHARACTERS, 300, "unigram", r"vocab_size is 300: .*; raise --vocab-size above (\d+)", 1),
    ],
    ids=["too large", "too small for bpe", "too small for unigram"],
)
def test_a_vocabulary_size_that_does_not_fit_the_text_is_refused_with_one_that_does(
    text: Any, vocab_size: int, model: Any, message: str, change: int
) -> None:
    with pytest.raises(TokenizerError) as error:
        SubwordTokenizer.build(text, vocab_size, model)
    found = re.fullmatch(message, str(error.value))
    assert found, str(error.value)
    named = int(found[1]) + change
    assert SubwordTokenizer.build(text, named, model).vocab_size <= named


@pytest.mark.parametrize("model", [b"", b"garbage", TOKENIZERS["bpe"].model[:100]], ids=["empty", "garbage", "cut"])
def test_bytes_that_are_no_model_are_refused(model: bytes) -> None:
    with pytest.raises(TokenizerError, match=r"^not a SentencePiece model: "):
        SubwordTokenizer(model)


@pytest.mark.parametrize(
    "options", [{"byte_fallback": True}, {"user_defined_symbols": ["\n"]}], ids=lambda o: next(iter(o))
)
def test_a_model_that_could_lose_text_is_refused(options: dict[str, Any]) -> None:
    model = io.BytesIO()
    SentencePieceTrainer.Train(
        sentence_iterator=TEXT.chunks(), model_writer=model, vocab_size=300, model_type="bpe", minloglevel=2,
        hard_vocab_limit=False, **options,
    )  # fmt: skip
    with pytest.raises(TokenizerError, match=r"^the SentencePiece model has no line break symbol or no byte fallback$"):
        SubwordTokenizer(model.getvalue())


@pytest.mark.parametrize("vocab_size", [None, 300])
@pytest.mark.parametrize("failure", [DataError("it changed"), KeyboardInterrupt(), MemoryError()], ids=repr)
def test_what_ends_the_reading_of_a_text_is_told_as_it_is(failure: BaseException, vocab_size: int | None) -> None:
    n_readings = 0

    def chunks() -> Iterator[str]:
        nonlocal n_readings
        n_readings += 1
        yield from TEXT.chunks()
        if n_readings == 2:
            raise failure

    with pytest.raises(type(failure)) as error:
        SubwordTokenizer.build(SimpleNamespace(chunks=chunks), vocab_size, "unigram")
    assert error.value is failure


def test_of_a_large_text_a_sample_from_all_over_it_is_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subword, "MOST_CHARS", 20_000)
    lines = [f"{n:05} the cat sat on the mat\n" for n in range(10_000)]
    text = text_of(*lines)
    share = 20_000 / sum(map(len, lines))
    drawn = list(subword._sentences(text, share))
    numbers = [int(line[:5]) for line in drawn if line]
    assert 15_000 < sum(map(len, drawn)) < 25_000
    assert all(any(start <= n < start + 500 for n in numbers) for start in range(0, 10_000, 500))
    assert drawn == list(subword._sentences(text, share))
    assert SubwordTokenizer.build(text, 300, "bpe").vocab_size == 300
