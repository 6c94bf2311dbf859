"""ARPA files: KenLM's numbers against the back-off formula, a vocabulary shared with a model, and broken files."""

from __future__ import annotations

import gzip
import math
import sys

import numpy as np
import pytest
from small_arpa import BackOff, bigram_arpa

from rnngen.errors import ConfigError, DataError
from rnngen.evaluate.arpa import Arpa, read_words
from rnngen.tokenizers.word import WordTokenizer

TRIGRAMS = """\\data\\
ngram 1=6
ngram 2=5
ngram 3=2

\\1-grams:
-99	<s>	-0.30103
-1.2	<unk>	-0.05
-0.7	</s>
-0.5	a	-0.2
-0.6	b	-0.1
-0.9	c

\\2-grams:
-0.1	<s> a	-0.4
-0.3	a b	-0.25
-0.4	b </s>
-0.5	b a
-0.8	<unk> c

\\3-grams:
-0.05	<s> a b
-0.15	a b </s>

\\end\\
"""
TOKENIZER = WordTokenizer(["a", "b", "c"], "whitespace")
PLAY = [line.split() for line in ["a b a c", "b a", "", "c c b strange a", "a b", "other strange b"]]


@pytest.fixture
def arpa_file(tmp_path):
    def write(text, name="lm.arpa"):
        path = tmp_path / name
        data = text if isinstance(text, bytes) else text.encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


@pytest.fixture
def load(arpa_file):
    pytest.importorskip("kenlm")
    return lambda text, name="lm.arpa": Arpa.load(arpa_file(text, name))


def test_the_words_are_listed_in_the_order_of_the_file(arpa_file):
    words = ["<s>", "<unk>", "</s>", "a", "b", "c"]
    assert read_words(arpa_file(TRIGRAMS)) == words
    assert read_words(arpa_file(TRIGRAMS.replace("\n", "\r\n"))) == words
    assert read_words(arpa_file(TRIGRAMS, "lm.arpa.gz")) == words
    assert read_words(arpa_file(TRIGRAMS.replace("<unk>", "<UNK>"))) == words


def test_a_word_may_be_any_sign_but_a_blank(arpa_file):
    strange = ["\\data\\", "\\", "ngram", "\u2028", "\u00a0", "a\vb", "\f", "😀", "#", "-1.0"]
    assert read_words(arpa_file(bigram_arpa([strange], strange))) == ["<s>", *strange, "<unk>", "</s>"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty, and not an ARPA file"),
        ("Haul gently, lads\n", "is a text, not an ARPA file: lmplz of KenLM makes one of it"),
        (b"\x93\xff\x00" * 5000, "is not an ARPA file: its first line is not \\data\\"),
        (b"mmap lm http://kheafield.com/code format version 5\n\0", "takes the ARPA file that it was made from"),
        ("\\data\\\nngram 1=many\n", "has a wrong header: 'ngram 1=many'"),
        ("\\data\\\nngram 1=1\n\n\\1-grams:\n-1\ta\n\n\\end\\\n", "has no 2-grams: KenLM reads models of order 2"),
        ("\\data\\\n", "has no 2-grams"),
        (TRIGRAMS[:90], "has 3 1-grams where its header says 6: it is incomplete"),
        (TRIGRAMS.replace("ngram 1=6", "ngram 1=7"), "has 6 1-grams where its header says 7"),
        (TRIGRAMS.replace("ngram 3=2", "ngram 3=400000000000"), "too short for the 400,000,000,011 n-grams"),
        (TRIGRAMS.replace("\tb\t", "\ta\t"), "has the 1-gram 'a' twice"),
        (TRIGRAMS.replace("-0.9\tc", "-0.9"), "has a 1-gram that is not a number, a word and a back-off: '-0.9'"),
        (TRIGRAMS.encode().replace(b"\tc", b"\t\xe9"), "has a word that is not UTF-8"),
    ],
)
def test_a_file_that_is_broken_at_its_begin_is_refused_in_one_line(arpa_file, text, message):
    with pytest.raises(DataError) as caught:
        read_words(arpa_file(text))
    assert message in str(caught.value)
    assert "lm.arpa" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_is_cut_in_its_compression_is_refused(tmp_path, arpa_file):
    with pytest.raises(DataError, match=r"cannot read the ARPA file .*none\.arpa: No such file"):
        read_words(tmp_path / "none.arpa")
    with pytest.raises(DataError, match="is a folder, not an ARPA file"):
        read_words(tmp_path)
    path = arpa_file(TRIGRAMS, "lm.arpa.gz")
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match="cannot read the ARPA file"):
        read_words(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TRIGRAMS.replace("\\end\\", ""), "End of file"),
        (TRIGRAMS[: TRIGRAMS.index("\\3-grams")], "End of file"),
        (TRIGRAMS.replace("ngram 2=5", "ngram 2=4"), "-grams"),
        (TRIGRAMS.replace("-0.4\tb", "abc\tb"), 'Could not parse "abc" into a float in the 2-gram'),
        (TRIGRAMS.replace("b </s>\n-0.5", "b zz\n-0.5"), "Word zz was not seen in the unigrams"),
        (TRIGRAMS.encode().replace(b"b </s>\n-0.5", b"b \xff\xe9\n-0.5"), "cannot read the ARPA file"),
    ],
)
def test_a_file_that_is_broken_further_on_is_refused_with_the_words_of_kenlm(load, capfd, text, message):
    with pytest.raises(DataError) as caught:
        load(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "threw" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_file_without_one_of_the_three_signs_is_refused(load, capfd):
    for sign in ("<unk>", "<s>", "</s>"):
        lines = [line for line in TRIGRAMS.split("\n") if line.split("\t")[1:2] != [sign]]
        with pytest.raises(ConfigError, match=f"has no {sign}: estimate it with one"):
            load("\n".join(lines).replace("ngram 1=6", "ngram 1=5"))
    assert capfd.readouterr() == ("", "")


def test_without_kenlm_the_message_says_how_to_install_it(arpa_file, monkeypatch):
    monkeypatch.setitem(sys.modules, "kenlm", None)  # as if it were not installed: the import fails
    with pytest.raises(ConfigError, match=r"needs KenLM: pip install 'rnngen\[arpa\]'"):
        Arpa.load(arpa_file(TRIGRAMS))


def test_a_line_by_hand(load, capfd):
    logprobs = load(TRIGRAMS).reader(TOKENIZER)(TOKENIZER.encode("a b\nb c\n"))
    # <s> a; <s> a b; a b </s>; b after <s>: back-off and 1-gram; c after b likewise; </s> after c, without back-off.
    log10s = [-0.1, -0.05, -0.15, -0.30103 - 0.6, -0.1 - 0.9, -0.7]
    np.testing.assert_allclose(logprobs, np.array(log10s) * math.log(10), rtol=1e-6)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("text", [TRIGRAMS, bigram_arpa(PLAY, ["a", "b", "c"])], ids=["3-grams", "2-grams"])
@pytest.mark.parametrize("name", ["lm.arpa", "lm.arpa.gz"])
def test_kenlm_and_the_back_off_formula_agree_however_the_text_is_cut(load, text, name):
    ids = np.random.default_rng(1).integers(0, TOKENIZER.vocab_size, 400)
    words = ["<unk>", "</s>", "a", "b", "c"]
    expected = BackOff(text).logprobs([words[id] for id in ids])
    arpa = load(text, name)
    for cuts in ([], [1], [7, 7, 150, 399]):
        read = arpa.reader(TOKENIZER)
        found = np.concatenate([read(part) for part in np.split(ids, cuts)])
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_every_context_of_the_small_estimator_has_probabilities_that_sum_to_one(load):
    text = bigram_arpa(PLAY, ["a", "b", "c"])
    formula, arpa = BackOff(text), load(text)
    for before in ("<s>", "<unk>", "a", "b", "c"):
        assert sum(10 ** formula.log10((before,), word) for word in ("a", "b", "c", "<unk>", "</s>")) == pytest.approx(
            1, abs=1e-6
        )
    for before in ([], [0], [2], [3], [4], [2, 3], [1]):
        every = [arpa.reader(TOKENIZER)(np.array([*before, id]))[-1] for id in range(TOKENIZER.vocab_size)]
        assert np.exp(every).sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a", "b", "c", "zeta", "d"], "lacks 2 words of the model, the first 'zeta'"),
        (["a"], "has 2 words that the model lacks, the first 'b'"),
        (["a", "b", "c", "</s>"], "the model has the word </s>, which is a sign of the ARPA format"),
        (["a", "b", "c", "<UNK>"], "the model has the word <UNK>"),
    ],
)
def test_another_vocabulary_is_refused_with_the_number_and_the_first_of_its_words(load, words, message):
    with pytest.raises(ConfigError) as caught:
        load(TRIGRAMS).reader(WordTokenizer(words, "whitespace"))
    assert message in str(caught.value)


# What KenLM's lmplz made with `-o 2 --discount_fallback` of the lines that `lmplz_lines` writes for "the bee sees",
# "the bee wasp", "" and "the wasp bee".
LMPLZ = """\\data\\
ngram 1=7
ngram 2=10

\\1-grams:
-1.1249387\t<unk>\t0
0\t<s>\t-0.30103
-0.48811665\t</s>\t0
-0.90309\tthe\t-0.30103
-0.75696194\tbee\t-0.30103
-0.90309\tsees\t-0.30103
-0.75696194\t<unknown>\t-0.30103

\\2-grams:
-0.54136217\t<s> </s>
-0.48258418\tbee </s>
-0.1788141\tsees </s>
-0.38457605\t<unknown> </s>
-0.35902193\t<s> the
-0.37588984\tthe bee
-0.4717262\t<unknown> bee
-0.63984853\tbee sees
-0.5948814\tthe <unknown>
-0.5948814\tbee <unknown>

\\end\\
"""
BEES = WordTokenizer(["the", "bee", "sees"], "whitespace")


def test_an_arpa_file_of_lmplz_has_two_names_for_the_unknown_word_and_sums_to_one(load):
    arpa = load(LMPLZ)
    the, bee, sees = 2, 3, 4
    found = arpa.reader(BEES)(np.array([the, 0, bee]))
    wasp = math.log10(10**-0.5948814 + 10 ** (-0.30103 - 1.1249387))
    np.testing.assert_allclose(found, np.array([-0.35902193, wasp, -0.4717262]) * math.log(10), rtol=1e-6)
    for before in ([], [the], [bee], [sees], [0], [the, 0]):
        every = [arpa.reader(BEES)(np.array([*before, id]))[-1] for id in range(BEES.vocab_size)]
        assert np.exp(every).sum() == pytest.approx(1, abs=1e-5)


def test_the_message_names_the_commands_that_make_the_right_file(arpa_file, load):
    with pytest.raises(ConfigError) as caught:
        load(LMPLZ).check_vocabulary(WordTokenizer(["the", "bee"], "whitespace"), "my model")
    assert str(caught.value).endswith(
        "has 1 word that the model lacks, the first 'sees'; a mixture needs one vocabulary: "
        f"estimate the ARPA file with rnngen tokenize -m 'my model' --lmplz TEXT | lmplz -o 4 > {arpa_file(LMPLZ)}, "
        "where TEXT is what the model was trained on"
    )


def test_what_kenlm_quotes_of_a_file_cannot_take_over_a_terminal(load):
    with pytest.raises(DataError) as caught:
        load(TRIGRAMS.replace("\\2-grams:\n", "\\2-grams:\n-1\tb\x1b[2J\tb\n", 1))
    assert str(caught.value).isprintable()
    assert "\\x1b[2J" in str(caught.value)


def test_a_small_gz_file_whose_header_announces_more_than_it_can_hold_is_refused(tmp_path):
    path = tmp_path / "small.arpa.gz"
    path.write_bytes(gzip.compress(b"\\data\\\nngram 1=900000000\nngram 2=900000000\n\\1-grams:\n-1\ta\n"))
    with pytest.raises(DataError, match=r"is too short for the 1,800,000,000 n-grams of its header$"):
        read_words(path)


def test_more_words_than_the_header_says_are_not_all_kept(tmp_path):
    path = tmp_path / "model.arpa"
    path.write_text("\\data\\\nngram 1=2\nngram 2=1\n\\1-grams:\n" + "".join(f"-1\tw{n}\n" for n in range(9)))
    with pytest.raises(DataError, match=r"has more 1-grams than the 2 of its header$"):
        read_words(path)
