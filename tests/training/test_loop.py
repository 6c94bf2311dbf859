"""The training loop: it learns, repeats itself bit by bit, reports the truth, and recovers from divergence."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import pytest
import torch

from rnngen.config import ModelOptions, SampleConfig, TrainConfig
from rnngen.engine.language_model import Engine
from rnngen.engine.sampling import generate
from rnngen.engine.scoring import score_lines, score_text
from rnngen.errors import TrainingError
from rnngen.text.dataset import Dataset
from rnngen.training import language_modelling, loop, optimize
from rnngen.training.events import Diverged, Event, Finished, Stepped, Validated
from rnngen.training.loop import LEARNT_AFTER, LEARNT_SHARE, train
from rnngen.training.losses import NatsSum
from rnngen.training.network import RNNLM
from rnngen.training.optimize import HOLD, Schedule
from rnngen.training.plan import Plan, make_plan

LOSS = RNNLM.loss
NAMES = "anna\nbob\nclaire\ndora\nemil\nfrida\n" * 4


def plan_of(data: Dataset, steps: int | None = 60, validate_every: int = 20, **options: Any) -> Plan:
    """A small plan; options of TrainConfig and ModelOptions in one."""
    model = {"hidden_size": 16, "embedding_dim": 8, "dropout": 0.0, "weight_drop": 0.0, "ngram_order": 0}
    model |= {
        name: options.pop(name)
        for name in ("dropout", "cell", "num_layers", "nonlinearity", "ngram_order")
        if name in options
    }
    config = {"seconds": None, "steps": steps, "batch_size": 4, "bptt": 8, "learning_rate": 0.02, "threads": 1}
    config |= {"precision": "float32", "lines": data.lines, **options}
    return replace(make_plan(TrainConfig(**config), ModelOptions(**model), data), validate_every=validate_every)


def run_of(data: Dataset, **options: Any) -> list[Event]:
    return list(train(plan_of(data, **options), data))


def only(kind: type, events: list[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def best(events: list[Event]) -> dict[str, np.ndarray]:
    return next(event.weights for event in reversed(only(Validated, events)) if event.weights is not None)


def random_letters(n: int, seed: int) -> str:
    return "".join(np.random.default_rng(seed).choice(list("abcdefgh"), n))


def test_ab_ab_ab_is_learned_by_heart(make_dataset, cell_options):
    events = run_of(make_dataset("ab" * 500), steps=60, validate_every=60, learning_rate=0.05, **cell_options)
    assert only(Stepped, events)[0].train_loss_nats > 1
    assert only(Validated, events)[-1].valid_loss_nats < 0.1


def test_hello_is_learned_letter_by_letter_to_the_end_of_its_line(make_dataset):
    data = make_dataset("hello\n" * 20, lines=True)
    plan = plan_of(data, steps=100)
    model = Engine(plan.model, best(list(train(plan, data))))
    drawn = generate(model, np.array([data.tokenizer.newline_id]), SampleConfig(temperature=0, length=12))
    assert data.tokenizer.decode([int(step.ids[0]) for step in drawn]) == "hello\nhello\n"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("lines", [False, True], ids=["text", "lines"])
def test_the_same_seed_and_steps_make_bit_identical_weights_and_another_seed_others(make_dataset, lines, precision):
    data = make_dataset(NAMES, lines=lines)
    options = {"steps": 10, "dropout": 0.3, "precision": precision, "num_layers": 2}
    once = run_of(data, **options)
    torch.rand(7)  # what happened before in the process must not matter
    np.random.rand(7)
    again, other = run_of(data, **options), run_of(data, **options, seed=2)
    assert best(once).keys() == best(again).keys()
    for name, weight in best(once).items():
        np.testing.assert_array_equal(weight, best(again)[name])
        if not name.startswith("output.bias"):
            assert (weight != best(other)[name]).any(), name
    losses = [[event.train_loss_nats for event in only(Stepped, events)] for events in (once, again, other)]
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize("lines", [False, True], ids=["text", "lines"])
def test_a_timed_run_tells_the_steps_that_repeat_it(make_dataset, monkeypatch, lines):
    monkeypatch.setattr(optimize, "OVERRUN", 100)  # a busy machine is no reason to end early here
    data = make_dataset(NAMES, lines=lines)
    timed = run_of(data, steps=None, seconds=0.3, dropout=0.2)
    end = timed[-1]
    assert end.reason == "budget"
    assert end.step == end.steps
    again = run_of(data, steps=end.steps, dropout=0.2)
    for name, weight in best(timed).items():
        np.testing.assert_array_equal(weight, best(again)[name])
    rates = [[event.learning_rate for event in only(Stepped, events)] for events in (timed, again)]
    assert rates[0] == rates[1]
    announced = [event.steps for event in only(Stepped, timed)]
    assert announced[0] is None
    assert announced[-1] == end.steps


@pytest.mark.parametrize("lines", [False, True], ids=["text", "lines"])
def test_the_kept_weights_have_the_validation_loss_that_was_told(make_dataset, lines):
    data = make_dataset(NAMES, lines=lines)
    plan = plan_of(data)
    events = list(train(plan, data))
    kept = [event for event in only(Validated, events) if event.weights is not None][-1]
    engine, newline, ids = Engine(plan.model, kept.weights), data.tokenizer.newline_id, np.asarray(data.valid.ids)
    if lines:
        cut = np.flatnonzero(ids == newline)
        parts = [line[:-1] for line in np.split(ids, cut + 1)[:-1]]
        logprobs = np.concatenate(score_lines(engine, parts, newline))
    else:
        logprobs = np.concatenate(list(score_text(engine, ids, newline)))
    assert len(logprobs) == len(ids)
    assert -logprobs.mean(dtype=np.float64) == pytest.approx(kept.valid_loss_nats, abs=1e-4)


def test_events_come_in_order_and_tell_what_was_done(make_dataset):
    data = make_dataset(NAMES)
    plan = plan_of(data, steps=50, validate_every=20)
    events = list(train(plan, data))
    steps = only(Stepped, events)
    schedule = Schedule.of_steps(0.02, 50)
    assert [event.step for event in steps] == list(range(1, 51))
    assert [event.learning_rate for event in steps] == [schedule.rate(step) for step in range(50)]
    assert [event.n_tokens for event in steps] == [32 * step for step in range(1, 51)]
    assert {event.steps for event in steps} == {50}
    assert [event.step for event in only(Validated, events)] == [20, 40, 50]
    assert [event.seconds for event in steps] == sorted(event.seconds for event in steps)
    assert events[-1] == Finished(50, 50, "budget", events[-1].valid, events[-1].seconds, 1600)


def test_the_end_of_a_run_is_validated_once(make_dataset):
    events = run_of(make_dataset(NAMES), steps=40, validate_every=20)
    assert [event.step for event in only(Validated, events)] == [20, 40]


def test_the_first_loss_is_that_of_guessing(make_dataset):
    data = make_dataset(NAMES)
    first = only(Stepped, run_of(data, steps=1))[0]
    assert first.train_loss_nats == pytest.approx(math.log(data.tokenizer.vocab_size), abs=0.2)


def test_only_a_better_model_s_weights_are_handed_out(make_dataset):
    events = run_of(make_dataset(random_letters(90, 0), random_letters(300, 1)), steps=120, validate_every=5)
    best_so_far, kinds = math.inf, set()
    for event in only(Validated, events):
        better = event.valid_loss_nats < best_so_far
        assert (event.weights is not None) == better
        best_so_far = min(best_so_far, event.valid_loss_nats)
        kinds.add(better)
    assert kinds == {True, False}


@pytest.mark.parametrize("patience", [1, 3])
def test_patience_ends_a_run_after_so_many_validations_without_a_better_one(make_dataset, patience):
    data = make_dataset(random_letters(90, 0), random_letters(300, 1))
    events = run_of(data, steps=2000, validate_every=5, patience=patience)
    better = [event.weights is not None for event in only(Validated, events)]
    assert better[-patience - 1 :] == [True] + [False] * patience
    assert events[-1].reason == "patience"
    assert events[-1].step == 5 * len(better) < 2000


@pytest.mark.parametrize("stop_after", [1, 7, 20])
def test_a_run_that_is_asked_to_stop_validates_once_more_and_ends(make_dataset, stop_after):
    data, made = make_dataset(NAMES), []
    events = []
    for event in train(plan_of(data), data, lambda: len(made) >= stop_after):
        events.append(event)
        if isinstance(event, Stepped):
            made.append(event)
    assert len(made) == stop_after
    assert [event.step for event in only(Validated, events)] == [stop_after]
    assert (events[-1].step, events[-1].reason) == (stop_after, "stopped")
    assert best(events)


def test_handed_out_weights_stay_as_they_were_while_training_goes_on(make_dataset):
    data = make_dataset(NAMES)
    copies = []
    events = []
    for event in train(plan_of(data), data):
        events.append(event)
        if isinstance(event, Validated) and event.weights:
            copies.append((event.weights, {name: weight.copy() for name, weight in event.weights.items()}))
    assert len(copies) > 1
    for weights, copy in copies:
        for name in weights:
            np.testing.assert_array_equal(weights[name], copy[name])


@pytest.mark.parametrize("lines", [False, True], ids=["text", "lines"])
def test_a_state_is_carried_from_window_to_window_or_starts_from_zeros(make_dataset, monkeypatch, lines):
    monkeypatch.setattr("rnngen.training.bptt.RESET_PROBABILITY", 0.3)
    data, seen, forward = make_dataset(NAMES, lines=lines), [], RNNLM.forward

    def spy(network: Any, ids: torch.Tensor, state: tuple[torch.Tensor, ...], *counted: Any) -> Any:
        logits, after = forward(network, ids, state, *counted)
        seen.append((ids[0], state[0][0], after[0][0]))
        return logits, after

    monkeypatch.setattr(RNNLM, "forward", spy)
    run_of(data, steps=40, validate_every=99, bptt=3)
    seen = seen[:40]  # the rest is validation
    assert not seen[0][1].any()
    n_fresh = n_carried = 0
    for (_, _, last), (ids, state, _) in pairwise(seen):
        fresh = ~state.any(dim=1)
        if lines:
            assert fresh.all() == fresh.any() == (ids == data.tokenizer.newline_id).all()
        if not fresh.all():
            assert torch.equal(state[~fresh], last[~fresh])
        n_fresh, n_carried = n_fresh + int(fresh.sum()), n_carried + int((~fresh).sum())
    assert min(n_fresh, n_carried) > 20


def test_a_timed_run_of_a_text_that_is_learnt_begins_its_descent_early(make_dataset):
    events = run_of(make_dataset(random_letters(90, 0), random_letters(300, 1)), steps=None, seconds=20.0,
                    validate_every=5)  # fmt: skip
    better = [event.weights is not None for event in only(Validated, events)]
    since = list(accumulate(better, lambda worse, is_better: 0 if is_better else worse + 1, initial=0))
    learnt = next(n for n, worse in enumerate(since) if worse >= max(LEARNT_AFTER, LEARNT_SHARE * n))
    assert events[-1].steps == events[-1].step == math.ceil(5 * learnt / HOLD)


def poison(monkeypatch, calls: set[int], value: float = math.nan) -> None:
    """Make the losses of these steps, counted from 1 as they are tried, not finite."""
    tried = iter(range(1, 10**9))

    def poisoned(network: RNNLM, *args: Any) -> tuple[Any, ...]:
        loss, *others = LOSS(network, *args)
        return (loss * value if next(tried) in calls else loss), *others

    monkeypatch.setattr(RNNLM, "loss", poisoned)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_sends_the_run_back_with_half_the_rate(make_dataset, monkeypatch, value):
    poison(monkeypatch, {30}, value)
    monkeypatch.setattr(loop, "GOOD_STATE_EVERY", 20)
    events = run_of(make_dataset(NAMES), steps=45, validate_every=10)
    assert only(Diverged, events) == [Diverged(step=30, back_to=20, learning_rate=0.01)]
    steps = only(Stepped, events)
    assert [event.step for event in steps] == [*range(1, 30), *range(21, 46)]
    schedule = Schedule.of_steps(0.01, 45)
    assert [event.learning_rate for event in steps[29:]] == [schedule.rate(step) for step in range(20, 45)]
    assert (events[-1].step, events[-1].n_tokens) == (45, 45 * 32)
    assert all(np.isfinite(weight).all() for weight in best(events).values())


def test_a_gradient_that_is_not_finite_changes_no_weight(make_dataset, monkeypatch):
    clip, tried = torch.nn.utils.clip_grad_norm_, iter(range(1, 10**9))

    def clip_grad_norm(parameters: Any, max_norm: float) -> torch.Tensor:
        norm = clip(parameters, max_norm)
        return norm * math.nan if next(tried) == 5 else norm

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", clip_grad_norm)
    events = run_of(make_dataset(NAMES), steps=20)
    assert only(Diverged, events) == [Diverged(step=5, back_to=0, learning_rate=0.01)]
    assert all(np.isfinite(weight).all() for weight in best(events).values())


def test_going_back_twice_leads_to_the_same_place(make_dataset, monkeypatch):
    data = make_dataset(NAMES)
    monkeypatch.setattr(loop, "GOOD_STATE_EVERY", 20)
    # Both runs fail twice after step 20, and go on from there with the third choice of windows: one of them fails
    # nearly at once, the other after many steps.
    poison(monkeypatch, {22, 23})
    at_once = run_of(data, steps=45, validate_every=45)
    poison(monkeypatch, {38, 54})
    later = run_of(data, steps=45, validate_every=45)
    assert [event.back_to for event in only(Diverged, at_once) + only(Diverged, later)] == [20] * 4
    for name, weight in best(at_once).items():
        np.testing.assert_array_equal(weight, best(later)[name])


def test_a_rate_that_is_absurd_ends_after_three_new_starts_with_what_to_do(make_dataset):
    data, events = make_dataset(NAMES), []
    with pytest.raises(TrainingError, match=r"the loss is not finite at step \d+, after 3 new starts.*try --lr"):
        events.extend(train(plan_of(data, learning_rate=1e30), data))
    rates = [event.learning_rate for event in only(Diverged, events)]
    assert rates == [5e29, 2.5e29, 1.25e29]


def test_the_best_weights_come_before_the_error(make_dataset, monkeypatch):
    poison(monkeypatch, set(range(30, 100)))
    data, events = make_dataset(NAMES), []
    with pytest.raises(TrainingError):
        events.extend(train(plan_of(data, steps=100, validate_every=20), data))
    assert [event.step for event in only(Validated, events)] == [20]
    assert best(events)


def test_a_state_that_already_gives_a_loss_that_is_not_finite_is_not_one_to_go_back_to(make_dataset, monkeypatch):
    monkeypatch.setattr(loop, "GOOD_STATE_EVERY", 20)
    tried = iter(range(1, 10**9))

    def loss_with_accident(network: RNNLM, *args: Any) -> Any:
        found = LOSS(network, *args)
        if next(tried) == 40:
            network.output.bias.data.fill_(math.inf)
        return found

    monkeypatch.setattr(RNNLM, "loss", loss_with_accident)
    events = run_of(make_dataset(NAMES), steps=50)
    assert only(Diverged, events) == [Diverged(step=41, back_to=20, learning_rate=0.01)]
    assert events[-1].step == 50


def test_one_validation_that_is_not_a_number_does_not_hide_the_better_ones_after_it(make_dataset, monkeypatch):
    losses = iter([3.0, math.nan, 2.0, 2.5])
    monkeypatch.setattr(language_modelling, "validation_loss", lambda model, data: NatsSum(next(losses), 1))
    events = run_of(make_dataset(NAMES), steps=80)
    assert [event.weights is not None for event in only(Validated, events)] == [True, False, True, False]


def test_the_first_validation_comes_early_where_validations_are_far_apart(make_dataset):
    data = make_dataset(NAMES)
    for every, first in ((150, 25), (149, 149)):
        events = train(plan_of(data, steps=160, validate_every=every), data)
        assert next(event.step for event in events if isinstance(event, Validated)) == first


def test_the_counts_are_the_first_model_and_are_mixed_anew_at_each_validation(make_dataset):
    data = make_dataset(NAMES * 3)
    first, *others = only(Validated, run_of(data, steps=60, ngram_order=3))
    assert (first.step, first.train_loss_nats, first.weights["mix"].tolist()) == (0, None, [0, 1])
    assert [event.step for event in others] == [20, 40, 60]
    mixes = [event.weights["mix"].tolist() for event in others if event.weights is not None]
    assert mixes
    assert all(share > 0.1 for share, _ in mixes)
    assert min(event.valid_loss_nats for event in others) < first.valid_loss_nats


@pytest.mark.parametrize("lines", [False, True], ids=["text", "lines"])
def test_what_is_validated_is_what_the_weights_give(make_dataset, lines):
    data = make_dataset(NAMES * 3, lines=lines)
    plan = plan_of(data, steps=20, ngram_order=3)
    for event in only(Validated, list(train(plan, data))):
        model, newline_id = Engine(plan.model, event.weights), data.tokenizer.newline_id
        if lines:
            ids = [
                line[:-1] for line in np.split(data.valid.ids, np.flatnonzero(data.valid.ids == newline_id) + 1)[:-1]
            ]
            scored = score_lines(model, ids, newline_id)
        else:
            scored = score_text(model, data.valid.ids, newline_id)
        assert -np.concatenate(list(scored)).mean() == pytest.approx(event.valid_loss_nats, abs=1e-5)
