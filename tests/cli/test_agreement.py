"""Three ways to a text's log-probability: the lines of `score`, `perplexity`, and torch without any code of rnngen."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "corpora" / "wikitext-2-valid.txt"


@pytest.fixture(scope="module")
def split_words(tmp_path_factory):
    """A text of words that white space separates, and a word model of its first part."""
    from rnngen.cli.app import run

    folder = tmp_path_factory.mktemp("words")
    source = SHARED if SHARED.exists() else ROOT / "corpora" / "marrowmere.txt"
    text = source.read_text("utf-8")
    (folder / "train.txt").write_text(text[:60_000], "utf-8")
    (folder / "text.txt").write_text(text[60_000:80_000], "utf-8")
    arguments = ["--level", "word", "--split", "whitespace", "--hidden-size", "48", "--steps", "20", "--threads", "1"]
    arguments += ["--ngram-order", "none"]
    assert run(["train", str(folder / "train.txt"), "-o", str(folder / "words.safetensors"), "-q", *arguments]) == 0
    return folder


def total_by_torch(path: Path, lines: list[str]) -> float:
    """The sum over lines of log P(words and line break | line break), natural."""
    weights = load_file(path)
    words = bytes(weights["tokenizer.words"].tolist()).decode().removesuffix("\n").split("\n")
    id_of = {word: id for id, word in enumerate(words, 2)}  # 0 is the unknown word, 1 the line break
    rnn = torch.nn.GRU(weights["embedding.weight"].shape[1], weights["rnn.weight_hh_l0"].shape[1])
    rnn.load_state_dict({name[4:]: weight for name, weight in weights.items() if name.startswith("rnn.")})
    total = 0.0
    with torch.inference_mode():
        for line in lines:
            ids = torch.tensor([1, *(id_of.get(word, 0) for word in line.split()), 1])
            outputs, _ = rnn(weights["embedding.weight"][ids[:-1], None])
            logits = functional.linear(outputs[:, 0], weights["output.weight"], weights["output.bias"])
            total -= functional.cross_entropy(logits, ids[1:], reduction="sum").item()
    return total


def test_score_perplexity_and_plain_torch_agree_on_a_word_model(split_words, rnngen):
    text, model = split_words / "text.txt", split_words / "words.safetensors"
    lines = text.read_text("utf-8").removesuffix("\n").split("\n")
    by_score = sum(record["logprob_nats"] for record in rnngen("score", text, "-m", model, "--json").records)
    [record] = rnngen("perplexity", text, "-m", model, "--state", "reset", "--json").records
    by_perplexity = -record["loss_nats"] * record["n_tokens"]
    by_torch = total_by_torch(model, lines)
    assert by_score == pytest.approx(by_torch, rel=1e-4)
    assert by_perplexity == pytest.approx(by_torch, rel=1e-4)
    assert record["n_tokens"] == sum(len(line.split()) + 1 for line in lines)
    assert record["n_unknown"] > 0


def test_srilms_sums_are_those_that_the_report_has_of_the_sentences_alone(split_words, rnngen):
    text, model, sentences = (split_words / name for name in ("text.txt", "words.safetensors", "sentences.txt"))
    lines = text.read_text("utf-8").splitlines(keepends=True)
    sentences.write_text("".join(line for line in lines if line.strip()), "utf-8")
    [all_lines], [record] = (
        rnngen("perplexity", path, "-m", model, "--state", "reset", "--json").records for path in (text, sentences)
    )
    assert all_lines["n_lines"] > record["n_lines"]  # blank lines are lines, and no sentences of SRILM
    assert (all_lines["n_words"], all_lines["n_unknown"]) == (record["n_words"], record["n_unknown"])
    counts, sums = rnngen("score", text, "-m", model, "--format", "srilm").out.splitlines()[-2:]
    assert (
        counts == f"file {text}: {record['n_lines']} sentences, {record['n_words']} words, {record['n_unknown']} OOVs"
    )
    log10, ppl, ppl1 = (float(value) for value in re.findall(r"(?:logprob|ppl|ppl1)= (\S+)", sums))
    n_known = record["n_words"] - record["n_unknown"]
    known_nats = record["known_loss_nats"] * (n_known + record["n_lines"])
    assert log10 == pytest.approx(-known_nats / math.log(10), rel=1e-4)
    assert ppl == pytest.approx(record["known_perplexity_per_word"], rel=1e-4)
    assert ppl1 == pytest.approx(record["known_perplexity_per_word_no_eol"], rel=1e-4)
