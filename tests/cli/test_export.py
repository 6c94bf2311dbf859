"""`rnngen export` writes the counts of a model as an ARPA file."""

from __future__ import annotations

import gzip

import pytest


def test_the_counts_go_to_stdout_or_into_a_file_plain_or_compressed(rnngen, models, tmp_path):
    result = rnngen("export", models["word"])
    assert result.code == 0
    assert result.out.startswith("\\data\\\nngram 1=")
    assert result.out.endswith("\n\\end\\\n")
    assert "the file has the counts of the model; its network is not in it" in result.err
    for name, read in (("lm.arpa", bytes), ("lm.arpa.gz", gzip.decompress)):
        assert rnngen("export", models["word"], "-o", tmp_path / name, "-q").code == 0
        assert read((tmp_path / name).read_bytes()).decode() == result.out


def test_a_file_is_overwritten_only_with_force(rnngen, models, tmp_path):
    path = tmp_path / "lm.arpa"
    path.write_text("mine")
    result = rnngen("export", models["char"], "-o", path)
    assert (result.code, path.read_text()) == (1, "mine")
    assert "exists already and is not overwritten" in result.err
    assert rnngen("export", models["char"], "-o", path, "--force").code == 0
    assert path.read_text().startswith("\\data\\")


@pytest.mark.parametrize("order", ["none", "1"])
def test_a_model_without_ngrams_is_named(rnngen, tmp_path, order):
    (tmp_path / "text.txt").write_text("hello\n" * 50)
    options = ["--steps", "1", "--hidden-size", "4", "--ngram-order", order, "-q"]
    assert rnngen("train", tmp_path / "text.txt", *options, "-o", tmp_path / "m").code == 0
    result = rnngen("export", tmp_path / "m.safetensors", "-o", tmp_path / "lm.arpa")
    assert result.code == 2
    assert "train it with" in result.err
    assert not (tmp_path / "lm.arpa").exists()


def test_kenlm_scores_what_tokenize_writes(rnngen, models, tmp_path):
    kenlm = pytest.importorskip("kenlm")
    assert rnngen("export", models["lines"], "-o", tmp_path / "lm.arpa", "--max-order", "6", "-q").code == 0
    found = kenlm.Model(str(tmp_path / "lm.arpa"))
    tokens = rnngen("tokenize", "-", "-m", models["lines"], "--lmplz", stdin=b"anna\n").out.strip()
    assert tokens == "a n n a"
    assert -20 < found.score(tokens) < 0
