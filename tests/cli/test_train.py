"""`rnngen train`: what it writes and refuses, and that its messages are true."""

import gzip
import hashlib
import json
import math
import os
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from rnngen import checkpoint

TEXT = (
    "the bell is slow to wake,\nthe ferry knows no king;\nand all the tide can take\nis what the tide will bring.\n"
    * 12
)
SMALL = ("--hidden-size", 16, "--steps", 4, "--threads", 1)


@pytest.fixture(autouse=True)
def _text(tmp_path):
    (tmp_path / "verse.txt").write_text(TEXT)


def weights_of(path):
    return {name: weight.tobytes() for name, weight in load_file(path).items()}


def test_the_path_goes_to_stdout_and_a_summary_to_stderr(rnngen, tmp_path):
    result = rnngen("train", "verse.txt", *SMALL, "--seed", 5)
    assert (result.code, result.out) == (0, "checkpoints/verse.safetensors\n")
    loaded = checkpoint.load(tmp_path / result.out.strip())
    training = loaded.training
    for said in (
        f"{loaded.config.n_parameters:,} parameters",
        "seed 5",
        "4 steps",
        f"{training['n_tokens']:,} tokens",
        f"in {training['seconds']:.1f} s",
        f"{training['tokens_per_second']:,} tokens/s",
        f"train loss {training['train_loss_nats']:.4f}",
        f"validation loss {training['valid_loss_nats']:.4f} nats",
        f"{training['valid_bits_per_char']:.4f} bits a character",
        f"perplexity {training['valid_perplexity']:.3f}",
    ):
        assert said in result.err
    assert training["valid_perplexity"] == pytest.approx(math.exp(training["valid_loss_nats"]))
    assert training["valid_bits_per_char"] == pytest.approx(training["valid_loss_nats"] / math.log(2))


def test_the_losses_without_the_unknown_symbol_are_those_that_perplexity_finds(rnngen, tmp_path):
    (tmp_path / "valid.txt").write_text("the bell is new,\nand king and tide\nare odd to all the slow.\n" * 9)
    words = ("--level", "word", "--vocab-size", 16, "--steps", 30, "--log", "run.jsonl")
    result = rnngen("train", "verse.txt", "--valid", "valid.txt", *SMALL, *words)
    training = checkpoint.load(tmp_path / result.out.strip()).training
    assert training["n_unknown_train_tokens"] > 50
    [measured] = rnngen("perplexity", "valid.txt", "--json").records
    assert training["n_unknown_valid_tokens"] == measured["n_unknown"] > 30
    for name, of_all in (("valid_loss_nats", "loss_nats"), ("valid_perplexity", "perplexity")):
        assert training[name] == pytest.approx(measured[of_all], rel=1e-5)
        assert training[f"known_{name}"] == pytest.approx(measured[f"known_{of_all}"], rel=1e-5)
    assert abs(training["known_valid_loss_nats"] - training["valid_loss_nats"]) > 0.05
    share = measured["n_unknown"] / measured["n_tokens"]
    assert (
        f"without the unknown symbol ({share:.2%} of the validation tokens): "
        f"train loss {training['known_train_loss_nats']:.4f}, "
        f"validation loss {training['known_valid_loss_nats']:.4f} nats a token, "
        f"perplexity {training['known_valid_perplexity']:.3f}\n"
    ) in result.err
    *_, last = map(json.loads, (tmp_path / "run.jsonl").read_text().splitlines())
    valid, known = (last[f"{part}valid_loss_nats"] for part in ("", "known_"))
    assert f"validation loss {valid:.4f} nats a token, without unknown {known:.4f}, kept\n" in result.err


def test_where_nothing_is_unknown_there_is_one_loss(rnngen, tmp_path):
    result = rnngen("train", "verse.txt", *SMALL)
    assert "without" not in result.err
    training = checkpoint.load(tmp_path / result.out.strip()).training
    for name in ("train_loss_nats", "valid_loss_nats", "valid_perplexity"):
        assert training[f"known_{name}"] == training[name]


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (["-"], "checkpoints/model.safetensors"),
        (["verse.txt.gz"], "checkpoints/verse.safetensors"),
        (["verse.txt", "-o", "name"], "checkpoints/name.safetensors"),
        (["verse.txt", "-o", "some/where/name.safetensors"], "some/where/name.safetensors"),
    ],
)
def test_the_checkpoint_is_named_by_option_or_after_the_text(rnngen, tmp_path, arguments, path):
    (tmp_path / "verse.txt.gz").write_bytes(gzip.compress(TEXT.encode()))
    result = rnngen("train", *arguments, *SMALL, "-q", stdin=TEXT.encode())
    assert (result.code, result.out, result.err) == (0, path + "\n", "")
    assert checkpoint.load(tmp_path / path).training["text_sha256"] == hashlib.sha256(TEXT.encode()).hexdigest()


@pytest.fixture
def piped():
    """A function: text to a path that reads it once, which is what `<(command)` of a shell gives."""
    opened = []

    def make(text):
        read, write = os.pipe()
        opened.append(read)
        with os.fdopen(write, "wb") as file:
            file.write(text.encode())
        return f"/dev/fd/{read}"

    yield make
    for number in opened:
        os.close(number)


@pytest.mark.skipif(not os.path.exists("/dev/fd"), reason="there is no /dev/fd here")
def test_a_text_from_a_process_substitution_has_no_name_and_its_repeat_line_says_what_to_keep(rnngen, piped):
    result = rnngen("train", piped(TEXT), *SMALL, "--valid", piped(TEXT))
    assert (result.code, result.out) == (0, "checkpoints/model.safetensors\n")
    [repeat] = [line for line in result.err.splitlines() if line.startswith("repeat: ")]
    assert repeat.startswith("repeat: rnngen train FILE1 --valid FILE2 ")
    assert repeat.endswith("  # FILE1 and FILE2: what came through a pipe, kept in a file")
    for name in ("FILE1", "FILE2"):
        Path(name).write_text(TEXT, "utf-8")
    again = rnngen(*shlex.split(repeat.removeprefix("repeat: rnngen "), comments=True), "-q")
    assert weights_of("checkpoints/model.safetensors") == weights_of(again.out[:-1])


def test_an_existing_checkpoint_is_overwritten_with_force_only(rnngen, contents):
    assert rnngen("train", "verse.txt", *SMALL, "-q").code == 0
    before = contents()
    refused = rnngen("train", "verse.txt", *SMALL, "--seed", 2)
    assert refused.code == 1
    assert "checkpoints/verse.safetensors exists already" in refused.err
    assert "--force" in refused.err
    assert contents() == before
    assert rnngen("train", "verse.txt", *SMALL, "--seed", 2, "--force").code == 0
    after = contents()
    assert after.keys() == before.keys()
    assert after != before


def test_the_log_has_a_record_for_every_step_and_validation(rnngen, tmp_path):
    assert rnngen("train", "verse.txt", *SMALL, "--steps", 30, "--log", "run.jsonl").code == 0
    records = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    steps = [record for record in records if record["event"] == "step"]
    validations = [record for record in records if record["event"] == "validation"]
    assert [record["step"] for record in steps] == list(range(1, 31))
    names = {"event", "step", "seconds", "n_tokens", "train_loss_nats", "known_train_loss_nats"}
    assert all(set(record) == names | {"learning_rate"} for record in steps)
    assert all(set(record) == names | {"valid_loss_nats", "known_valid_loss_nats"} for record in validations)
    assert validations[-1]["step"] == 30
    assert all(record["valid_loss_nats"] > 0 for record in validations)


@pytest.mark.parametrize("stdin", [b"", b"\xef\xbb\xbf"])
def test_without_a_text_it_explains_itself_and_names_the_embedded_texts(rnngen, contents, stdin):
    before = contents()
    result = rnngen("train", stdin=stdin)
    assert result.code != 0
    assert (result.out, result.err.count("\n")) == ("", 1)
    commands = re.findall(r"rnngen train (\S+\.txt)((?: --lines)?)", result.err)
    assert {path.rsplit("/", 1)[1]: option for path, option in commands} == {
        "marrowmere.txt": "",
        "names.txt": " --lines",
    }
    for path, _ in commands:
        with open(path, encoding="utf-8") as file:
            assert file.read(1)
    assert contents() == before


def test_a_text_of_ten_characters_trains(rnngen, tmp_path):
    (tmp_path / "ten.txt").write_text("abababab\nc")
    result = rnngen("train", "ten.txt", "--steps", 3)
    assert (result.code, result.out) == (0, "checkpoints/ten.safetensors\n")
    assert rnngen("sample", "--length", 5, "--no-echo").code == 0


@pytest.mark.parametrize(
    "options",
    [
        ["--cell", "rnn", "--nonlinearity", "relu", "--num-layers", "2"],
        ["--cell", "lstm", "--embedding-dim", "16", "--tie-weights", "--dropout", "0.2", "--weight-drop", "0.1"],
        ["--optimizer", "sgd", "--lr", "0.1", "--grad-clip", "0.5"],
        ["--optimizer", "rmsprop", "--weight-decay", "0.1"],
        ["--level", "byte", "--bptt", "7", "--batch-size", "3", "--precision", "float32"],
        ["--level", "word", "--split", "whitespace", "--vocab-size", "12"],
        ["--level", "subword", "--subword-model", "bpe", "--vocab-size", "290"],
        ["--lines", "--valid-fraction", "0.25", "--min-count", "30"],
    ],
    ids=" ".join,
)
def test_a_model_of_every_kind_trains_and_can_be_used(rnngen, options):
    assert rnngen("train", "verse.txt", *SMALL, *options, "-q").code == 0
    [scored] = rnngen("score", "-", "--json", stdin=b"the bell").records
    assert math.isfinite(scored["logprob_nats"])
    assert rnngen("sample", "--length", 5, "--seed", 1).code == 0
    info = rnngen("info", "--json").records[0]
    settings = {**info["model"], **info["tokenizer"], **info["training"]}
    names = {"lr": "learning_rate", "subword-model": None, "vocab-size": None, "min-count": None,
             "valid-fraction": None}  # fmt: skip
    for flag, value in zip(options, [*options[1:], "--"], strict=True):
        if flag.startswith("--") and (name := names.get(flag[2:], flag[2:].replace("-", "_"))):
            assert str(settings[name]) == ("True" if value.startswith("--") else value)


@pytest.mark.parametrize("precision", ["float32", "auto"])
def test_the_validation_loss_is_what_perplexity_measures_and_the_best_of_the_history(rnngen, tmp_path, precision):
    (tmp_path / "other.txt").write_text("the tide will bring\nno ferry to the king.\n" * 40)
    options = ("--valid", "other.txt", "--steps", 30, "--precision", precision, "-q")
    assert rnngen("train", "verse.txt", *SMALL, *options).code == 0
    info = rnngen("info", "--json").records[0]
    measured = rnngen("perplexity", "other.txt", "--json").records[0]
    valid = info["training"]["valid_loss_nats"]
    assert measured["loss_nats"] == pytest.approx(valid, rel=1e-4)
    assert measured["bits_per_char"] == pytest.approx(info["training"]["valid_bits_per_char"], rel=1e-4)
    losses = [entry["valid_loss_nats"] for entry in info["history"] if entry["valid_loss_nats"] is not None]
    assert valid == pytest.approx(min(losses), rel=1e-4)
    assert len(losses) > 1


def test_patience_ends_a_run_that_gets_no_better(rnngen, tmp_path):
    (tmp_path / "other.txt").write_text("zyx wvu tsr qpo\n" * 10)
    options = ("--steps", 5000, "--patience", 1, "--valid", "other.txt", "--lr", "0.03", "--min-count", 1)
    result = rnngen("train", "verse.txt", *SMALL, *options)
    assert result.code == 0
    assert "stopped by --patience" in result.err
    training = rnngen("info", "--json").records[0]["training"]
    assert training["stopped_by"] == "patience"
    assert training["best_step"] < training["steps"] < 5000


@pytest.mark.parametrize("options", [["--valid-fraction", "0.5"], [], ["--valid-part", "last"]])
def test_a_part_of_the_text_is_kept_for_validation(rnngen, options):
    result = rnngen("train", "verse.txt", *SMALL, *options)
    training = rnngen("info", "--json").records[0]["training"]
    fraction = 0.5 if "0.5" in options else 0.1
    assert training["n_valid_tokens"] == pytest.approx(fraction * len(TEXT), abs=20)  # whole lines
    assert training["n_train_tokens"] + training["n_valid_tokens"] == training["n_chars"] == len(TEXT)
    assert f"{training['n_valid_tokens']:,} to validate on" in result.err


@pytest.mark.parametrize("order", [["english.txt", "greek.txt"], ["greek.txt", "english.txt"]])
def test_a_second_file_does_not_become_the_validation_text(rnngen, tmp_path, order):
    greek = {ord(letter): 0x3B1 + place for place, letter in enumerate("abcdefghijklmnopqrstuvwxyz")}
    (tmp_path / "english.txt").write_text(TEXT * 9)
    (tmp_path / "greek.txt").write_text(TEXT.lower().translate(greek), "utf-8")
    settings = ["--steps", 150, "--hidden-size", 16, "--lr", 0.003, "--dropout", 0.1, "--weight-drop", 0]
    result = rnngen("train", *order, *settings, "--threads", 1)
    assert "unknown" not in result.err
    assert "unlike" not in result.err
    training = rnngen("info", "--json").records[0]["training"]
    assert training["best_step"] == 150
    assert training["valid_loss_nats"] < 2


def test_the_last_part_of_another_language_is_said_with_the_remedy(rnngen, tmp_path):
    (tmp_path / "greek.txt").write_text("\u03b1\u03b2\u03b3\u03b4\n" * 50, "utf-8")
    result = rnngen("train", "verse.txt", "greek.txt", *SMALL, "--valid-part", "last")
    assert result.err.count("is unlike the text to train on") == result.err.count("--valid-part spread takes it") == 1


def test_several_texts_are_one(rnngen, tmp_path):
    (tmp_path / "more.txt").write_bytes(b"\xef\xbb\xbfthe end\r\nis near")
    (tmp_path / "whole.txt").write_text(TEXT + "the end\nis near")
    for name, texts in (("parts", ["verse.txt", "more.txt"]), ("whole", ["whole.txt"])):
        assert rnngen("train", *texts, *SMALL, "-o", name, "-q").code == 0
    assert weights_of("checkpoints/parts.safetensors") == weights_of("checkpoints/whole.safetensors")


def test_a_saved_tokenizer_is_used_as_it_is(rnngen):
    text = b"abcdefghijklmnopqrstuvwxyz ,;."
    assert rnngen("tokenize", "-", "--save", "letters.json", "-q", stdin=text).code == 0
    assert rnngen("train", "verse.txt", "--tokenizer", "letters.json", *SMALL, "-q").code == 0
    assert rnngen("info", "--json").records[0]["model"]["vocab_size"] == len(text) + 2
    shown = [rnngen("tokenize", "verse.txt", "--ids", *source).out
             for source in (["--tokenizer", "letters.json"], ["-m", "verse"])]  # fmt: skip
    assert shown[0] == shown[1] != ""


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        (["--lr", "0.0012345678901", "--grad-clip", "0.987654321"], ["0.0012345678901", "0.987654321"]),
        (["--valid-fraction", "0.123456789"], ["0.123456789"]),
        (["--valid-part", "last"], ["--valid-part", "last"]),
        (["--level", "word", "--min-count", "3", "--tie-weights", "--seed", "7"], ["word", "--tie-weights", "7"]),
    ],
)
def test_the_repeat_line_gives_the_same_weights(rnngen, options, kept):
    result = rnngen("train", "verse.txt", *SMALL[:2], "--epochs", "0.34567", "--threads", 1, *options)
    [line] = [line for line in result.err.splitlines() if line.startswith("repeat: rnngen ")]
    command = shlex.split(line)[2:]
    assert set(kept) <= set(command)
    again = rnngen(*command, "-o", "again", "-q")
    assert (again.code, again.out) == (0, "checkpoints/again.safetensors\n")
    assert weights_of("checkpoints/verse.safetensors") == weights_of("checkpoints/again.safetensors")


def test_a_run_by_time_tells_the_steps_that_give_the_same_weights(rnngen, monkeypatch):
    monkeypatch.setattr("rnngen.training.optimize.OVERRUN", 100)  # a busy machine is no reason to end early here
    result = rnngen("train", "verse.txt", "--time", "1.5s", "--hidden-size", 16, "--threads", 1, "--seed", 3)
    [line] = [line for line in result.err.splitlines() if line.startswith("repeat: rnngen ")]
    command = shlex.split(line)[2:]
    assert int(command[command.index("--steps") + 1]) > 5
    assert rnngen(*command, "-o", "again", "-q").code == 0
    assert weights_of("checkpoints/verse.safetensors") == weights_of("checkpoints/again.safetensors")


def test_another_seed_gives_other_weights(rnngen):
    for seed in (1, 2):
        assert rnngen("train", "verse.txt", *SMALL, "--seed", seed, "-o", f"m{seed}", "-q").code == 0
    assert weights_of("checkpoints/m1.safetensors") != weights_of("checkpoints/m2.safetensors")


def test_a_loss_that_is_not_finite_is_said_aloud_three_times_and_loses_nothing(rnngen, contents):
    small = (*SMALL, "--ngram-order", "none")
    assert rnngen("train", "verse.txt", *small, "-q").code == 0
    before = contents()
    result = rnngen("train", "verse.txt", *small, "--lr", "1e30", "--force")
    assert (result.code, result.out) == (1, "")
    assert result.err.count("the loss is not finite; back to step 0 with half the learning rate") == 3
    last = result.err.splitlines()[-1]
    assert last.startswith("rnngen: the loss is not finite at step")
    assert "--lr" in last
    assert contents() == before


def test_lines_are_learned_one_by_one(rnngen, tmp_path):
    (tmp_path / "names.txt").write_text("ab\n\ncd\n   \nef\n" * 20)
    assert rnngen("train", "names.txt", "--lines", *SMALL, "-q", "--steps", 150, "--lr", 0.02).code == 0
    drawn = rnngen("sample", "-n", 20, "--seed", 1, "-q", "--temp", 0.5)
    assert drawn.out.count("\n") == 20
    assert set(drawn.out.split("\n")[:-1]) <= {"ab", "cd", "ef"}
    first = next(iter(rnngen("score", "-", "--tokens", "--json", stdin=b"ab").records))["tokens"]
    assert np.exp(first[0]["logprob_nats"]) == pytest.approx(1 / 3, abs=0.15)


@pytest.mark.parametrize(("given", "order"), [("3", 3), ("none", 0), (None, 10)])
def test_the_order_is_in_the_checkpoint_and_in_the_line_that_repeats_the_run(rnngen, tmp_path, given, order):
    result = rnngen("train", "verse.txt", *SMALL, *(["--ngram-order", given] if given else []))
    first = checkpoint.load(tmp_path / result.out.strip())
    assert first.config.ngram_order == order
    assert (f"n-grams up to {order}," in result.err) == (order > 0)
    assert (f"--ngram-order {given}" in result.err) == bool(given)
    (line,) = re.findall("repeat: rnngen (.*)", result.err)
    again = rnngen(*shlex.split(line))
    assert weights_of(tmp_path / again.out.strip()) == weights_of(tmp_path / "checkpoints/verse.safetensors")


def test_a_network_that_diverges_leaves_the_counts(rnngen):
    result = rnngen("train", "verse.txt", *SMALL, "--lr", "1e30")
    assert result.code == 1
    assert "the best model so far, of step 0 with validation loss" in result.err.splitlines()[-1]
    assert rnngen("sample", "--length", "5").code == 0


def test_counts_alone_are_a_model(rnngen, tmp_path):
    result = rnngen("train", "verse.txt", "--cell", "none", "-o", "counts")
    assert result.code == 0
    assert "kept: the counts; validation loss" in result.err
    trained = checkpoint.load(tmp_path / result.out.strip())
    assert not trained.config.has_network
    for command in (["sample", "--seed", "1"], ["perplexity", "verse.txt"], ["score", "verse.txt"], ["info"]):
        assert rnngen(*command, "-m", "counts").code == 0
    (line,) = re.findall("repeat: rnngen (.*)", result.err)
    assert line == "train verse.txt --cell none -o checkpoints/counts-again.safetensors"
    again = rnngen(*shlex.split(line))
    assert weights_of(tmp_path / again.out.strip()) == weights_of(tmp_path / "checkpoints/counts.safetensors")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ngram-order", "x"], "ngram_order is 'x': it must be a whole number from 1 to 16, or none"),
        (["--ngram-order", "0"], "ngram_order is '0': it must be"),
        (["--ngram-order", "17"], "ngram_order is '17': it must be"),
        (["--ngram-size", "0"], "ngram_size is 0.0: it must be"),
        (["--ngram-size", "nan"], "ngram_size is nan: it must be"),
        (["--ngram-order", "none", "--ngram-size", "9"], "--ngram-size is for counts: leave it out"),
        (["--cell", "none"], "--cell none trains no network, it counts: leave out"),
    ],
)
def test_counts_that_cannot_be_are_refused(rnngen, contents, arguments, message):
    result = rnngen("train", "verse.txt", *SMALL, *arguments)
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert contents() == {"verse.txt": TEXT.encode()}


def test_what_makes_a_run_slower_is_said_before_and_after_it_and_in_info(rnngen, monkeypatch):
    monkeypatch.setattr("rnngen.training.plan.available_cores", lambda: 2)
    result = rnngen("train", "verse.txt", *SMALL[:-1], 99)
    assert len(re.findall(r"^slower: 99 threads share", result.err, re.MULTILINE)) == 2
    assert "99 threads share" in rnngen("info").out
