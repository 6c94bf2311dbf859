"""Counts in the ARPA format: the numbers of lmplz, and of an independent model."""

from __future__ import annotations

import gzip
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from slow_kneser_ney import SlowKneserNey

from rnngen.counts.arpa import arpa_lines
from rnngen.counts.corrections import CountModel
from rnngen.counts.estimate import estimate
from rnngen.counts.storage import to_arrays
from rnngen.errors import ConfigError, TokenizerError
from rnngen.tokenizers.word import WordTokenizer

REFERENCE = Path(__file__).parents[3] / "shared" / "reference"
LETTERS = "abcdefg"
TOKENIZER = WordTokenizer(list(LETTERS), "whitespace")
NEWLINE = TOKENIZER.newline_id


def entries(lines) -> dict[tuple[str, ...], tuple[float, float]]:
    """log10 p and back-off weight of every n-gram of an ARPA file."""
    found = {}
    for line in lines:
        fields = line.rstrip("\n").split("\t")
        if len(fields) > 1:
            words = tuple(fields[1].split(" "))
            assert words not in found
            found[words] = float(fields[0]), float(fields[2]) if len(fields) > 2 else 0.0
    return found


def written(ids, order, by_lines=True, tokenizer=TOKENIZER, **options):
    trie = estimate(np.array(ids), NEWLINE, tokenizer.vocab_size, order, by_lines=by_lines, **options)
    return "".join(arpa_lines(to_arrays(trie), tokenizer)).splitlines()


def log10_by(found, context, word) -> float:
    """What a reader of the file makes of it: the longest n-gram that is there, after the back-off weights."""
    ngram = (*context, word)
    if ngram in found:
        return found[ngram][0]
    return found.get(context, (0, 0.0))[1] + log10_by(found, context[1:], word)


@pytest.mark.parametrize("by_lines", [True, False], ids=["lines", "text"])
@pytest.mark.parametrize("most_bytes", [None, 500])
def test_a_line_has_the_probability_that_the_counts_give_it(by_lines, most_bytes):
    random = np.random.default_rng(0)
    ids = [NEWLINE if random.random() < 0.2 else 2 + int(random.geometric(0.4)) % 7 for _ in range(400)] + [NEWLINE]
    found = entries(written(ids, 4, by_lines, most_bytes=most_bytes))
    slow = SlowKneserNey(ids, NEWLINE, TOKENIZER.vocab_size, 4, by_lines)
    if most_bytes:  # what was left out gives its share to shorter n-grams: the sum tells
        for context in (("<s>",), ("<s>", "a"), ("a", "b"), ("b",), ()):
            total = sum(10 ** log10_by(found, context, word) for word in (*LETTERS, "</s>", "<unk>"))
            assert total == pytest.approx(1, abs=1e-5)
        return
    names = ["<unk>", "</s>", *LETTERS]
    for line in ("a b a", "", "c", "b b a c d"):
        context, ids_before = ("<s>",), [NEWLINE]
        for word in [*line.split(), "</s>"]:
            wanted = slow.probs(tuple(ids_before))
            for id, name in enumerate(names):
                assert log10_by(found, context[-3:], name) == pytest.approx(math.log10(wanted[id]), abs=1e-5)
            context, ids_before = (*context, word), [*ids_before, names.index(word)]


@pytest.mark.parametrize("by_lines", [True, False], ids=["lines", "text"])
def test_kenlm_reads_the_file(tmp_path, by_lines):
    kenlm = pytest.importorskip("kenlm")
    random = np.random.default_rng(1)
    ids = [NEWLINE if random.random() < 0.2 else 2 + int(random.geometric(0.4)) % 7 for _ in range(400)] + [NEWLINE]
    lines = written(ids, 4, by_lines)
    (tmp_path / "a.arpa").write_text("\n".join(lines) + "\n")
    model, found = kenlm.Model(str(tmp_path / "a.arpa")), entries(lines)
    for line in ("a b a", "", "b b a c d"):
        words, context, wanted = [*line.split(), "</s>"], ("<s>",), []
        for word in words:
            wanted.append(log10_by(found, context[-3:], word))
            context = (*context, word)
        assert [score for score, _, _ in model.full_scores(line)] == pytest.approx(wanted, abs=1e-5)


def test_an_ngram_over_a_line_break_is_left_out_and_prefixes_and_suffixes_are_there():
    ids = [2, 3, NEWLINE, 4, 2, 3, NEWLINE, NEWLINE, 2, 3, 4, 4] * 5
    lines = written(ids, 5, by_lines=False)
    found = entries(lines)
    for ngram in found:
        assert "<s>" not in ngram[1:]
        assert "</s>" not in ngram[:-1]
        assert len(ngram) == 1 or {ngram[1:], ngram[:-1]} <= set(found)
    sizes = [int(line.split("=")[1]) for line in lines if line.startswith("ngram ")]
    assert sizes == [sum(len(ngram) == n for ngram in found) for n in range(1, len(sizes) + 1)]
    assert ("<s>", "</s>") in found


def test_a_lower_order_is_that_of_a_model_with_this_order():
    ids = np.random.default_rng(2).integers(1, 9, 300)
    trie = estimate(ids, NEWLINE, TOKENIZER.vocab_size, 5, by_lines=True)
    found = entries("".join(arpa_lines(to_arrays(trie), TOKENIZER, 3)).splitlines())
    counts = CountModel(trie.up_to(3))
    assert max(map(len, found)) == 3
    known = np.array([-1, NEWLINE, 3, 4])[:, None]
    logits = counts.unigram_logprobs.astype(np.float32)[None].copy()
    counts.add(logits, counts.nodes(known)[-1], 1.0)
    probs = np.exp(logits[0]) / np.exp(logits[0]).sum()
    names = [*LETTERS]
    context = (names[1], names[2])
    for id, name in enumerate(names, 2):
        assert log10_by(found, context, name) == pytest.approx(math.log10(probs[id]), abs=1e-5)


def test_an_unknown_word_that_was_counted_is_a_word():
    found = entries(written([2, 0, NEWLINE, 0, 3, NEWLINE] * 4, 2))
    assert found["<unk>",] == (-99, 0)
    assert ("<s>", "<unknown>") in found


def test_what_cannot_be_written_is_named():
    with pytest.raises(ConfigError, match="the model has no counts"):
        arpa_lines({}, TOKENIZER)
    with pytest.raises(ConfigError, match="single tokens only"):
        written([2, 3], 1)
    with pytest.raises(TokenizerError, match="<s>"):
        written([2, 1], 2, tokenizer=WordTokenizer(["<s>"], "whitespace"))


def read_reference(name: str) -> str:
    path = REFERENCE / name
    if not path.exists():
        pytest.skip(f"{path} is not here")
    return gzip.decompress(path.read_bytes()).decode() if name.endswith(".gz") else path.read_text("utf-8")


def queried(line: str) -> list[float]:
    """The log10 probabilities in a line of KenLM's query."""
    return [float(field.split(" ")[2]) for field in line.split("\t") if field.count(" ") == 2]


# What lmplz reports for the characters. Below the longest n-grams it does not count the last one in its order when it
# counts how many n-grams occur once, twice, ...: of few n-grams that is felt. Ours are equation 26 of all.
DISCOUNTS_OF_CHARS = [
    (0.2, 1.1, 2.6), (0.518072, 0.937952, 1.86277), (0.562576, 1.15614, 1.59981), (0.684349, 1.16338, 1.73282),
    (0.784677, 1.31805, 1.72535), (0.78978, 1.2035, 1.42044),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "order", "discounts"), [("words", 4, None), ("chars", 6, DISCOUNTS_OF_CHARS)], ids=["words", "chars"]
)
def test_every_ngram_and_every_token_has_the_probability_that_lmplz_gives_it(name, order, discounts):
    suffix = "txt" if name == "words" else "hex"
    lines = [line.split() for line in read_reference(f"{name}.train.{suffix}").splitlines()]
    words = sorted({word for line in lines for word in line})
    tokenizer = WordTokenizer(words, "whitespace")
    id_of = {word: id for id, word in enumerate(words, 2)}
    ids = [id for line in lines for id in (*map(id_of.__getitem__, line), NEWLINE)]
    trie = estimate(np.array(ids), NEWLINE, tokenizer.vocab_size, order, by_lines=True)
    if discounts:
        np.testing.assert_allclose(trie.discounts, discounts, atol=0.16)
        np.testing.assert_allclose(trie.discounts[2:], discounts[2:], atol=3e-4)
        trie = replace(trie, discounts=np.array(discounts))
    found = entries("".join(arpa_lines(to_arrays(trie), tokenizer)).splitlines())
    wanted = entries(read_reference(f"{name}.{order}.arpa.gz").splitlines())
    assert found.keys() == wanted.keys()
    for ngram, numbers in wanted.items():
        if ngram != ("<s>",):  # nothing can be asked for it; lmplz writes 0
            assert found[ngram] == pytest.approx(numbers, abs=1e-4), ngram
    assert found["<s>",][1] == pytest.approx(wanted["<s>",][1], abs=1e-4)
    tested = read_reference(f"{name}.test.{suffix}").splitlines()
    for line, answer in zip(tested, read_reference(f"{name}.{order}.query").splitlines(), strict=False):
        context, by_us = ("<s>",), []
        for word in [*line.split(), "</s>"]:
            known = word if (word,) in found else "<unk>"
            by_us.append(log10_by(found, context[1 - order :], known))
            context = (*context, known)
        assert by_us == pytest.approx(queried(answer), abs=1e-4)
