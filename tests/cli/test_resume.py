"""`train --resume` and `--init-from`: what a person sees of a run that is stopped and goes on, and of old weights.

That such a run is the same to the bit is tested kind by kind in tests/training/test_run_state.py.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from rnngen import checkpoint
from rnngen.runs import resume_file as resumes

CORPORA = Path(__file__).parents[2] / "corpora"
PLAY, NAMES = ((CORPORA / name).read_text("utf-8")[:4000] for name in ("marrowmere.txt", "names.txt"))

SMALL = ["--steps", "40", "--hidden-size", "16", "--batch-size", "4", "--bptt", "8", "--threads", "1"]
SAVED = Path("checkpoints/play.safetensors")
RESUME = Path("checkpoints/play.resume.safetensors")


@pytest.fixture(autouse=True)
def _texts(tmp_path):
    (tmp_path / "play.txt").write_text(PLAY, "utf-8")
    (tmp_path / "names.txt").write_text(NAMES, "utf-8")


@pytest.fixture
def stopped(monkeypatch):
    """A function: run the command and stop it, as by this signal, when the log has so many steps."""

    def stop(rnngen, *arguments, at=20, number=signal.SIGINT):
        from rnngen.runs.event_log import EventLog

        write = EventLog.write

        def stopping(log, event, values):
            write(log, event, values)
            if event == "step" and values["step"] == at:
                os.kill(os.getpid(), number)

        with monkeypatch.context() as patch:
            patch.setattr(EventLog, "write", stopping)
            return rnngen("train", *arguments)

    return stop


def weights(path=SAVED):
    return {name: weight.tobytes() for name, weight in load_file(path).items()}


def test_a_run_leaves_a_resume_file_only_when_it_is_stopped(rnngen, stopped):
    assert rnngen("train", "play.txt", *SMALL).code == 0
    assert os.listdir("checkpoints") == ["play.safetensors"]
    result = stopped(rnngen, "play.txt", *SMALL, "--force")
    assert (result.code, result.out) == (130, f"{SAVED}\n")
    assert f"go on: rnngen train --resume {SAVED}\n" in result.err
    assert sorted(os.listdir("checkpoints")) == [RESUME.name, SAVED.name]


@pytest.mark.parametrize(
    "options", [[], ["--lines"], ["--level", "word"], ["--level", "subword", "--vocab-size", "320"]]
)
def test_what_goes_on_ends_as_the_run_that_was_not_stopped(rnngen, stopped, options):
    text = "names.txt" if options == ["--lines"] else "play.txt"
    rnngen("train", text, *SMALL, *options, "-o", "whole")
    stopped(rnngen, text, *SMALL, *options, "-o", "play")
    result = rnngen("train", "--resume", "play")
    assert (result.code, result.out) == (0, f"{SAVED}\n")
    assert "goes on after step 20\n" in result.err
    assert weights() == weights("checkpoints/whole.safetensors")
    whole, again = checkpoint.load(Path("checkpoints/whole.safetensors")), checkpoint.load(SAVED)
    steps = [point["step"] for point in whole.history]
    assert [point["step"] for point in again.history] == steps
    same = ("valid_loss_nats", "train_loss_nats", "best_step", "steps", "n_tokens", "text_sha256", "stopped_by")
    assert {name: again.training[name] for name in same} == {name: whole.training[name] for name in same}
    assert not RESUME.exists()


@pytest.mark.parametrize("name", ["play", "play.safetensors", "checkpoints/play", str(SAVED), str(RESUME)])
def test_a_run_is_named_by_its_checkpoint_or_its_resume_file(rnngen, stopped, name):
    stopped(rnngen, "play.txt", *SMALL)
    SAVED.unlink()  # killed before there was one
    assert rnngen("train", "--resume", name, "-q").code == 0
    assert SAVED.exists()


def test_a_run_goes_on_from_another_folder_and_tells_how_to_repeat_it(rnngen, stopped, tmp_path, monkeypatch):
    stopped(rnngen, "play.txt", *SMALL, "--lr", "0.01")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    result = rnngen("train", "--resume", tmp_path / SAVED)
    assert result.code == 0
    (line,) = [line for line in result.err.split("\n") if line.startswith("repeat: ")]
    assert f"rnngen train {tmp_path}/play.txt" in line
    assert "--lr 0.01" in line


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_every_signal_that_asks_for_an_end_gets_one_with_all_saved(rnngen, stopped, number, code):
    before = signal.getsignal(number)
    assert stopped(rnngen, "play.txt", *SMALL, number=number).code == code
    assert signal.getsignal(number) is before
    assert checkpoint.load(SAVED).training["stopped_by"] == "stopped"
    assert resumes.load(RESUME).state.count("step") == 20


def test_a_signal_that_is_ignored_from_the_start_stays_ignored(rnngen, stopped, monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert stopped(rnngen, "play.txt", *SMALL, number=signal.SIGHUP).code == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_log_goes_on_without_a_gap_or_a_double_where_it_is_named_again(rnngen, stopped):
    stopped(rnngen, "play.txt", *SMALL, "--log", "log.jsonl")
    assert rnngen("train", "--resume", "play", "--log", "log.jsonl", "-q").code == 0
    events = [json.loads(line) for line in Path("log.jsonl").read_text().splitlines()]
    assert [event["step"] for event in events if event["event"] == "step"] == list(range(1, 41))


def test_a_log_that_is_not_named_again_stays_as_it_is(rnngen, stopped):
    stopped(rnngen, "play.txt", *SMALL, "--log", "log.jsonl")
    before = Path("log.jsonl").read_bytes()
    assert rnngen("train", "--resume", "play", "-q").code == 0
    assert Path("log.jsonl").read_bytes() == before


def test_a_file_that_is_not_the_log_of_the_run_is_left_alone_and_a_new_one_can_be_named(rnngen, stopped):
    stopped(rnngen, "play.txt", *SMALL)
    Path("mine").write_text("mine\n")
    result = rnngen("train", "--resume", "play", "--log", "mine")
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert "mine exists already and is not the log of this run: name another file\n" in result.err
    assert Path("mine").read_text() == "mine\n"
    assert rnngen("train", "--resume", "play", "--log", "other.jsonl", "-q").code == 0
    assert [json.loads(line).get("step") for line in Path("other.jsonl").read_text().split("\n")[:2]] == [None, 21]


def test_a_text_that_has_moved_can_be_named_and_must_be_the_same(rnngen, stopped):
    rnngen("train", "play.txt", *SMALL, "-o", "whole")
    stopped(rnngen, "play.txt", *SMALL)
    Path("play.txt").rename("moved.txt")
    result = rnngen("train", "--resume", "play")
    assert (result.code, result.out) == (1, "")
    assert "play.txt is not there, or no file any more: name its text beside --resume\n" in result.err
    result = rnngen("train", "names.txt", "--resume", "play")
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert "the text (names.txt) is not the one that the run started with" in result.err
    assert rnngen("train", "moved.txt", "--resume", "play").code == 0
    assert weights() == weights("checkpoints/whole.safetensors")


def test_a_validation_text_must_be_the_same_too(rnngen, stopped):
    stopped(rnngen, "play.txt", "--valid", "names.txt", *SMALL)
    Path("names.txt").write_text("another\n" * 10)
    result = rnngen("train", "--resume", "play")
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert "the validation text" in result.err
    Path("names.txt").write_text(NAMES, "utf-8")
    assert rnngen("train", "--resume", "play").code == 0


def test_a_text_from_standard_input_is_piped_in_again(rnngen, stopped):
    rnngen("train", *SMALL, "-o", "whole", stdin=PLAY.encode())
    stopped(lambda *arguments: rnngen(*arguments, stdin=PLAY.encode()), *SMALL, "-o", "play")
    assert "is not the one" in rnngen("train", "--resume", "play", stdin=NAMES.encode()).err
    assert rnngen("train", "--resume", "play", stdin=PLAY.encode()).code == 0
    assert weights() == weights("checkpoints/whole.safetensors")


def test_a_new_run_does_not_write_over_one_that_can_go_on(rnngen, stopped, contents):
    stopped(rnngen, "play.txt", *SMALL)
    SAVED.unlink()
    before = contents()
    result = rnngen("train", "play.txt", *SMALL)
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert f"{RESUME} exists already and is not overwritten" in result.err
    assert f"go on with --resume {SAVED}" in result.err
    assert contents() == before
    assert rnngen("train", "play.txt", *SMALL, "--force", "-q").code == 0
    assert not RESUME.exists()


def test_what_has_ended_cannot_go_on(rnngen):
    rnngen("train", "play.txt", *SMALL)
    result = rnngen("train", "--resume", "play")
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert f"there is no interrupted run {RESUME}: the run of {SAVED} has ended; --init-from" in result.err
    assert "name the checkpoint" in rnngen("train", "--resume", "nothing").err


@pytest.mark.parametrize(
    "option", ["--lr 0.1", "--steps 5", "--hidden-size 8", "--force", "--lines", "--seed 1", "--level char", "-o x"]
)
def test_a_run_that_goes_on_takes_no_other_settings(rnngen, stopped, option):
    result = rnngen("train", "--resume", "play", *option.split())
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert "--resume goes on with the settings that the run has: leave out --" in result.err


def test_nothing_written_means_nothing_lost_but_a_minute(start, tmp_path):
    child = start("train", "play.txt", *SMALL, "--steps", 100_000, "--save-every", "0.3s", "-q")
    end = time.monotonic() + 60
    while not RESUME.exists() or resumes.load(RESUME).state.count("step") == 0:
        assert child.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)
    child.kill()
    child.wait()
    found = resumes.load(RESUME)
    assert found.state.count("step") > 0
    assert found.state.number("seconds") < 10


def test_two_runs_on_one_name_are_one_too_many(start, rnngen):
    child = start("train", "play.txt", *SMALL, "--steps", 100_000, "-q")
    end = time.monotonic() + 60
    while not RESUME.exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    for again in (["play.txt", *SMALL, "--force"], ["--resume", "play"]):
        result = rnngen("train", *again)
        assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
        assert f"{SAVED} is being written by another rnngen, process {child.pid}" in result.err


def test_a_resume_file_that_is_damaged_is_refused_in_a_line(rnngen, stopped):
    stopped(rnngen, "play.txt", *SMALL)
    content = RESUME.read_bytes()
    for damaged in (b"", content[:1000], content[:-1], content.replace(b'"paths', b'"pathz', 1), SAVED.read_bytes()):
        RESUME.write_bytes(damaged)
        result = rnngen("train", "--resume", "play")
        assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
        assert str(RESUME) in result.err


def test_a_checkpoint_that_is_not_the_run_s_own_is_not_overwritten(rnngen, stopped):
    stopped(rnngen, "play.txt", *SMALL)
    rnngen("train", "names.txt", *SMALL, "-o", "other")
    theirs = Path("checkpoints/other.safetensors").read_bytes()
    SAVED.write_bytes(theirs)
    result = rnngen("train", "--resume", "play")
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert f"{SAVED} exists already and is not overwritten: it is not of this run" in result.err
    assert SAVED.read_bytes() == theirs
    SAVED.unlink()
    assert rnngen("train", "--resume", "play", "-q").code == 0


def test_the_place_of_the_cache_and_the_pace_of_saving_are_remembered(rnngen, stopped, tmp_path):
    stopped(rnngen, "play.txt", *SMALL, "--cache-dir", "kept here", "--save-every", "7s")
    before = sorted(os.listdir("kept here"))
    result = rnngen("train", "--resume", "play")
    assert "tokens: reused from the cache" in result.err
    assert sorted(os.listdir("kept here")) == before


def test_the_best_loss_before_a_stop_is_the_best_after_it(rnngen, stopped):
    bad = ["names.txt", "--steps", "150", "--hidden-size", "16", "--lr", "0.5", "--optimizer", "sgd", "--threads", "1",
           "--batch-size", "4", "--bptt", "8"]  # fmt: skip
    whole = rnngen("train", *bad, "-o", "whole").err
    said = [line for line in whole.split("\n") if "validation loss" in line and line.startswith("step")]
    stopped(rnngen, *bad, "-o", "play", at=120)
    again = rnngen("train", "--resume", "play").err
    assert [line for line in again.split("\n") if line.startswith("step")] == said[-1:] or said[-1].startswith("step 1")
    assert said[-1] in again


def test_a_text_that_a_person_names_may_be_a_pipe(stopped, rnngen, tmp_path):
    stopped(rnngen, "play.txt", *SMALL)
    os.mkfifo("pipe")
    with subprocess.Popen(["sh", "-c", "cat play.txt > pipe"]) as writer:
        assert rnngen("train", "pipe", "--resume", "play", "-q").code == 0
        assert writer.wait(60) == 0


def test_a_run_of_a_gpu_does_not_go_on_without_one(rnngen, stopped, monkeypatch):
    stopped(rnngen, "play.txt", *SMALL)
    found = resumes.load(RESUME)
    resumes.save(RESUME, replace(found, plan=replace(found.plan, device="cuda", precision="float32")))
    result = rnngen("train", "--resume", "play")
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert "device is 'cuda'" in result.err


def test_a_name_that_is_a_resume_file_s_is_refused(rnngen):
    for arguments in (["-o", "foo.resume"], ["-o", "foo", "--log", "checkpoints/foo.resume.safetensors"]):
        result = rnngen("train", "play.txt", *SMALL, *arguments)
        assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
        assert "foo.resume.safetensors" in result.err
    for option in ("--resume", "--init-from"):
        result = rnngen("train", "play.txt", option, "")
        assert (result.code != 0, result.out, result.err.count("\n")) == (True, "", 1)


def test_a_time_that_is_too_short_gives_a_model_all_the_same(rnngen):
    result = rnngen("train", "play.txt", "--time", "0.01s", "--threads", "1", "--hidden-size", "64", "-q")
    assert result.code == 0
    assert os.listdir("checkpoints") == ["play.safetensors"]


def test_ctrl_c_says_so_when_there_is_nothing_to_save_yet(start, tmp_path):
    child = start("train", "-")
    end = time.monotonic() + 60
    while not list(Path("checkpoints").glob(".*.lock")):
        assert time.monotonic() < end
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out, err) == (130, b"", b"rnngen: interrupted\n")


# --init-from.


def test_new_training_starts_from_old_weights(rnngen):
    rnngen("train", "play.txt", *SMALL, "--steps", "200", "--lr", "0.02")
    first = {}
    for name, options in (("new", ["--hidden-size", "16"]), ("on", ["--init-from", "play"])):
        result = rnngen("train", "play.txt", "--steps", "1", "--threads", "1", "--lr", "1e-6", *options, "-o", name)
        assert result.code == 0
        first[name] = checkpoint.load(Path(f"checkpoints/{name}.safetensors")).training["valid_loss_nats"]
    trained = checkpoint.load(SAVED).training["valid_loss_nats"]
    assert first["new"] > 3.5
    # The rows of n-grams take steps of their own length.
    assert abs(first["on"] - trained) < 0.3
    assert f"starts from {SAVED}, with its vocabulary\n" in result.err
    assert f"--init-from {SAVED}" in result.err
    assert "--hidden-size" not in result.err


def test_of_another_vocabulary_the_shared_symbols_keep_their_rows(rnngen, tmp_path):
    (tmp_path / "abc.txt").write_text("abc\n" * 400)
    (tmp_path / "bcde.txt").write_text("bcde\n" * 400)
    rnngen("train", "abc.txt", *SMALL, "--ngram-orders", "2")
    tiny = ["--steps", "1", "--lr", "1e-12", "--threads", "1", "--init-from", "abc", "--weight-decay", "0"]
    result = rnngen("train", "bcde.txt", *tiny, "--level", "char")
    assert (
        "of 6 symbols 4 are in both vocabularies and keep their rows, 2 are new; the n-grams start anew" in result.err
    )
    old, new = (checkpoint.load(Path(f"checkpoints/{name}.safetensors")) for name in ("abc", "bcde"))
    for symbol in "\nbc":
        (old_id,), (new_id,) = (model.tokenizer.encode(symbol).tolist() for model in (old, new))
        for name in ("embedding.weight", "output.weight", "output.bias"):
            assert abs(old.weights[name][old_id] - new.weights[name][new_id]).max() < 1e-6
    kept = rnngen("train", "bcde.txt", *tiny, "-o", "kept")
    assert "with its vocabulary" in kept.err
    assert checkpoint.load(Path("checkpoints/kept.safetensors")).config == old.config


def test_the_n_grams_of_a_large_vocabulary_are_those_of_a_new_model(rnngen, tmp_path):
    (tmp_path / "words.txt").write_text("".join(f"w{n} w{n // 2}\n" for n in range(1500)))
    rnngen("train", "play.txt", *SMALL)
    options = ["--init-from", "play", "--level", "word", "--min-count", "1", "--steps", "2", "--threads", "1"]
    assert rnngen("train", "words.txt", *options).code == 0
    found = checkpoint.load(Path("checkpoints/words.safetensors")).config
    assert (found.vocab_size > 1024, found.ngram_orders) == (True, ())
    asked = rnngen("train", "words.txt", *options, "--ngram-orders", "1", "-o", "asked")
    assert "; the n-grams start anew" in asked.err
    assert checkpoint.load(Path("checkpoints/asked.safetensors")).config.ngram_orders == (1,)
    result = rnngen("train", "words.txt", "--init-from", "play", "--vocab-size", "500")
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert "add --level" in result.err


def test_what_a_checkpoint_brings_is_not_asked_for_again(rnngen):
    rnngen("train", "play.txt", *SMALL)
    for option in ("--cell lstm", "--hidden-size 16", "--num-layers 1"):
        result = rnngen("train", "names.txt", "--init-from", "play", *option.split())
        assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
        assert f"--init-from brings the sizes of its model: leave out {option.split()[0]}" in result.err
    result = rnngen("train", "play.txt", "--init-from", "play", "--force")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "which this run reads" in result.err
    result = rnngen("train", "names.txt", "--init-from", "nothing")
    assert (result.code, result.err.count("\n")) == (1, 1)


def test_a_run_from_old_weights_that_is_stopped_needs_them_no_more(rnngen, stopped):
    rnngen("train", "play.txt", *SMALL, "-o", "old")
    options = ["names.txt", "--lines", "--steps", "40", "--threads", "1", "--init-from", "old"]
    rnngen("train", *options, "-o", "whole")
    stopped(rnngen, *options, "-o", "play")
    Path("checkpoints/old.safetensors").unlink()
    assert rnngen("train", "--resume", "play", "-q").code == 0
    assert weights() == weights("checkpoints/whole.safetensors")


# Places that are full.


def test_a_model_whose_place_cannot_be_written_is_saved_elsewhere(rnngen, monkeypatch, tmp_path):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    Path("checkpoints").mkdir()
    real = checkpoint.save

    def full(made, path, **options):
        if path.parent.name == "checkpoints":
            shutil.rmtree("checkpoints", ignore_errors=True)
            Path("checkpoints").write_text("in the way")
        real(made, path, **options)

    monkeypatch.setattr(checkpoint, "save", full)
    result = rnngen("train", "play.txt", *SMALL, "-q")
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    (path,) = (tmp_path / "tmp").iterdir()
    assert f"the model is in {path}" in result.err
    assert checkpoint.load(path).training["steps"] == 40
