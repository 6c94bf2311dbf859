"""`rnngen.runs.overwriting`: a run that can go on is named before `--force`, which says what it throws away."""

from __future__ import annotations

import pytest
from small_runs import PLAY, SMALL

from rnngen.errors import OutputError
from rnngen.runs.resume import resume


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoints" / "play.safetensors"


@pytest.fixture
def stopped(run_of, path):
    """What `--force` throws away of a run that was stopped after step 5, and its model."""
    loss = run_of(stop_after=5)[-1].training["valid_loss_nats"]
    run = f"the run {path.with_name('play.resume.safetensors')} (stopped after step 5 of {SMALL['steps']})"
    return run, f"the model {path} (validation loss {loss:.4f} nats a token)"


@pytest.mark.parametrize("has_model", [True, False])
def test_wherever_a_resume_file_exists_resume_is_named_first_and_force_says_what_it_throws_away(
    run_of, stopped, path, has_model
):
    if not has_model:
        path.unlink()
    lost = ", ".join(stopped if has_model else stopped[:1])
    with pytest.raises(OutputError) as error:
        run_of()
    assert str(error.value) == (
        f"{path} is of a run that was stopped and can go on: rnngen train --resume {path}; "
        f"or name another model with --output; --force throws away {lost}"
    )
    assert run_of(force=True, stop_after=1)[0].notes == (f"--force throws away {lost}",)


def test_the_advice_names_the_log_of_the_stopped_run_and_no_other(run_of, path, tmp_path):
    own, other = tmp_path / "own.jsonl", tmp_path / "other.jsonl"
    run_of(output="other", log=other)
    run_of(stop_after=5, log=own)
    with pytest.raises(OutputError, match=rf"rnngen train --resume {path} --log {own}; .*, the log {own}$"):
        run_of(log=own)
    with pytest.raises(OutputError, match=rf"rnngen train --resume {path}; .*, the log {other}$"):
        run_of(log=other)
    assert list(resume(path, text=PLAY, log=own))[-1].output == path


def test_nothing_is_said_where_nothing_is_thrown_away(run_of):
    assert run_of(force=True)[0].notes == ()


def test_a_file_that_is_no_run_and_no_model_is_called_a_file(run_of, path):
    path.parent.mkdir()
    unfinished = path.with_name("play.resume.safetensors")
    for file in (path, unfinished):
        file.write_text("mine")
    with pytest.raises(OutputError, match=rf"--force throws away the file {unfinished}, the file {path}$"):
        run_of()
    path.unlink()
    with pytest.raises(OutputError, match=rf"{unfinished} exists already and is not overwritten"):
        run_of()
