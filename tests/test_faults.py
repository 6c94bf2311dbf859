"""A small part of the campaign of faults: each is made in real processes, and nothing may be lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from faults import disks, inputs, kills, memory, processes, sharing, signals, streams
from faults.outcome import Outcome
from faults.processes import RUNS, Ended, LostError, Place, campaign, expect_refusal, expect_same, whole, write_model

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals, limits and shells as POSIX has them")

SEED = 3


@pytest.fixture(autouse=True)
def _one_short_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """All trials are compared with one undisturbed run. tests/training compares the kinds of runs."""
    for name in list(RUNS)[1:]:
        monkeypatch.delitem(RUNS, name)
    for module in (signals, inputs):
        monkeypatch.setattr(module, "STEPS", ("--steps", "120"))
    monkeypatch.setattr(kills, "STEPS", "120")


def test_a_run_that_is_killed_at_random_moments_ends_as_if_it_had_not_been() -> None:
    outcome = kills.sigkill(3 / kills.N_KILLS, SEED)
    assert outcome.lost == []
    assert outcome.tried == 3


@pytest.mark.parametrize(
    ("kind", "scale", "tried"),
    [
        (signals.signals, 0.125, 1),
        (signals.many_stops, 0.1, 1),
        (signals.terminal_closed, 0.34, 1),
        (disks.disk_full, 0.2, None),
        (disks.read_only_folder, 1.0, None),
        (inputs.text_changed, 0.11, 1),
        (inputs.clock_set_back, 0.34, 1),
        (streams.streams_closed, 0.3, 8),
        (memory.memory_limit, 0.2, 1),
        (sharing.two_runs, 0.34, 1),
        (sharing.shared_cache, 0.25, 1),
        (sharing.damaged_cache, 0.17, 1),
    ],
    ids=lambda value: getattr(value, "__name__", None) or str(value),
)
def test_nothing_is_lost(kind: Callable[[float, int], Outcome], scale: float, tried: int | None) -> None:
    outcome = kind(scale, SEED)
    assert outcome.lost == []
    assert outcome.tried == tried if tried else outcome.tried > 0


# That the campaign sees what it looks for.


@pytest.mark.parametrize(
    ("ended", "seen"),
    [
        (Ended(1, "", "Traceback (most recent call last):\nKeyError: 1\n"), "a traceback"),
        (Ended(-11, "", ""), "it died with status -11"),
        (Ended(0, "", ""), "it ended with 0"),
        (Ended(1, "", "rnngen: cannot write\nrnngen: out of memory\n"), "not one line"),
        (Ended(1, "", ""), "not one line"),
        (Ended(1, "half a ", "rnngen: cannot write\n"), "on stdout"),
        (Ended(1, "", "rnngen: cannot read\n"), "'cannot write' is not in"),
    ],
)
def test_an_error_that_is_not_one_clear_line_is_a_loss(ended: Ended, seen: str) -> None:
    with pytest.raises(LostError, match=seen):
        expect_refusal(ended, "cannot write")
    expect_refusal(Ended(1, "", "rnngen: cannot write it\n"), "cannot write")


def test_a_loss_is_counted_and_said_and_the_other_trials_go_on() -> None:
    def lose(place: Place, random: Random) -> None:
        raise LostError(f"{random.random() < 1} loss")

    outcome = campaign("kind", [("first", lose), ("second", lambda place, random: None)], 1)
    assert (outcome.tried, outcome.survived, outcome.lost) == (2, 1, ["first: True loss"])


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A folder with a text and a model."""
    place = Place(tmp_path)
    write_model(place)
    return place


def test_half_a_checkpoint_and_another_weight_are_losses(place: Place) -> None:
    model = whole(place.model)
    expect_same(place.model, model)
    next(iter(model.weights.values())).flat[0] += 1
    with pytest.raises(LostError, match="differs"):
        expect_same(place.model, model)
    os.truncate(place.model, 1000)
    with pytest.raises(LostError, match="not a whole safetensors file"):
        whole(place.model)


def test_a_process_that_does_not_end_is_a_loss_and_is_ended(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LONGEST_SECONDS", 0.1)
    with pytest.raises(LostError, match="it still runs"), place.started("train", "--time", "1h", "text.txt") as process:
        processes.end_of(process)
    assert process.poll() == -9


def test_what_a_killed_run_may_not_leave_is_a_loss(place: Place) -> None:
    chain = kills.Chain("characters", None, Random(1))  # type: ignore[arg-type]
    chain.place = place
    chain.look()  # the model of a run that has ended
    for name, seen in (("model.safetensors.part", "unexpected"), (place.resume.name, "safetensors")):
        (place.folder / name).write_bytes(b"x" * 100)
        with pytest.raises(LostError, match=seen):
            chain.look()
        (place.folder / name).unlink()


def test_work_that_is_lost_beyond_the_last_saving_is_a_loss() -> None:
    log = [0.1 * step for step in range(1, 40)]
    assert kills.lost_seconds(3.8, log) == pytest.approx(0, abs=0.11)
    assert kills.lost_seconds(1.0, log) == pytest.approx(2.7, abs=0.11)
    assert kills.lost_seconds(1.0, [0.9, 1.1, 5.0]) < 0.2  # it was in the midst of one long validation
