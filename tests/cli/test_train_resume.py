"""`train --resume` and `--init-from`: options, signals and what is printed.

What a run that goes on does is tested in tests/runs/test_resume.py and tests/runs/test_warm_start.py.
"""

from __future__ import annotations

import json
import os
import signal
import time
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
    """A function: run the command and send this process signals when it has made so many steps."""

    def stop(rnngen, *arguments, at=20, number=signal.SIGINT, times=1):
        from rnngen.cli.progress import Progress
        from rnngen.runs.events import Stepped

        take = Progress.take

        def stopping(progress, event):
            take(progress, event)
            if isinstance(event, Stepped) and event.step == at:
                for _ in range(times):
                    os.kill(os.getpid(), number)

        with monkeypatch.context() as patch:
            patch.setattr(Progress, "take", stopping)
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


def test_a_run_that_goes_on_says_from_where_and_reads_its_text_again(rnngen, stopped):
    stopped(rnngen, "play.txt", *SMALL)
    result = rnngen("train", "--resume", "play")
    assert (result.code, result.out) == (0, f"{SAVED}\n")
    lines = result.err.splitlines()
    assert lines[1] == "tokens: reused from the cache (rnngen tokenize --clear-cache removes them)"
    assert "goes on after step 20" in lines
    assert not RESUME.exists()


def test_a_second_ctrl_c_does_not_wait_and_says_how_to_go_on(rnngen, stopped):
    result = stopped(rnngen, "play.txt", *SMALL, times=2)
    assert (result.code, result.out) == (130, "")
    assert result.err.splitlines()[-3:] == [
        "stopping after a last validation; Ctrl-C again to quit at once",
        f"go on: rnngen train --resume {SAVED}",
        "rnngen: interrupted",
    ]
    assert sorted(os.listdir("checkpoints")) == [RESUME.name, SAVED.name]  # the counts are a model already
    assert rnngen("train", "--resume", "play", "-q").code == 0


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


def test_a_log_that_is_not_named_again_stays_as_it_is(rnngen, stopped):
    stopped(rnngen, "play.txt", *SMALL, "--log", "log.jsonl")
    before = Path("log.jsonl").read_bytes()
    assert rnngen("train", "--resume", "play", "-q").code == 0
    assert Path("log.jsonl").read_bytes() == before


def test_a_log_that_is_named_anew_starts_with_the_next_step(rnngen, stopped):
    stopped(rnngen, "play.txt", *SMALL)
    assert rnngen("train", "--resume", "play", "--log", "other.jsonl", "-q").code == 0
    assert [json.loads(line).get("step") for line in Path("other.jsonl").read_text().split("\n")[:2]] == [None, 21]


def test_a_text_that_has_moved_can_be_named(rnngen, stopped):
    stopped(rnngen, "play.txt", *SMALL)
    Path("play.txt").rename("moved.txt")
    result = rnngen("train", "--resume", "play")
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert "play.txt is not there, or no file any more: name its text beside --resume\n" in result.err
    assert rnngen("train", "moved.txt", "--resume", "play").code == 0


def test_a_text_from_standard_input_is_piped_in_again(rnngen, stopped):
    rnngen("train", *SMALL, "-o", "whole", stdin=PLAY.encode())
    stopped(lambda *arguments: rnngen(*arguments, stdin=PLAY.encode()), *SMALL, "-o", "play")
    assert "is not the one" in rnngen("train", "--resume", "play", stdin=NAMES.encode()).err
    assert rnngen("train", "--resume", "play", stdin=PLAY.encode()).code == 0
    assert weights() == weights("checkpoints/whole.safetensors")


def test_a_run_of_standard_input_that_gets_an_empty_one_says_that_it_needs_the_same_text_again(rnngen, stopped):
    first = stopped(lambda *arguments: rnngen(*arguments, stdin=PLAY.encode()), *SMALL, "-o", "play")
    command = f"rnngen train FILE --resume {SAVED}, where FILE is the text that came through a pipe"
    assert f"go on: {command}\n" in first.err
    result = rnngen("train", "--resume", "play")
    assert (result.code, result.out) == (1, "")
    assert result.err == (
        "rnngen: the run read its text from standard input, and nothing comes from there: "
        f"give it the same text again: {command}\n"
    )
    assert f"can go on: {command};" in rnngen("train", *SMALL, "-o", "play", stdin=PLAY.encode()).err
    assert rnngen("train", "play.txt", "--resume", "play").code == 0


@pytest.mark.parametrize(
    "option", ["--lr 0.1", "--steps 5", "--hidden-size 8", "--force", "--lines", "--seed 1", "--level char", "-o x"]
)
def test_a_run_that_goes_on_takes_no_other_settings(rnngen, stopped, option):
    result = rnngen("train", "--resume", "play", *option.split())
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert "--resume goes on with the settings that the run has: leave out --" in result.err


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


def test_a_run_says_what_it_starts_from_and_names_that_in_the_line_that_repeats_it(rnngen):
    rnngen("train", "play.txt", *SMALL)
    err = rnngen("train", "play.txt", "--steps", "1", "--threads", "1", "--init-from", "play", "-o", "on").err
    assert f"starts from {SAVED}, with its vocabulary; the n-grams are counted anew, in the new text alone\n" in err
    assert f"--init-from {SAVED}" in err
    assert "--hidden-size" not in err


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
    result = rnngen("train", "words.txt", "--init-from", "play", "--vocab-size", "500")
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert "add --level" in result.err
