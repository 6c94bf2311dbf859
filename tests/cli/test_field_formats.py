"""What KenLM's query and SRILM's ngram print, byte for byte, from log-probabilities chosen by hand."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from small_arpa import BackOff

from rnngen.cli.field_formats import SRILM, KenLM, sentences_of_srilm
from rnngen.evaluate.scored_lines import Boundaries, ScoredLine
from rnngen.tokenizers.base import encode_known
from rnngen.tokenizers.char import ByteTokenizer, CharTokenizer
from rnngen.tokenizers.word import WordTokenizer

WHOLE = Boundaries()
WORDS = WordTokenizer(["i've", "got", "a", "bad", "feeling"], "whitespace")  # ids 2 to 6


def scored(tokenizer, text, log10s, boundaries=WHOLE) -> ScoredLine:
    encoded = encode_known(tokenizer, text, "unk", "the line")
    logprobs = np.array(log10s, np.float32) * np.float32(math.log(10))
    return ScoredLine(number=1, encoded=encoded, logprobs=logprobs, boundaries=boundaries)


def written(writer, *lines) -> str:
    return writer.begin() + "".join(writer.line(line) for line in lines) + writer.end()


def test_srilm_shows_a_sentence_its_words_and_its_sums():
    # 10^(15/6) and 10^(15/5): five words, one end.
    line = scored(WORDS, "i've got a bad feeling", [-3, -1, -2, -4, -3, -2])
    sums = "1 sentences, 5 words, 0 OOVs\n0 zeroprobs, logprob= -15 ppl= 316.228 ppl1= 1000\n"
    assert written(SRILM(WORDS, False, "film.txt"), line) == (
        "i've got a bad feeling\n"
        "\tp( i've | <s> ) \t= [RNN] 0.001 [ -3 ]\n"
        "\tp( got | i've ...) \t= [RNN] 0.1 [ -1 ]\n"
        "\tp( a | got ...) \t= [RNN] 0.01 [ -2 ]\n"
        "\tp( bad | a ...) \t= [RNN] 0.0001 [ -4 ]\n"
        "\tp( feeling | bad ...) \t= [RNN] 0.001 [ -3 ]\n"
        "\tp( </s> | feeling ...) \t= [RNN] 0.01 [ -2 ]\n"
        f"{sums}\nfile film.txt: {sums}"
    )


def test_srilm_leaves_unknown_words_out_of_the_sums_but_counts_them():
    line = scored(WORDS, "got milk a", [-1, -5, -2, -3])
    out = written(SRILM(WORDS, False, "-"), line)
    assert "\tp( <unk> | got ...) \t= [OOV] 0 [ -inf ]\n\tp( a | <unk> ...) \t= [RNN] 0.01 [ -2 ]\n" in out
    # -6 over two known words and an end, and over the two words.
    assert "1 sentences, 3 words, 1 OOVs\n0 zeroprobs, logprob= -6 ppl= 100 ppl1= 1000\n" in out


def test_srilm_sums_all_sentences():
    lines = [scored(WORDS, "a", [-1, -2]), scored(WORDS, "", [-3])]
    out = written(SRILM(WORDS, False, "x"), *lines)
    assert "\n\n\tp( </s> | <s> ) \t= [RNN] 0.001 [ -3 ]\n1 sentences, 0 words, 0 OOVs\n" in out
    assert "logprob= -3 ppl= 1000 ppl1= undefined\n" in out
    assert out.endswith("file x: 2 sentences, 1 words, 0 OOVs\n0 zeroprobs, logprob= -6 ppl= 100 ppl1= 1e+06\n")


def test_blank_lines_and_lines_that_begin_with_two_number_signs_are_no_sentences_of_srilm():
    texts = ["a", "", " \t\r\f", "## a", "##", "#a", " ## a", "a ##", "\u00a0"]
    lines = [scored(WORDS, text, [-1] * (1 + len(text.split()))) for text in texts]
    said = []
    kept = [[line.text for line in block] for block in sentences_of_srilm([lines[:5], lines[5:]], said.append)]
    assert kept == [["a"], ["#a", " ## a", "a ##", "\u00a0"]]
    assert said == ["4 lines left out, as SRILM leaves them out: blank, or with ## at the start"]
    assert list(sentences_of_srilm([lines[:1]], said.append)) == [lines[:1]]
    assert len(said) == 1


def test_srilm_lines_are_those_that_compute_best_mix_looks_for():
    out = written(SRILM(WORDS, False, "x"), scored(WORDS, "got milk", [-1, -5, -2]))
    found = re.findall(r"^\s+p\( (\S+) \|.*\)\s*=\s*\[\S+\]\s+(\S+) \[ (\S+) \]$", out, re.M)
    assert found == [("got", "0.1", "-1"), ("<unk>", "0", "-inf"), ("</s>", "0.01", "-2")]


def parse_kenlm(line: str) -> tuple[list[tuple[str, int, int, float]], float, int]:
    """A line of KenLM's `query`: words as (surface, id, n-gram length, log10), the total, the unknown words."""
    *entries, total = line.split("\t")
    words = []
    for entry in entries:
        name, length, log10 = entry.split(" ")
        surface, _, id = name.rpartition("=")
        words.append((surface, int(id), int(length), float(log10)))
    match = re.fullmatch(r"Total: (\S+) OOV: (\d+)", total)
    assert match
    return words, float(match[1]), int(match[2])


def test_kenlm_shows_ids_lengths_logs_and_totals():
    lines = [scored(WORDS, "got milk", [-0.5, -5, -0.5]), scored(WORDS, "", [-2])]
    out = re.sub(r"(?<=OOVs:\t)\d+\.\d+", lambda found: f"{float(found[0]):.3f}", written(KenLM(WORDS, False), *lines))
    assert out == (
        "got=3 2 -0.5\tmilk=0 3 -5\t</s>=1 4 -0.5\tTotal: -6 OOV: 1\n"
        "</s>=1 2 -2\tTotal: -2 OOV: 0\n"
        "Perplexity including OOVs:\t100.000\n"
        "Perplexity excluding OOVs:\t10.000\n"
        "OOVs:\t1\n"
        "Tokens:\t4\n"
    )


HAND_MADE_ARPA = """\\data\\
ngram 1=5
ngram 2=4

\\1-grams:
-1.0\t<unk>\t0
-99\t<s>\t-0.25
-0.75\t</s>\t0
-0.5\ta\t-0.5
-0.625\tgot\t-0.125

\\2-grams:
-0.25\t<s> a
-0.375\ta got
-0.5\tgot a
-0.125\ta </s>

\\end\\
"""
# What KenLM's `query` printed for it.
QUERY_OUTPUT = (
    "a=3 2 -0.25\tgot=4 2 -0.375\ta=3 2 -0.5\t</s>=2 2 -0.125\tTotal: -1.25 OOV: 0\n"
    "got=4 1 -0.875\tmilk=0 1 -1.125\ta=3 1 -0.5\t</s>=2 2 -0.125\tTotal: -2.625 OOV: 1\n"
    "</s>=2 1 -1\tTotal: -1 OOV: 0\n"
    "a=3 2 -0.25\t</s>=2 2 -0.125\tTotal: -0.375 OOV: 0\n"
    "Perplexity including OOVs:\t3.0010465178188737\n"
    "Perplexity excluding OOVs:\t2.5852348395621907\n"
    "OOVs:\t1\n"
    "Tokens:\t11\n"
)


def test_the_parser_of_kenlms_own_output_reads_ours_and_finds_the_same():
    model = BackOff(HAND_MADE_ARPA)
    texts = ["a got a", "got milk a", "", "a"]
    lines = []
    for text in texts:
        words = [word if word in ("a", "got") else "<unk>" for word in text.split()]
        lines.append(scored(WORDS, text, [logprob / math.log(10) for logprob in model.logprobs([*words, "</s>"])]))
    ours, theirs = written(KenLM(WORDS, False), *lines).split("\n"), QUERY_OUTPUT.split("\n")
    for mine, wanted in zip(ours[: len(texts)], theirs, strict=False):
        (words, total, n_unknown), (their_words, their_total, their_n_unknown) = parse_kenlm(mine), parse_kenlm(wanted)
        assert [word[0] for word in words] == [word[0] for word in their_words]
        assert [word[1] == 0 for word in words] == [word[1] == 0 for word in their_words]
        assert [word[3] for word in words] == pytest.approx([word[3] for word in their_words], abs=1e-6)
        assert (total, n_unknown) == (pytest.approx(their_total, abs=1e-6), their_n_unknown)
    for mine, wanted in zip(ours[len(texts) : -1], theirs[len(texts) : -1], strict=True):
        assert mine.split("\t")[0] == wanted.split("\t")[0]
        assert float(mine.split("\t")[1]) == pytest.approx(float(wanted.split("\t")[1]), rel=1e-6)
    assert ours[-3:] == theirs[-3:]


def test_words_of_characters_are_sums_and_white_space_cannot_break_a_field():
    tokenizer = CharTokenizer(" =ab")
    line = scored(tokenizer, "a =b", [-1, -2, -4, -8, -16])
    words, total, _ = parse_kenlm(written(KenLM(tokenizer, True), line).split("\n")[0])
    assert words == [("a", tokenizer.encode("a")[0], 2, -1), ("=b", tokenizer.vocab_size, 3, -14), ("</s>", 1, 4, -16)]
    assert total == -31
    tokens, _, _ = parse_kenlm(written(KenLM(tokenizer, False), line).split("\n")[0])
    assert [surface for surface, *_ in tokens] == ["a", "▁", "=", "b", "</s>"]


@pytest.mark.parametrize(("boundaries", "log10s", "n_tokens"), [
    (Boundaries(bos=False), [-1, -2], 2), (Boundaries(eos=False), [-1, -2], 2),
    (Boundaries(bos=False, eos=False), [-2], 1),
])  # fmt: skip
def test_what_is_not_scored_is_not_shown(boundaries, log10s, n_tokens):
    line = scored(WORDS, "got a", log10s, boundaries)
    kenlm = written(KenLM(WORDS, False), line)
    srilm = written(SRILM(WORDS, False, "x"), line)
    assert f"Tokens:\t{n_tokens}\n" in kenlm
    assert ("</s>" in kenlm, "</s>" in srilm) == (boundaries.eos,) * 2
    assert ("got=3" in kenlm, "p( got" in srilm) == (boundaries.bos,) * 2
    if not boundaries.eos:
        count = 2 if boundaries.bos else 1
        assert f"ppl= {10 ** (-sum(log10s) / count):.6g} ppl1= {10 ** (-sum(log10s) / count):.6g}" in srilm


def test_a_backslash_stands_as_it_is():
    line = scored(ByteTokenizer(), r"a\b", [-1] * 4)
    assert written(KenLM(ByteTokenizer(), True), line).startswith(r"a\b=")
    assert r"p( a\b | <s> )" in written(SRILM(ByteTokenizer(), True, "x"), line)


def test_a_word_of_several_tokens_has_an_id_beyond_the_vocabulary():
    tokenizer = CharTokenizer("abc ")
    line = scored(tokenizer, "ab c", [-1] * 4, Boundaries(bos=False))
    assert written(KenLM(tokenizer, True), line).startswith(f"ab={tokenizer.vocab_size} 2 ")
