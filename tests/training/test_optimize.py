"""The schedule's shape, and the time budget on a clock that the test controls."""

from __future__ import annotations

import random

import pytest

from rnngen.training import optimize
from rnngen.training.optimize import FINAL, HOLD, WARM_UP_STEPS, Schedule, TimeBudget

PEAK = 0.25


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 1 / 50), (24, 1 / 2), (49, 1), (400, 1), (700, 0.01 + 0.99 / 2), (999, 0.01 + 0.99 / 600)],
)
def test_the_rate_of_a_thousand_steps_at_places_computed_by_hand(step, rate):
    assert (WARM_UP_STEPS, HOLD, FINAL) == (50, 0.4, 0.01)
    assert Schedule.of_steps(PEAK, 1000).rate(step) == pytest.approx(PEAK * rate)


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 60, 125, 5000])
def test_a_schedule_rises_stays_and_falls_once_and_ends_near_zero(steps):
    schedule = Schedule.of_steps(PEAK, steps)
    rates = [schedule.rate(step) for step in range(steps)]
    assert min(rates) > 0
    assert max(rates) <= PEAK
    top = rates.index(max(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    if steps > 100:
        assert rates[-1] < 0.03 * PEAK


class Clock:
    """Stands in for the module `time`; goes only when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Run:
    """A run whose steps take the time that `pace(step)` says.

    Args:
        learnt_at: the step at which the descent is asked to start early.
    """

    def __init__(self, monkeypatch, seconds, pace, reserve=0.0, learnt_at=None) -> None:
        clock = Clock()
        monkeypatch.setattr(optimize, "time", clock)
        self.budget = TimeBudget(seconds, PEAK, reserve)
        self.rates: list[float] = []
        self.fixed_at: int | None = None
        step = 0
        while (schedule := self.budget.schedule(step)).steps > step:
            if self.budget.is_fixed and self.fixed_at is None:
                self.fixed_at = step
            self.rates.append(schedule.rate(step))
            clock.now += pace(step)
            step += 1
            if step == learnt_at:
                self.budget.begin_descent(step)
        self.schedule, self.seconds = schedule, clock.now - 1000


noise = random.Random(0)
PACES = {
    "steady": lambda step: 0.01,
    "a slow start": lambda step: 0.4 if step < 5 else 0.01,
    "getting faster": lambda step: 0.03 / (1 + step / 100),
    "getting slower": lambda step: 0.005 + step / 20_000,
    "noisy": lambda step: noise.uniform(0.001, 0.03),
    "a long pause": lambda step: 6.0 if step == 120 else 0.01,
    "a pause longer than the budget": lambda step: 20.0 if step == 120 else 0.01,
    "a few slow steps": lambda step: 2.3,
    "one step longer than the budget": lambda step: 11.0,
}


@pytest.mark.parametrize("reserve", [0.0, 30.0])
@pytest.mark.parametrize("pace", PACES.values(), ids=PACES.keys())
def test_a_timed_run_is_step_by_step_the_run_of_its_number_of_steps(monkeypatch, pace, reserve):
    run = Run(monkeypatch, 10.0, pace, reserve)
    again = Schedule.of_steps(PEAK, run.schedule.steps)
    assert run.schedule == again
    assert run.rates == [again.rate(step) for step in range(again.steps)]


@pytest.mark.parametrize("reserve", [0.0, 50.0])
@pytest.mark.parametrize("pace", ["steady", "a slow start", "noisy"])
def test_a_timed_run_lands_at_the_end_of_its_budget_with_the_reserve_left(monkeypatch, pace, reserve):
    run = Run(monkeypatch, 10.0, PACES[pace], reserve)
    per_step = 0.0155 if pace == "noisy" else 0.01
    assert run.seconds + reserve * per_step == pytest.approx(10.0, rel=0.05)


@pytest.mark.parametrize("n_steps", [0.5, 1.5, 4.5, 6.5, 9.5, 14.5, 40.5])
def test_a_short_budget_is_overrun_by_two_steps_at_most(monkeypatch, n_steps):
    run = Run(monkeypatch, n_steps, lambda step: 1.0)
    assert 1 <= run.seconds <= n_steps + 2


def test_the_number_of_steps_is_known_when_the_descent_begins(monkeypatch):
    run = Run(monkeypatch, 10.0, PACES["steady"])
    assert run.fixed_at == pytest.approx(HOLD * len(run.rates), abs=2)


@pytest.mark.parametrize("learnt_at", [1, 2, 7, 33, 100, 399])
def test_a_descent_that_begins_early_ends_early_and_repeats_step_by_step(monkeypatch, learnt_at):
    run = Run(monkeypatch, 10.0, PACES["steady"], learnt_at=learnt_at)
    again = Schedule.of_steps(PEAK, len(run.rates))
    assert run.rates == [again.rate(step) for step in range(again.steps)]
    assert len(run.rates) == pytest.approx(learnt_at / HOLD, abs=1)


def test_a_descent_that_has_begun_is_not_begun_again(monkeypatch):
    at_its_time, too_late = (Run(monkeypatch, 10.0, PACES["steady"], learnt_at=step) for step in (None, 700))
    assert too_late.rates == at_its_time.rates


def test_a_run_that_the_machine_slows_down_is_overdue_only_well_after_its_time(monkeypatch):
    now = 0.0
    monkeypatch.setattr(optimize.time, "monotonic", lambda: now)
    budget = TimeBudget(10.0, PEAK, 0.0)
    found = {}
    for now in (0.0, 9.9, 11.0, 12.0):
        found[now] = budget.is_overdue()
    assert found == {0.0: False, 9.9: False, 11.0: False, 12.0: True}
