"""`rnngen tokenize`: text to tokens and back, tokenizer files, statistics."""

import contextlib
import json
import os
import time
from pathlib import Path

import pytest

ODD = "  Two  spaces\tand a tab \n\nZoë, e\u0301 and 😀!\n\u3000▁ <unk>\n\tand a\nand a\t\nand\t a\nno end"
LEVELS = {
    "char": ["--level", "char"],
    "byte": ["--level", "byte"],
    "word": ["--level", "word", "--min-count", "1"],
    "subword": ["--level", "subword", "--vocab-size", "300"],
    "bpe": ["--level", "subword", "--subword-model", "bpe", "--vocab-size", "300"],
}


@pytest.fixture
def odd(tmp_path):
    (tmp_path / "odd.txt").write_text(ODD + "\nthe bell is slow to wake, the ferry knows no king" * 30)
    return "odd.txt"


@pytest.mark.parametrize("level", LEVELS)
def test_ids_decode_to_the_text_they_came_from(rnngen, odd, level):
    saved = rnngen("tokenize", odd, *LEVELS[level], "--save", "tokens.json", "--ids")
    assert saved.code == 0
    assert "tokens.json" in saved.err
    for text in (ODD, ODD + "\n", "\n", "\n\n", " ", "\tand a", "and a\t", "and\t a"):
        ids = rnngen("tokenize", "-", "--tokenizer", "tokens.json", "--ids", stdin=text.encode())
        assert ids.out.count("\n") == text.count("\n")
        back = rnngen("tokenize", "-", "--tokenizer", "tokens.json", "--decode", stdin=ids.out.encode())
        assert (back.code, back.out, back.err) == (0, text, "")


@pytest.mark.parametrize("level", ["byte", "subword", "bpe"])
def test_bytes_and_subwords_give_any_text_back(rnngen, odd, level):
    strange = "ꙮ ☃\u200d\n한국어 \U0001f9d1\u200d🚀\x01"
    rnngen("tokenize", odd, *LEVELS[level], "--save", "tokens.json")
    ids = rnngen(
        "tokenize", "-", "--tokenizer", "tokens.json", "--ids", "--on-unknown", "error", stdin=strange.encode()
    )
    assert rnngen("tokenize", "-", "--tokenizer", "tokens.json", "--decode", stdin=ids.out.encode()).out == strange


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ([], "a ▁ b\n\n␉\n"),
        (["--level", "char", "--ids"], "4 3 5\n\n2\n"),
        (["--level", "byte", "--ids"], "97 32 98\n\n9\n"),
        (["--level", "word", "--split", "whitespace"], "a b\n\n\n"),
        (["--level", "word", "--min-count", "1"], "a b\n\n␉\n"),
        (["--lmplz"], "a ▁ b\n\n␉\n"),
        (["--level", "word", "--split", "whitespace", "--lmplz"], "a b\n\n\n"),
    ],
    ids=" ".join,
)
def test_tokens_are_shown_line_by_line(rnngen, options, shown):
    result = rnngen("tokenize", "-", *options, stdin=b"a b\n\n\t\n")
    assert (result.code, result.out, result.err) == (0, shown, "")


AS_THEY_STAND = "C:\\tmp soft\u00adhyphen می\u200cخواهم 10\u00a0km ▁the"


@pytest.mark.parametrize(
    "options", [["tokenize"], ["tokenize", "--lmplz"], ["score", "--format", "srilm"]], ids=" ".join
)
def test_what_goes_to_a_pipe_is_the_text_itself(rnngen, options):
    (Path("words.txt")).write_text(f"{AS_THEY_STAND}\n" * 40, "utf-8")
    rnngen("train", "words.txt", "--level", "word", "--split", "whitespace", "--steps", "1", "--hidden-size", "8")
    result = rnngen(*options, "-m", "words", "-q", stdin=f"{AS_THEY_STAND}\n".encode())
    assert (result.code, result.out.split("\n")[0]) == (0, AS_THEY_STAND)
    kenlm = rnngen("score", "--format", "kenlm", "-m", "words", "-q", stdin=AS_THEY_STAND.encode()).out.split("\t")
    assert [part.rpartition("=")[0] for part in kenlm[:5]] == AS_THEY_STAND.split(" ")
    for detail in ("--tokens", "--words"):
        rows = rnngen("score", detail, "--no-header", "-m", "words", "-q", stdin=AS_THEY_STAND.encode()).rows
        assert [row[2] for row in rows] == [*AS_THEY_STAND.split(" "), "␊"]


def test_a_text_for_lmplz_has_neither_the_signs_that_it_refuses_nor_white_space_for_a_token(rnngen):
    for level in ("char", "byte", "word"):
        options = ("--level", level, "--min-count", "2") if level != "byte" else ("--level", level)
        result = rnngen("tokenize", "-", *options, "--lmplz", stdin=b"a  b <s> c\nb a  c <unk>\n")
        assert result.code == 0
        words = result.out.replace("\n", " ").split(" ")[:-1]
        assert "" not in words
        assert not {"<s>", "</s>", "<unk>"} & set(words)
    refused = rnngen("tokenize", "-", "--level", "word", "--split", "whitespace", "--lmplz", stdin=b"a <s> b\n")
    assert (refused.code, refused.out) == (1, "")
    assert "the vocabulary has <s>, which a text for lmplz cannot have" in refused.err


def test_json_names_tokens_and_ids(rnngen):
    result = rnngen("tokenize", "-", "--json", stdin=b"a b\n\nb")
    assert result.records == [
        {"line": 1, "tokens": ["a", " ", "b"], "ids": [3, 2, 4], "n_unknown": 0},
        {"line": 2, "tokens": [], "ids": [], "n_unknown": 0},
        {"line": 3, "tokens": ["b"], "ids": [4], "n_unknown": 0},
    ]


@pytest.mark.parametrize("model", ["char", "word", "subword", "byte"])
def test_a_checkpoint_s_tokenizer_gives_the_ids_that_score_uses(rnngen, models, model):
    text = "Haul gently, lads\nno ☃ end".encode()
    tokenized = rnngen("tokenize", "-", "-m", models[model], "--json", stdin=text).records
    scored = rnngen("score", "-", "-m", models[model], "--tokens", "--json", stdin=text).records
    for line, score in zip(tokenized, scored, strict=True):
        assert line["ids"] == [token["id"] for token in score["tokens"][:-1]]
        assert line["tokens"] == [token["token"] for token in score["tokens"][:-1]]
        assert line["n_unknown"] == score["n_unknown"]


@pytest.mark.parametrize("how", ["unk", "skip", "error"])
def test_unknown_symbols_are_handled_as_asked(rnngen, how):
    rnngen("tokenize", "-", "--save", "ab.json", stdin=b"ab")
    result = rnngen("tokenize", "-", "--tokenizer", "ab.json", "--on-unknown", how, stdin="a\nb☃\n".encode())
    assert result.out == {"unk": "a\nb <unk>\n", "skip": "a\nb\n", "error": "a\n"}[how]
    assert result.code == (how == "error")
    assert "U+2603 SNOWMAN" in result.err
    assert result.err.count("\n") == 1


def test_statistics_count_the_text(rnngen):
    rnngen("tokenize", "-", "--save", "ab.json", stdin=b"ab")
    options = ("--tokenizer", "ab.json", "--stats")
    result = rnngen("tokenize", "-", *options, "--json", stdin="ab☃\n☃☃\n ".encode())
    assert result.records == [{"level": "char", "vocab_size": 4, "n_chars": 8, "n_tokens": 8, "chars_per_token": 1.0,
                               "n_unknown": 4, "unknown_rate": 0.5}]  # fmt: skip
    header, values = rnngen("tokenize", "-", *options, stdin="ab☃\n☃☃\n ".encode()).rows
    assert header == list(result.records[0])
    assert values == ["char", "4", "8", "8", "1.000000", "4", "0.500000"]


def test_statistics_of_a_byte_level_count_bytes(rnngen):
    [found] = rnngen("tokenize", "-", "--level", "byte", "--stats", "--json", stdin="é\n".encode()).records
    assert (found["n_chars"], found["n_tokens"], found["vocab_size"]) == (2, 3, 256)


def test_a_tokenizer_file_is_overwritten_with_force_only(rnngen, contents):
    rnngen("tokenize", "-", "--save", "t.json", stdin=b"ab")
    before = contents()
    refused = rnngen("tokenize", "-", "--save", "t.json", stdin=b"xyz")
    assert (refused.code, refused.out) == (1, "")
    assert "--force" in refused.err
    assert contents() == before
    assert rnngen("tokenize", "-", "--save", "t.json", "--force", stdin=b"xyz").code == 0
    assert json.loads(contents()["t.json"])["characters"] == "xyz"


def test_a_vocabulary_can_be_limited(rnngen):
    text = b"aaaa bbb cc d\n"
    sizes = [rnngen("tokenize", "-", *options, "--stats", "--json", stdin=text).records[0]["vocab_size"]
             for options in ([], ["--vocab-size", "4"], ["--min-count", "3"])]  # fmt: skip
    assert sizes == [7, 4, 5]


def test_quiet_leaves_stderr_empty(rnngen, models):
    result = rnngen("tokenize", "-", "-m", models["char"], "-q", stdin="☃".encode())
    assert (result.code, result.out, result.err) == (0, "<unk>", "")


def test_the_cache_is_cleared_and_nothing_else(rnngen, tmp_path):
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / ("0" * 64 + ".ids")).write_bytes(b"x" * 1500)
    (folder / "notes.txt").write_text("dear")
    for shown in ("1 file removed from {}, 1,500 bytes", "0 files removed from {}, 0 bytes"):
        result = rnngen("tokenize", "--clear-cache", "--cache-dir", folder)
        assert (result.code, result.out, result.err) == (0, "", f"cache: {shown.format(folder)}\n")
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x.txt", "--clear-cache", "--json"], "--clear-cache goes with --cache-dir only: leave out --json, TEXT"),
        (
            ["--clear-cache", "--vocab-size", "5", "--force"],
            "--clear-cache goes with --cache-dir only: leave out --force, --vocab-size",
        ),
        (["--clear-cache", "--encoding", "nonsense"], "--clear-cache goes with --cache-dir only: leave out --encoding"),
        (["--cache-dir", "x"], "--cache-dir is for --clear-cache here: tokenize prints, and keeps nothing"),
    ],
)
def test_clearing_the_cache_is_all_that_a_command_does(rnngen, arguments, message):
    result = rnngen("tokenize", *arguments)
    assert (result.code, result.out, result.err) == (2, "", f"rnngen: {message}\n")


def test_a_tokenizer_does_not_replace_a_file_that_came_while_the_text_was_read(start, tmp_path):
    child = start("tokenize", "-", "--level", "word", "--min-count", "1", "--save", "words.json")
    child.stdin.write(b"hello\n")
    child.stdin.flush()
    wait_for_reading(child, tmp_path)
    (tmp_path / "words.json").write_text("mine")
    _, err = child.communicate(timeout=60)
    assert (child.returncode, err.count(b"\n")) == (1, 1)
    assert b"words.json" in err
    assert (tmp_path / "words.json").read_text() == "mine"


def wait_for_reading(child, folder):
    """Until the process has seen that the place is free: only then it opens the file that keeps standard input."""
    end = time.monotonic() + 60
    while not any(" (deleted)" in str(link) for link in open_files(child.pid)):
        assert child.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)


def open_files(pid):
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            yield os.readlink(entry)
