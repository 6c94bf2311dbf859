"""`rnngen perplexity`: measurements beside that of the trained model, and options that are refused."""

from __future__ import annotations

import pytest
from small_arpa import bigram_arpa

TEXT = "Haul gently, lads\nshe is no load of hay\n\nHaul gently, lads\n" * 20


@pytest.fixture
def perplexity(rnngen, models, tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)
    (tmp_path / "other.txt").write_text("She is no load\nof hay, lads\n" * 20)

    def call(*arguments, model="char"):
        return rnngen("perplexity", "text.txt", "-m", models[model], *arguments)

    return call


def test_adaptive_numbers_are_labelled_and_stand_beside_the_static_one(perplexity):
    result = perplexity("--cache", "--dynamic", "--json")
    assert result.code == 0
    static, cache, dynamic, *pairs = result.records
    assert "adaptive" not in static["model"]
    assert "cache (adaptive; theta" in cache["model"]
    assert "dynamic (adaptive; lr" in dynamic["model"]
    assert static["loss_nats"] == perplexity("--json").records[0]["loss_nats"]
    assert cache["loss_nats"] != static["loss_nats"]
    assert dynamic["loss_nats"] < static["loss_nats"]  # the text says everything many times
    assert [(pair["model_a"], pair["model_b"]) for pair in pairs] == [
        (static["model"], cache["model"]), (static["model"], dynamic["model"]), (cache["model"], dynamic["model"]),
    ]  # fmt: skip


@pytest.mark.parametrize("option", ["--cache", "--dynamic", "--context=2"])
def test_a_model_of_lines_that_reads_a_text_as_one_is_named(perplexity, models, option):
    said = f"{models['lines']} has learnt each line by itself (--lines), and reads them here as one text\n"
    assert said in perplexity(option, model="lines").err
    assert "by itself" not in perplexity(option).err
    assert "by itself" not in perplexity(model="lines").err


def test_settings_are_tuned_on_another_text_and_said(perplexity):
    result = perplexity("--cache", "--tune", "other.txt", "--json")
    assert result.code == 0
    assert "cache: tuned on the first 560 tokens of the text to tune on" in result.err


def test_an_n_gram_model_and_its_mixture_stand_beside_the_model(perplexity, rnngen, tmp_path):
    pytest.importorskip("kenlm")
    model = tmp_path / "split.safetensors"
    options = ("--level", "word", "--split", "whitespace", "--valid", "text.txt", "--hidden-size", 8, "--steps", 2,
               "--ngram-order", "none")  # fmt: skip
    (tmp_path / "train.txt").write_text(TEXT)
    assert rnngen("train", "train.txt", "-o", model, *options, "-q").code == 0
    lines = [line.split() for line in TEXT.split("\n")[:-1]]
    words = sorted({word for line in lines for word in line})
    (tmp_path / "lm.arpa").write_text(bigram_arpa(lines, words), "utf-8")
    result = rnngen("perplexity", "text.txt", "-m", model, "--mix", "lm.arpa", "--lambda", 0.25, "--json")
    static, alone, mixed = result.records[:3]
    assert [one["model"] for one in (static, alone, mixed)] == [
        str(model), "lm.arpa", f"{model}, mixed with 0.2500 of lm.arpa",
    ]  # fmt: skip
    assert alone["loss_nats"] < mixed["loss_nats"] < static["loss_nats"]


def test_the_context_curve_ends_with_all_of_the_text(perplexity):
    records = perplexity("--context", 4, "--json").records
    assert [record["context"] for record in records] == [1, 2, 4, None]
    assert all(record["n_tokens"] == records[0]["n_tokens"] for record in records)
    assert perplexity("--context", 4).rows[0][:2] == ["context", "loss_nats"]


def test_a_text_that_is_measured_is_not_tuned_on(perplexity, tmp_path):
    (tmp_path / "link.txt").symlink_to(tmp_path / "text.txt")
    for name in ("text.txt", "link.txt"):
        result = perplexity("--cache", "--tune", name)
        assert (result.code, result.out) == (2, "")
        assert f"tune is '{name}', which is measured too: settings must be chosen on another text" in result.err


@pytest.mark.parametrize(("arguments", "said"), [
    ("--context 4 --cache", "--cache does not go with --context: leave one out"),
    ("--context 4 --mix lm.arpa", "--mix does not go with --context: leave one out"),
    ("--context 4 --state reset", "--state reset does not go with --context: leave one out"),
    ("--context 4 -m other", "--context does not go with several models"),
    ("--cache --state reset", "--cache learns from the text before a line"),
    ("--dynamic --state reset", "--dynamic learns from the text before a line"),
    ("--cache --device cuda", "--cache runs on the processor: leave out --device cuda"),
    ("--dynamic --device cuda", "--dynamic runs on the processor: leave out --device cuda"),
    ("--tune other.txt", "add one of them"),
    ("--mix lm.arpa --lambda 0.3 --tune other.txt", "--lambda and --tune exclude each other"),
    ("--lambda 0.3", "--lambda is the weight of an n-gram model: add --mix"),
    ("--mix lm.arpa", "--mix needs a model of the words that white space separates"),
    ("--context 0", "context is 0: it must be a whole number from 1 to"),
])  # fmt: skip
def test_options_that_contradict_one_another_are_refused(perplexity, arguments, said):
    result = perplexity(*arguments.split())
    assert (result.code, result.out) == (2, "")
    assert said in result.err
