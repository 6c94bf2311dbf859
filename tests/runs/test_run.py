"""A run as library code: its events, what it leaves on the disk, and what it refuses."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from small_runs import NAMES, PLAY, weights_of

from rnngen import checkpoint
from rnngen.errors import ConfigError, OutputError, TrainingError
from rnngen.runs import resume_file
from rnngen.runs.events import Diverged, Ended, NotSaved, ResumeSaved, Started, Stepped, Validated
from rnngen.runs.run import run
from rnngen.training.network import RNNLM


def files(tmp_path: Path) -> list[str]:
    return sorted(os.listdir(tmp_path / "checkpoints"))


def test_a_run_tells_how_it_starts_each_step_and_how_it_ended(run_of, tmp_path):
    events = run_of(save_every=1e9)
    started, ended = events[0], events[-1]
    assert isinstance(started, Started)
    assert isinstance(ended, Ended)
    assert (started.resumed_after, started.plan.steps, started.dataset.survey.n_chars) == (None, 30, len(PLAY))
    assert [event.step for event in events if isinstance(event, Stepped)] == list(range(1, 31))
    assert [event for event in events if isinstance(event, ResumeSaved)] == [ResumeSaved(0)]
    assert {type(event) for event in events[1:-1]} == {ResumeSaved, Stepped, Validated}
    assert (ended.output, ended.finished.reason) == (started.output, "budget")
    saved = checkpoint.load(started.output)
    assert ended.training == saved.training
    assert files(tmp_path) == ["play.safetensors"]


def test_a_run_imports_no_command_line():
    script = (
        "import sys; from rnngen.runs import run, resume, repeat, keeper, warm_start\n"
        "print({'torch', 'typer', 'rich', 'rnngen.cli'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "set()\n"


@pytest.mark.parametrize("seed", [1, 2])
def test_a_string_and_files_with_the_same_text_give_the_same_weights(run_of, tmp_path, seed):
    half = PLAY.index("\n", 2000) + 1
    (tmp_path / "one").write_bytes(b"\xef\xbb\xbf" + PLAY[:half].replace("\n", "\r\n").encode())
    (tmp_path / "two").write_text(PLAY[half:], "utf-8")
    from_string, *_ = run_of(PLAY, output="string", seed=seed)
    from_files, *_ = run_of(paths=(str(tmp_path / "one"), str(tmp_path / "two")), output="files", seed=seed)
    assert weights_of(from_string.output) == weights_of(from_files.output)


def test_the_best_model_is_there_before_the_run_ends(request_of):
    request = request_of(steps=60)
    for event in run(request):
        if isinstance(event, Validated):
            break
    assert checkpoint.load(request.output).training["stopped_by"] is None
    assert checkpoint.load(request.output).training["best_step"] == event.step


def test_a_run_that_is_stopped_saves_its_model_and_its_resume_file(run_of, tmp_path):
    events = run_of(stop_after=20)
    assert (events[-1].finished.reason, events[-1].finished.step) == ("stopped", 20)
    assert [event.step for event in events if isinstance(event, ResumeSaved)] == [0, 20]
    assert files(tmp_path) == ["play.resume.safetensors", "play.safetensors"]
    assert resume_file.load(tmp_path / "checkpoints" / "play.resume.safetensors").state.count("step") == 20


def test_a_run_that_is_stopped_at_once_ends_without_a_model(request_of, tmp_path):
    ended = list(run(request_of(ngram_order=0), should_stop=lambda: True))[-1]
    assert (ended.output, ended.training, ended.finished.reason) == (None, {}, "stopped")
    assert files(tmp_path) == ["play.resume.safetensors"]


def test_a_caller_who_stops_iterating_leaves_a_resume_file_and_no_lock(request_of, tmp_path):
    events = run(request_of(save_every=1e-9, ngram_order=0))
    for event in events:
        if isinstance(event, ResumeSaved) and event.step == 7:
            break
    events.close()
    visible = [name for name in files(tmp_path) if not name.startswith(".")]
    assert visible == ["play.resume.safetensors"]
    assert resume_file.load(tmp_path / "checkpoints" / "play.resume.safetensors").state.count("step") == 7


def test_two_runs_on_one_name_are_one_too_many(request_of):
    first = run(request_of())
    next(first)
    with pytest.raises(OutputError, match=r"play.safetensors is being written by another rnngen"):
        next(run(request_of(force=True)))
    first.close()
    assert isinstance(next(run(request_of(force=True))), Started)


def test_a_model_is_overwritten_with_force_only(run_of, tmp_path):
    loss = run_of()[-1].training["valid_loss_nats"]
    path = tmp_path / "checkpoints" / "play.safetensors"
    with pytest.raises(OutputError) as error:
        run_of()
    lost = f"--force throws away the model {path} (validation loss {loss:.4f} nats a token)"
    assert str(error.value) == f"{path} exists already and is not overwritten: name another with --output; {lost}"
    assert lost in run_of(force=True)[0].notes
    assert files(tmp_path) == ["play.safetensors"]


def test_the_log_names_the_run_and_has_every_step_and_validation(run_of, tmp_path):
    events = run_of(log=tmp_path / "log.jsonl")
    first, *lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert (first["event"], first["run"], first["seed"]) == ("start", events[-1].training["run"], 1)
    wanted = [event for event in events if isinstance(event, Stepped | Validated)]
    assert [(line["event"], line["step"]) for line in lines] == [
        ("step" if isinstance(event, Stepped) else "validation", event.step) for event in wanted
    ]
    assert [line["train_loss_nats"] for line in lines] == [event.train_loss_nats for event in wanted]


@pytest.mark.parametrize("log", ["text", "checkpoints/play.safetensors", "checkpoints/play.resume.safetensors"])
def test_a_log_does_not_overwrite_what_the_run_reads_or_writes(request_of, tmp_path, log):
    (tmp_path / "text").write_text(PLAY)
    with pytest.raises(ConfigError, match=r"^--log is .*: name another file$"):
        next(run(request_of(paths=(str(tmp_path / "text"),), log=tmp_path / log, force=True)))
    assert (tmp_path / "text").read_text() == PLAY


def test_a_file_that_cannot_be_written_now_does_not_end_the_run(run_of, monkeypatch):
    real, fails = checkpoint.save, iter([True])

    def save(*arguments, **options):
        if next(fails, False):
            raise OutputError("cannot write: No space left on device")
        real(*arguments, **options)

    monkeypatch.setattr(checkpoint, "save", save)
    events = run_of()
    assert [str(event.error) for event in events if isinstance(event, NotSaved)] == [
        "cannot write: No space left on device"
    ]
    assert checkpoint.load(events[-1].output).training == events[-1].training


def test_a_model_whose_place_cannot_be_written_is_saved_elsewhere(run_of, monkeypatch, tmp_path):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    folder = tmp_path / "checkpoints"
    real = checkpoint.save

    def full(made, path, **options):
        if path.parent == folder:
            shutil.rmtree(folder, ignore_errors=True)
            folder.write_text("in the way")
        real(made, path, **options)

    monkeypatch.setattr(checkpoint, "save", full)
    with pytest.raises(OutputError) as error:
        run_of()
    [path] = (tmp_path / "tmp").iterdir()
    assert str(error.value).endswith(f"; the model is in {path}")
    assert checkpoint.load(path).training["steps"] == 30


def test_a_run_that_diverges_says_so_and_leaves_nothing(request_of, tmp_path):
    events = []
    with pytest.raises(TrainingError, match=r"the loss is not finite at step .* try --lr"):
        events.extend(run(request_of(learning_rate=1e30, ngram_order=0)))
    assert len([event for event in events if isinstance(event, Diverged)]) == 3
    assert not (tmp_path / "checkpoints").exists()


def test_a_run_whose_loss_ends_above_a_guess_is_an_error_that_names_the_remedy(request_of, tmp_path):
    path = tmp_path / "checkpoints" / "play.safetensors"
    request = replace(request_of(steps=60, learning_rate=30.0), save_every=1e-30)
    with pytest.raises(TrainingError) as error:
        list(run(request))
    training = checkpoint.load(path).training
    size = checkpoint.load(path).config.vocab_size
    found = re.fullmatch(
        r"the run diverged: its training loss is ([\d.e+]+) nats a token, and a guess among (\d+) tokens has "
        r"([\d.]+): train with a lower --lr than 30, or a lower --grad-clip than 1; the best model so far, of step "
        r"(\d+) with validation loss ([\d.e+]+), is in (.*)",
        str(error.value),
    )
    assert found
    assert float(found[1]) > math.log(size) + 0.5
    assert (int(found[2]), float(found[3])) == (size, pytest.approx(math.log(size), abs=1e-3))
    assert (int(found[4]), found[6]) == (training["best_step"], str(path))
    assert float(found[5]) == pytest.approx(training["valid_loss_nats"], rel=1e-4)
    assert files(tmp_path) == ["play.safetensors"]  # to resume would diverge again


def test_a_run_that_has_diverged_is_not_trained_to_its_end(request_of):
    steps = []
    with pytest.raises(TrainingError, match="the run diverged"):
        steps.extend(event for event in run(request_of(steps=2000, learning_rate=30.0)) if isinstance(event, Stepped))
    assert 0 < len(steps) < 1000


def test_an_untrained_model_and_an_unlike_validation_text_are_no_divergence(run_of, tmp_path):
    assert run_of(steps=1)[-1].training["steps"] == 1
    (tmp_path / "valid").write_text("gfedc" * 20)
    started, *_, ended = run_of("abab\n" * 99 + "cdefg", output="other", steps=80, valid=tmp_path / "valid")
    training = ended.training
    assert training["valid_loss_nats"] > math.log(started.plan.model.vocab_size) > training["train_loss_nats"]


def test_an_error_says_where_the_best_model_so_far_is(run_of, monkeypatch, tmp_path):
    loss, tried = RNNLM.loss, iter(range(1, 1000))

    def poisoned(network, *arguments):
        value, *others = loss(network, *arguments)
        return (value * float("nan") if next(tried) > 40 else value), *others

    monkeypatch.setattr(RNNLM, "loss", poisoned)
    path = tmp_path / "checkpoints" / "play.safetensors"
    with pytest.raises(TrainingError, match=rf"; the best model so far, of step \d+ with validation .*, is in {path}$"):
        run_of(steps=100)
    assert 0 < checkpoint.load(path).training["best_step"] <= 40
    assert files(tmp_path) == ["play.safetensors"]


def test_lines_and_a_validation_text_of_its_own(run_of, tmp_path):
    (tmp_path / "valid").write_text("anna\n\nbob\n")
    started, *_, ended = run_of(NAMES, lines=True, valid=tmp_path / "valid")
    assert (started.dataset.valid_chars, ended.training["lines"], ended.training["n_valid_tokens"]) == (9, True, 9)
