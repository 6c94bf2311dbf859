"""`rnngen fill`, and what bidirectional models do and refuse on the command line."""

from __future__ import annotations

import json

import pytest

PLAY = "Haul gently, lads, and let the windlass breathe.\nThe bell is in the tide again.\n" * 40


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Paths of bidirectional checkpoints by level."""
    from rnngen.cli.app import run

    folder = tmp_path_factory.mktemp("both")
    (folder / "play.txt").write_text(PLAY, "utf-8")
    paths = {}
    for level in ("char", "word"):
        paths[level] = str(folder / f"{level}.safetensors")
        assert run(["train", str(folder / "play.txt"), "-o", paths[level], "--level", level, "--bidirectional", "-q",
                    "--steps", "80", "--hidden-size", "24", "--lr", "0.02", "--threads", "1"]) == 0  # fmt: skip
    return paths


def test_a_missing_word_from_both_sides(rnngen, both):
    result = rnngen("fill", "Haul gently, lads, and let the ___ breathe.", "The ___ is in the tide again.", "-m",
                    both["word"], "--top", "2")  # fmt: skip
    assert result.code == 0
    header, *rows = result.rows
    assert header == ["line", "probability", "fillers", "text"]
    assert [row[0] for row in rows] == ["1", "1", "2", "2"]
    assert rows[0][2:] == ["windlass", "Haul gently, lads, and let the windlass breathe."]
    assert rows[2][2:] == ["bell", "The bell is in the tide again."]
    assert float(rows[0][1]) > 0.5 > float(rows[1][1])
    assert "fills from both sides" in result.err


def test_gaps_of_characters_in_lines_from_stdin_and_files(rnngen, both, tmp_path):
    (tmp_path / "lines.txt").write_text("The be@ is in\nHaul g@ntly, l@ds\n", "utf-8")
    result = rnngen("fill", "-", "-f", tmp_path / "lines.txt", "--gap", "@", "--gap-length", "1", "--json", "-m",
                    both["char"], "--top", "1", stdin=b"the ti@e\n")  # fmt: skip
    assert result.code == 0
    assert [record["fillings"][0]["fillers"] for record in result.records] == [["l"], ["e", "a"], ["d"]]
    assert [record["line"] for record in result.records] == [1, 2, 3]
    assert {record["method"] for record in result.records} <= {"exact", "gibbs"}
    assert result.records[1]["fillings"][0]["text"] == "Haul gently, lads"


def test_a_model_that_reads_from_the_left_fills_too(rnngen, models):
    result = rnngen("fill", "PERRIN: ___ gently", "-m", models["word"], "--no-header", "--top", "3")
    assert result.code == 0
    assert len(result.rows) == 3
    assert "fills by beam search from the left" in result.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no gap"], "line 1 has no gap: write ___ in the place of what is missing"),
        (["a ___", "win___"], "line 2: a gap is a part of a word"),
        (["___", "--gap", ""], "gap is '': the mark of a gap must have a character"),
        (["___", "--gap-length", "9-1"], "gap_length is '9-1'"),
        (["___ ___", "--gap-length", "1-2"], "only one length can be tried"),
        (["___", "--top", "0"], "top is 0"),
        ([""], "line 1 has no gap"),
    ],
)
def test_lines_that_cannot_be_filled(rnngen, both, arguments, said):
    result = rnngen("fill", *arguments, "-m", both["word"], "-q")
    assert result.code in (1, 2)
    assert said in result.err
    assert len(result.err.splitlines()) == 1
    assert "line 1" not in result.out


def test_nothing_to_fill(rnngen, both):
    assert rnngen("fill", "-m", both["word"], "-f", "missing.txt").code == 1
    result = rnngen("fill", "-m", both["word"], stdin=b"")
    assert (result.code, result.out) == (0, "")


def test_scores_are_named_pseudo(rnngen, both, tmp_path):
    (tmp_path / "lines.txt").write_text("The bell is in the tide again.\nThe bill is in the tide again.\n", "utf-8")
    [good, bad] = rnngen("score", tmp_path / "lines.txt", "-m", both["char"], "--json", "--alternatives", "1").records
    assert list(good) == ["line", "pseudo_logprob_nats", "n_tokens", "pseudo_perplexity", "n_unknown",
                          "known_pseudo_logprob_nats", "known_pseudo_perplexity", "text", "alternatives"]  # fmt: skip
    assert good["n_tokens"] == 30
    assert good["pseudo_logprob_nats"] > bad["pseudo_logprob_nats"]
    [found] = [one for one in bad["alternatives"] if one["token_number"] == 6]
    assert found["likelier"][0]["token"] == "e"
    columns = rnngen("score", tmp_path / "lines.txt", "-m", both["word"]).rows
    assert columns[0][1] == "pseudo_logprob_nats"
    words = rnngen("score", tmp_path / "lines.txt", "-m", both["word"], "--words").rows
    assert words[0][-1] == "pseudo_surprisal_bits"
    assert " ".join(row[2] for row in words[1:8]) == "The bell is in the tide again."
    assert len(words) == 15


@pytest.mark.parametrize("state", ["carry", "reset"])
def test_perplexities_are_named_pseudo(rnngen, both, tmp_path, state):
    (tmp_path / "text.txt").write_text(PLAY[:300], "utf-8")
    [record] = rnngen("perplexity", tmp_path / "text.txt", "-m", both["char"], "--json", "--state", state).records
    assert 1 < record["pseudo_perplexity"] < 2
    assert not {"perplexity", "loss_nats", "bits_per_char"} & set(record)
    n_ends = PLAY[:300].count("\n")
    assert record["n_tokens"] == (300 if state == "carry" else 300 - n_ends)
    assert record["n_chars"] == record["n_bytes"] == record["n_tokens"]
    assert record["n_line_ends"] == (n_ends if state == "carry" else 0)


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("score", ["--format", "kenlm"]), ("score", ["--format", "srilm"]), ("score", ["--nbest", "moses"]),
        ("score", ["--no-bos"]), ("score", ["--prefix", "The"]), ("score", ["--state", "carry"]),
        ("perplexity", ["--cache"]), ("perplexity", ["--dynamic"]), ("perplexity", ["--context", "4"]),
    ],
)  # fmt: skip
def test_what_needs_a_model_from_the_left_is_refused(rnngen, both, tmp_path, command, options):
    (tmp_path / "text.txt").write_text(PLAY[:300], "utf-8")
    result = rnngen(command, tmp_path / "text.txt", "-m", both["char"], "-q", *options)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"rnngen: {' '.join(options)[:8]}")
    assert f"is for models that read from the left, and {both['char']} is bidirectional" in result.err


def test_other_refusals(rnngen, both, models, tmp_path):
    (tmp_path / "text.txt").write_text(PLAY[:300], "utf-8")
    result = rnngen("sample", "-m", both["char"], "-q")
    assert (result.code, result.out) == (2, "")
    assert f"{both['char']} is bidirectional: it predicts a token from both sides" in result.err
    result = rnngen("perplexity", tmp_path / "text.txt", "-m", both["char"], "-m", models["char"], "-q")
    assert (result.code, result.out) == (2, "")
    assert "a pseudo-perplexity cannot be compared with a perplexity" in result.err
    for options in (["--ngram-order", "3"], ["--ngram-size", "2"], ["--cell", "none"]):
        result = rnngen("train", tmp_path / "text.txt", "--bidirectional", *options)
        assert result.code == 2
        assert "--bidirectional" in result.err


def test_info_and_repeat_know_the_kind(rnngen, both, tmp_path):
    info = json.loads(rnngen("info", both["char"], "--json").out)
    assert info["model"]["bidirectional"] is True
    assert "--bidirectional" in info["training"]["repeat"]
    assert info["training"]["valid_pseudo_perplexity"] > 1
    assert info["training"]["valid_bits_per_char"] is None
    (tmp_path / "more.txt").write_text(PLAY[:900], "utf-8")
    result = rnngen("train", tmp_path / "more.txt", "--init-from", both["char"], "--steps", "5", "-o", "warm")
    assert result.code == 0
    assert "bidirectional gru" in result.err
