"""The losses that a checkpoint keeps."""

from __future__ import annotations

from dataclasses import replace

from rnngen.runs import history
from rnngen.runs.history import History, is_measurement
from rnngen.training.events import Stepped, Validated


def step(number: int) -> Stepped:
    return Stepped(number, None, 1.5, 1.75, 0.1, 0.12345, 10 * number)


def validation(number: int) -> Validated:
    return Validated(number, 1.5, 1.75, 2.5, None, 0.12345, 10 * number, None)


def steps_of(kept: History) -> list[int]:
    return [record["step"] for record in kept.records]


def test_some_training_losses_are_kept_between_two_validations():
    kept = History(validate_every=32)
    for number in range(1, 33):
        kept.add_step(step(number))
    assert steps_of(kept) == [4, 8, 12, 16, 20, 24, 28, 32]
    assert kept.records[0] == {
        "step": 4, "seconds": 0.123, "n_tokens": 40, "train_loss_nats": 1.5, "known_train_loss_nats": 1.75,
        "valid_loss_nats": None, "known_valid_loss_nats": None,
    }  # fmt: skip


def test_a_validation_takes_the_place_of_the_training_loss_of_its_step():
    kept = History(validate_every=8)
    for number in (1, 2):
        kept.add_step(step(number))
    kept.add_validation(validation(2))
    assert [(record["step"], record["valid_loss_nats"]) for record in kept.records] == [(1, None), (2, 2.5)]
    kept.add_validation(replace(validation(3), known_valid_loss_nats=2.75))
    assert kept.records[-1]["known_valid_loss_nats"] == 2.75


def test_the_steps_that_a_run_went_back_over_are_forgotten():
    kept = History(validate_every=8)
    for number in range(1, 6):
        kept.add_step(step(number))
    kept.forget_after(3)
    assert steps_of(kept) == [1, 2, 3]


def test_every_second_record_is_dropped_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr(history, "MOST_RECORDS", 4)
    kept = History(validate_every=8)
    for number in range(1, 6):
        kept.add_step(step(number))
    assert steps_of(kept) == [1, 3, 5]


def test_records_of_another_form_are_known():
    [record] = (kept := History(8)).records or [kept.add_step(step(1)) or kept.records[0]]
    assert is_measurement(record)
    for damaged in ({}, [], None, {**record, "step": "1"}, {**record, "seconds": 1}):
        assert not is_measurement(damaged)
