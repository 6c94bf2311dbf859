"""A run that was stopped goes on as if nothing had happened, and only as the run that it was.

That the training loop goes on to the bit from any step is tested in tests/training/test_run_state.py.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from small_runs import NAMES, PLAY, follow, weights_of

from rnngen import checkpoint
from rnngen.errors import CheckpointError, ConfigError, DataError, OutputError
from rnngen.runs import resume_file
from rnngen.runs.events import Started, Stepped
from rnngen.runs.resume import resume
from rnngen.runs.run import run
from rnngen.storage import checkpoint_paths


@pytest.fixture
def output(tmp_path):
    return tmp_path / "checkpoints" / "play.safetensors"


@pytest.fixture
def resume_path(output):
    return checkpoint_paths.resume_path(output)


@pytest.fixture
def text_path(tmp_path):
    (tmp_path / "play.txt").write_text(PLAY, "utf-8")
    return tmp_path / "play.txt"


@pytest.mark.parametrize(
    "options", [{}, {"lines": True}, {"level": "word"}, {"level": "subword", "vocab_size": 320}], ids=str
)
def test_what_goes_on_ends_as_the_run_that_was_not_stopped(run_of, output, resume_path, options):
    text = NAMES if options.get("lines") else PLAY
    whole = run_of(text, **options, output="whole")[-1]
    run_of(text, **options, stop_after=20)
    events = list(resume(str(output), text=text))
    started, ended = events[0], events[-1]
    assert isinstance(started, Started)
    assert started.resumed_after == 20
    assert [event.step for event in events if isinstance(event, Stepped)] == list(range(21, 31))
    assert weights_of(output) == weights_of(whole.output)
    before, after = (checkpoint.load(path) for path in (whole.output, output))
    assert [point["step"] for point in after.history] == [point["step"] for point in before.history]
    same = (
        "valid_loss_nats",
        "train_loss_nats",
        "known_train_loss_nats",
        "best_step",
        "steps",
        "n_tokens",
        "text_sha256",
        "stopped_by",
    )
    assert {name: ended.training[name] for name in same} == {name: whole.training[name] for name in same}
    assert not resume_path.exists()


def test_a_run_whose_caller_stopped_iterating_goes_on_too(request_of, run_of, output):
    whole = run_of(output="whole")[-1]
    for event in run(request_of(save_every=1e-9)):
        if isinstance(event, Stepped) and event.step == 12:
            break
    started, *_, ended = resume(str(output), text=PLAY)
    assert started.resumed_after == 11
    assert weights_of(ended.output) == weights_of(whole.output)


@pytest.mark.parametrize(
    "name", ["play", "play.safetensors", "checkpoints/play", "checkpoints/play.resume.safetensors"]
)
def test_a_run_is_named_by_its_checkpoint_or_its_resume_file(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path("checkpoints").mkdir()
    Path("checkpoints/play.resume.safetensors").write_text("")
    assert checkpoint_paths.find_resume(name) == (
        Path("checkpoints/play.safetensors"), Path("checkpoints/play.resume.safetensors"),
    )  # fmt: skip


def test_the_best_loss_before_a_stop_is_the_best_after_it(run_of, output, resume_path):
    options = {"learning_rate": 0.5, "optimizer": "sgd", "steps": 75}
    whole = run_of(NAMES, **options, output="whole")
    run_of(NAMES, **options, stop_after=60)
    started, *_, ended = resume(str(output), text=NAMES)
    best = [event.valid_loss_nats for event in whole if getattr(event, "weights", None) and event.step <= 60]
    assert started.best_valid_loss_nats == min(best)
    assert ended.training["best_step"] == whole[-1].training["best_step"]


def test_a_run_goes_on_from_another_folder_and_tells_how_to_repeat_it(run_of, text_path, output, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_of(paths=("play.txt",), learning_rate=0.01, stop_after=20)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    repeat = list(resume(str(output)))[-1].training["repeat"]
    assert repeat.startswith(f"rnngen train {text_path} ")
    assert " --lr 0.01 " in repeat


def test_a_text_that_has_moved_can_be_named_and_must_be_the_same(run_of, text_path, output, tmp_path):
    whole = run_of(output="whole")[-1]
    run_of(paths=(str(text_path),), stop_after=20)
    text_path.rename(tmp_path / "moved.txt")
    with pytest.raises(DataError, match=r"play.txt is not there, or no file any more: name its text beside --resume$"):
        next(resume(str(output)))
    (tmp_path / "names.txt").write_text(NAMES)
    with pytest.raises(DataError) as error:
        next(resume(str(output), paths=[str(tmp_path / "names.txt")]))
    assert str(error.value) == (
        f"the text ({tmp_path / 'names.txt'}) is not the one that the run started with: give that one, "
        f"or start anew with --init-from {output} -o NAME"
    )
    ended = list(resume(output, paths=tmp_path / "moved.txt"))[-1]
    assert weights_of(ended.output) == weights_of(whole.output)


def test_a_text_that_was_a_string_is_given_again_and_must_be_the_same(run_of, output):
    run_of(stop_after=5)
    with pytest.raises(DataError, match=r"^the run's text was a string in Python: give the string again, or a file"):
        next(resume(str(output)))
    with pytest.raises(DataError, match=r"^the text is not the one that the run started with"):
        next(resume(str(output), text=NAMES))


def test_a_validation_text_must_be_the_same_too(run_of, output, tmp_path):
    valid = tmp_path / "valid.txt"
    valid.write_text(NAMES)
    run_of(valid=valid, stop_after=5)
    valid.write_text("another\n" * 10)
    with pytest.raises(DataError, match=r"^the validation text \(.*valid.txt\) is not the one"):
        next(resume(str(output), text=PLAY))
    (tmp_path / "moved.txt").write_text(NAMES)
    assert isinstance(next(resume(str(output), text=PLAY, valid=tmp_path / "moved.txt")), Started)


def test_a_validation_text_is_named_only_for_a_run_that_has_one(run_of, output, tmp_path):
    run_of(stop_after=5)
    with pytest.raises(ConfigError, match="the run has no validation text of its own: leave out --valid"):
        next(resume(str(output), text=PLAY, valid=tmp_path / "x"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_text_that_a_person_names_may_be_a_pipe(run_of, output, text_path, tmp_path):
    run_of(paths=(str(text_path),), stop_after=20)
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["sh", "-c", f"cat {text_path} > {tmp_path}/pipe"]) as writer:
        assert list(resume(str(output), paths=[str(tmp_path / "pipe")]))[-1].finished.reason == "budget"
        assert writer.wait(60) == 0


def test_the_log_goes_on_without_a_gap_or_a_double_where_it_is_named_again(run_of, output, tmp_path):
    log = tmp_path / "log.jsonl"
    run_of(stop_after=20, log=log)
    list(resume(str(output), text=PLAY, log=log))
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["event"] for line in lines].count("start") == 1
    assert [line["step"] for line in lines if line["event"] == "step"] == list(range(1, 31))


def test_the_log_of_another_run_is_left_alone(run_of, output, tmp_path):
    log = tmp_path / "log.jsonl"
    run_of(log=log, output="other")
    before = log.read_bytes()
    run_of(stop_after=20)
    with pytest.raises(OutputError, match=r"log.jsonl exists already and is not the log of this run: name another"):
        next(resume(str(output), text=PLAY, log=log))
    assert log.read_bytes() == before


def test_the_folder_of_the_cache_and_the_pace_of_saving_are_remembered(run_of, output, resume_path, tmp_path):
    run_of(stop_after=20, cache_dir=tmp_path / "cache", save_every=7.0)
    assert resume_file.load(resume_path).record["job"]["save_every"] == 7.0
    before = sorted(os.listdir(tmp_path / "cache"))
    assert next(resume(str(output), text=PLAY)).dataset.reused
    assert sorted(os.listdir(tmp_path / "cache")) == before


def test_what_has_ended_cannot_go_on(run_of, output, tmp_path):
    run_of()
    with pytest.raises(CheckpointError, match=r"there is no interrupted run .*: the run of .* has ended; --init-from"):
        next(resume(str(output)))
    with pytest.raises(CheckpointError, match="name the checkpoint"):
        next(resume(str(tmp_path / "nothing")))


def test_a_resume_file_that_is_damaged_is_refused(run_of, output, resume_path):
    run_of(stop_after=5)
    content = resume_path.read_bytes()
    for damaged in (b"", content[:1000], content[:-1], content.replace(b'"paths', b'"pathz', 1), output.read_bytes()):
        resume_path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"play\.resume\.safetensors"):
            next(resume(str(output), text=PLAY))


def test_a_checkpoint_of_another_run_is_not_overwritten(run_of, output, resume_path):
    run_of(stop_after=20)
    other = run_of(NAMES, output="other")[-1]
    shutil.copy(other.output, output)
    with pytest.raises(OutputError) as error:
        next(resume(str(output), text=PLAY))
    assert str(error.value) == (
        f"{output} exists already and is not overwritten: it is not of this run; move it away, and the run can go on"
    )
    assert output.read_bytes() == other.output.read_bytes()
    output.unlink()
    list(resume(str(output), text=PLAY))
    assert output.exists()


def test_a_run_of_a_gpu_does_not_go_on_without_one(run_of, output, resume_path):
    run_of(stop_after=5)
    stopped = resume_file.load(resume_path)
    resume_file.save(resume_path, replace(stopped, plan=replace(stopped.plan, device="cuda", precision="float32")))
    with pytest.raises(ConfigError, match="device is 'cuda'"):
        next(resume(str(output), text=PLAY))


def test_a_plan_without_a_budget_is_refused(run_of, output, resume_path):
    run_of(stop_after=5)
    stopped = resume_file.load(resume_path)
    resume_file.save(resume_path, replace(stopped, plan=replace(stopped.plan, steps=None)))
    with pytest.raises(CheckpointError, match="its plan has no budget of seconds or steps"):
        next(resume(str(output), text=PLAY))


@pytest.mark.parametrize("options", [{}, {"lines": True}, {"valid": True}], ids=str)
def test_a_run_of_an_older_rnngen_goes_on_only_if_its_validation_text_is_the_same(
    run_of, output, resume_path, text_path, options
):
    valid = {"valid": text_path} if options.pop("valid", False) else {}
    run_of(**options, **valid, stop_after=5)
    stopped = resume_file.load(resume_path)
    del stopped.record["job"]["config"]["valid_part"]
    resume_file.save(resume_path, stopped)
    if options or valid:
        assert list(resume(str(output), text=PLAY))
        return
    with pytest.raises(CheckpointError) as error:
        next(resume(str(output), text=PLAY))
    assert str(error.value) == (
        f"{resume_path} is of an older rnngen, which took other text to validate on: go on with that one, "
        f"or start anew with --init-from {output} --valid-part last -o NAME"
    )


def test_a_run_that_is_stopped_twice_ends_as_the_one_that_was_not(run_of, output):
    whole = run_of(output="whole")[-1]
    run_of(stop_after=8)
    follow(lambda should_stop: resume(str(output), text=PLAY, should_stop=should_stop), stop_after=19)
    ended = list(resume(str(output), text=PLAY))[-1]
    assert weights_of(ended.output) == weights_of(whole.output)
