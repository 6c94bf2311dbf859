"""A run that is stopped and goes on is, to the bit, the run that was never stopped."""

from __future__ import annotations

import contextlib
import copy
import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from rnngen.config import ModelOptions, TrainConfig
from rnngen.errors import CheckpointError, DivergenceError
from rnngen.text.dataset import Dataset
from rnngen.training import loop
from rnngen.training.events import Diverged, Event, Finished, Resumable, Stepped, Validated
from rnngen.training.loop import train
from rnngen.training.network import RNNLM
from rnngen.training.plan import Plan, make_plan
from rnngen.training.run_state import RunState

NAMES = "anna\nbob\nclaire\ndora\nemil\nfrida\ngustav\nhelena the second\nida\n" * 8
LOSS = RNNLM.loss
RUNS = {
    "gru with n-grams and dropout": {"ngram_order": 3, "dropout": 0.2, "weight_drop": 0.3},
    "lstm of two layers, bfloat16": {"cell": "lstm", "num_layers": 2, "precision": "bfloat16", "dropout": 0.3},
    "rnn, tied, rmsprop": {"cell": "rnn", "tie_weights": True, "embedding_dim": 16, "optimizer": "rmsprop"},
    "lines, sgd": {"lines": True, "optimizer": "sgd", "bptt": 3},
    "lines with n-grams": {"lines": True, "ngram_order": 3, "bptt": 5},
    "patience": {"patience": 2, "learning_rate": 0.05, "validate_every": 9},
}


@pytest.fixture(autouse=True)
def _good_states_are_near(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short runs pass several states that they can go back to."""
    monkeypatch.setattr(loop, "GOOD_STATE_EVERY", 20)


def plan_of(data: Dataset, steps: int | None = 60, validate_every: int = 25, **options: Any) -> Plan:
    model = {"hidden_size": 16, "embedding_dim": 8, "ngram_order": 0}
    config = {"seconds": None, "steps": steps, "batch_size": 4, "bptt": 8, "learning_rate": 0.02, "threads": 1}
    for name, value in {"precision": "float32", "lines": data.lines, **options}.items():
        (model if name in ModelOptions.__dataclass_fields__ else config)[name] = value
    return replace(make_plan(TrainConfig(**config), ModelOptions(**model), data), validate_every=validate_every)


def kept(state: RunState) -> RunState:
    """As it is after a file: the numbers through JSON, the arrays copied."""
    return RunState(json.loads(json.dumps(state.numbers)), {name: part.copy() for name, part in state.arrays.items()})


def told(events: list[Event]) -> list[Any]:
    """What was told, but for the time and the places where one could have gone on."""
    return [
        (type(event).__name__, {name: value.tolist() if isinstance(value, np.ndarray) else value
                                for name, value in vars(event).items() if name not in ("seconds", "weights")},
         {name: weight.tobytes() for name, weight in (getattr(event, "weights", None) or {}).items()})
        for event in events if not isinstance(event, Resumable)
    ]  # fmt: skip


@pytest.mark.parametrize("options", RUNS.values(), ids=RUNS.keys())
def test_a_run_goes_on_from_anywhere_as_if_it_had_never_stopped(make_dataset, options):
    data = make_dataset(NAMES, lines=options.get("lines", False))
    plan = plan_of(data, **options)
    whole, saved = [], {}
    for event in train(plan, data, save_every=0.0):
        if isinstance(event, Resumable):
            saved[event.step] = len(whole), kept(event.state)
        whole.append(event)
    assert list(saved) == list(range(len(saved)))
    assert len(saved) > 30
    for step in (0, 1, 24, 25, 45, max(saved)):
        turn, state = saved.get(step, saved[26])
        torch.manual_seed(1234567)  # whatever else has drawn meanwhile
        assert told(list(train(plan, data, start=state))) == told(whole[turn:])


def _saved(plan: Plan, data: Dataset) -> Iterator[tuple[int, RunState]]:
    for event in train(plan, data, save_every=0.0):
        if isinstance(event, Resumable):
            yield event.step, kept(event.state)


def test_a_run_that_is_stopped_again_and_again_ends_as_the_one_that_was_not(make_dataset):
    data = make_dataset(NAMES)
    plan = plan_of(data, ngram_order=3, dropout=0.1)
    wanted = [event for event in train(plan, data) if isinstance(event, Validated) and event.weights][-1]
    start, best, n_stops = None, None, 0
    while True:
        left = iter(range(6 + n_stops))
        for event in train(plan, data, lambda left=left: next(left, None) is None, save_every=math.inf, start=start):
            if isinstance(event, Validated) and event.weights:
                best = event
        assert isinstance(event, Finished)
        if event.reason == "budget":
            break
        # No state comes unless one is asked for; the last one is kept when the run is asked to stop.
        left = iter(range(6 + n_stops))
        stopping = train(plan, data, lambda left=left: next(left, None) is None, save_every=1e9, start=start)
        *_, start = (kept(event.state) for event in stopping if isinstance(event, Resumable))
        n_stops += 1
    assert n_stops > 5
    assert best is not None
    assert best.step == wanted.step
    for name, weight in wanted.weights.items():
        assert weight.tobytes() == best.weights[name].tobytes()


def test_a_run_that_has_gone_back_goes_on_with_the_halved_rate_and_can_go_back_again(make_dataset, monkeypatch):
    data = make_dataset(NAMES)
    plan = plan_of(data, ngram_order=3)

    def poison(first: int) -> None:
        tried = itertools.count(first)

        def poisoned(network: RNNLM, *args: Any) -> Any:
            loss, *others = LOSS(network, *args)
            return (loss * math.nan if next(tried) in (12, 38, 46) else loss), *others

        monkeypatch.setattr(RNNLM, "loss", poisoned)

    poison(1)
    whole = list(train(plan, data))
    poison(1)
    saved: dict[int, tuple[int, RunState]] = {}
    n_tried = 0
    for event in train(plan, data, save_every=0.0):
        n_tried += type(event).__name__ in ("Stepped", "Diverged")
        if isinstance(event, Resumable):
            saved[n_tried] = event.step, kept(event.state)
    for tried in (11, 12, 13, 30, 37, 38, 42):
        step, state = saved[tried]
        poison(tried + 1)
        again = [event for event in told(list(train(plan, data, start=state))) if event[0] != "Diverged"]
        wanted = [event for event in told(whole) if event[0] != "Diverged"]
        assert again == wanted[-len(again) :]
        assert again[0][1]["step"] == step + 1 or tried in (11, 37)  # or goes back next


def test_a_state_that_is_handed_out_is_finite_though_the_next_step_goes_back(make_dataset):
    data = make_dataset(NAMES)
    plan = plan_of(data, learning_rate=1e20, optimizer="sgd")
    n_states, events = 0, []
    with contextlib.suppress(DivergenceError):
        for event in train(plan, data, save_every=0.0):
            events.append(type(event))
            if isinstance(event, Resumable):
                n_states += 1
                assert all(np.isfinite(part).all() for part in event.state.arrays.values())
    assert Diverged in events
    assert n_states


def test_a_timed_run_goes_on_with_the_time_that_is_left(make_dataset):
    data = make_dataset(NAMES)
    plan = plan_of(data, steps=None, seconds=1.5)
    for event in train(plan, data, save_every=0.0):
        if isinstance(event, Resumable):
            state = kept(event.state)
        if isinstance(event, Stepped) and event.seconds > 0.5:
            break
    again = list(train(plan, data, start=state))
    first = next(event for event in again if isinstance(event, Stepped))
    assert first.step == state.count("step") + 1
    assert first.seconds > state.number("seconds") > 0.25
    # A machine that is busy with something else may make it late.
    assert again[-1].reason in ("budget", "overdue")


@pytest.fixture
def state(make_dataset) -> tuple[Plan, Dataset, RunState]:
    data = make_dataset(NAMES)
    plan = plan_of(data, ngram_order=3, validate_every=10)
    return plan, data, next(state for step, state in _saved(plan, data) if step == 12)


NUMBERS = ["step", "n_tokens", "smooth", "seconds", "peak", "retries", "n_windows", "worse", "good"]


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_that_is_none_is_refused(state, name):
    plan, data, start = state
    values: list[object] = ["x", None, -1.5, True, [], {}, math.nan, math.inf, -math.inf, [1], ["a", 2], [1, -1]]
    for value in values + ([1 << 80] if name not in ("seconds", "peak") else []):
        changed = RunState({**start.numbers, name: value}, start.arrays)
        with pytest.raises(CheckpointError, match="the resume file is broken: "):
            list(train(plan, data, start=changed))


@pytest.mark.parametrize("change", ["drop", "shape", "dtype", "add"])
def test_an_array_that_is_missing_or_another_is_refused(state, change):
    plan, data, start = state
    for name in start.arrays:
        arrays = copy.copy(dict(start.arrays))
        match change:
            case "drop":
                del arrays[name]
            case "shape":
                arrays[name] = np.zeros((*arrays[name].shape, 2), arrays[name].dtype)
            case "dtype":
                arrays[name] = arrays[name].astype(np.int16)
            case "add":
                arrays[name + "0"] = arrays[name]
        with pytest.raises(CheckpointError, match="the resume file is broken"):
            list(train(plan, data, start=RunState(start.numbers, arrays)))


def test_random_states_of_nonsense_are_refused(state):
    plan, data, start = state
    arrays = dict(start.arrays) | {"random/cpu": np.full_like(start.arrays["random/cpu"], 255)}
    with pytest.raises(CheckpointError, match="random states"):
        list(train(plan, data, start=RunState(start.numbers, arrays)))


@pytest.mark.parametrize(
    "budget",
    [None, {}, {"marks": None, "fixed": None}, {"marks": [[1]], "fixed": None}, {"marks": [], "fixed": [5, 5]},
     {"marks": [], "fixed": [-1, 5]}, {"marks": [[1, math.nan]], "fixed": None}, {"marks": [], "fixed": "x"}],
)  # fmt: skip
def test_a_time_budget_of_nonsense_is_refused(state, budget):
    plan, data, start = state
    start.numbers["budget"] = budget
    with pytest.raises(CheckpointError, match="time budget"):
        list(train(replace(plan, steps=None, seconds=5.0), data, start=start))


def test_a_stranger_who_says_that_a_thousand_million_million_windows_were_had_is_not_believed(make_dataset):
    data = make_dataset(NAMES, lines=True)
    plan = plan_of(data)
    _, state = next(_saved(plan, data))
    claims = RunState({**state.numbers, "n_windows": 10**15}, state.arrays)
    with pytest.raises(CheckpointError, match=r"^the resume file is broken: n_windows is more than its steps$"):
        next(train(plan, data, start=claims))
