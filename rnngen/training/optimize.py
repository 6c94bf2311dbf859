"""The learning rate's schedule, and the time budget."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

from rnngen.errors import CheckpointError

WARM_UP_STEPS = 50
HOLD = 0.4  # of the run at the peak rate, before the straight line down
EARLIEST = 0.3  # of the time: before that, what the steps took says too little of those to come
OVERRUN = 0.15  # of the time: a run that is later than that ends before its last step
FINAL = 0.01  # of the peak rate, at the end
_MOST_MARKS = 1024  # of a night's steps, every other is forgotten now and then


@dataclass(frozen=True)
class Schedule:
    """Up in WARM_UP_STEPS, level until `hold`, then straight down to nearly zero at the last step.

    Attributes:
        hold: steps before the descent.
        steps: steps in all.
    """

    peak: float
    hold: int
    steps: int

    @classmethod
    def of_steps(cls, peak: float, steps: int) -> Schedule:
        return cls(peak, int(HOLD * steps), steps)

    def rate(self, step: int) -> float:
        """The learning rate of the step with this number, counted from 0."""
        left = (self.steps - step) / (self.steps - self.hold)
        return min(1.0, (step + 1) / WARM_UP_STEPS) * self.peak * (FINAL + (1 - FINAL) * min(1.0, left))


class TimeBudget:
    """Finds the number of steps that fit into a time, while the steps are being made.

    As long as the rate is level, the schedules of all lengths are the same. So the number is fixed only when the
    descent must start, from the time that the steps took until then. From there on the run has a number of steps, and
    can be repeated with it. If the machine slows down after that, the run ends a little late. If it would be much too
    late, the run ends before its last step (`is_overdue`).
    A small text is learnt before the time is over: then the descent starts early (`begin_descent`).

    Args:
        seconds: the budget, starting now.
        peak: the learning rate.
        reserve: the work at the end, in the time of steps.
        ending: further work at the end, in seconds.
        spent: seconds of the budget that an earlier run has used.
    """

    def __init__(self, seconds: float, peak: float, reserve: float, ending: float = 0.0, spent: float = 0.0) -> None:
        self._seconds = seconds
        self._start = time.monotonic() - spent  # a clock that neither a person nor the network can set
        self._deadline = seconds - ending
        self._peak = peak
        self._reserve = reserve
        self._marks: list[tuple[int, float]] = []  # numbers of steps, and when they were made
        self._fixed: Schedule | None = None

    def _now(self) -> float:
        return time.monotonic() - self._start

    def schedule(self, step: int) -> Schedule:
        """The schedule as far as it is known before the step with this number, counted from 0."""
        if self._fixed:
            self._marks.clear()
            return self._fixed
        now = self._now()
        self._marks.append((step, now))
        if len(self._marks) > _MOST_MARKS:
            del self._marks[1::2]
        expected = self._expected_steps(step, now)
        if step < HOLD * expected - 1:
            return Schedule(self._peak, hold=step + 1, steps=step + 2)
        # Never so few that a step which is already made would belong to the descent.
        fewest = math.ceil((step - 1) / HOLD)
        self._fixed = Schedule.of_steps(self._peak, max(round(expected), fewest, 1))
        return self._fixed

    def _expected_steps(self, step: int, now: float) -> float:
        left = self._deadline - now
        if step == 0 or left > (1 - EARLIEST) * self._seconds:
            return math.inf
        # By the later half of the steps: the first ones are slower than the rest.
        half_step, half_time = next(mark for mark in self._marks if mark[0] >= (step - 1) // 2)
        # There are none only after a run has just gone on.
        per_step = (now - half_time) / (step - half_step) if step > half_step else now / step
        return step + max(0.0, left / per_step - self._reserve)

    def state(self) -> dict[str, Any]:
        """What `go_to` needs, ready for JSON."""
        fixed = self._fixed and [self._fixed.hold, self._fixed.steps]
        return {"marks": self._marks, "fixed": fixed}

    def go_to(self, state: object) -> None:
        """Go on from the state of an earlier run. Raises CheckpointError for anything else."""
        match state:
            case {"marks": list(marks), "fixed": None} if all(map(_is_mark, marks)):
                self._marks = [(step, seconds) for step, seconds in marks]
            case {"fixed": [int(hold), int(steps)]} if 0 <= hold < steps:
                self._fixed = Schedule(self._peak, hold, steps)
            case _:
                raise CheckpointError("the resume file is broken: its time budget has another form")

    def begin_descent(self, step: int) -> None:
        """Start the descent at this step, counted from 0, although there is time left."""
        if self._fixed is None:
            self._fixed = Schedule.of_steps(self._peak, math.ceil(step / HOLD))

    def is_overdue(self) -> bool:
        """Whether the machine has slowed down so much that the run is well past its time."""
        return self._now() > self._deadline + OVERRUN * self._seconds

    @property
    def is_fixed(self) -> bool:
        """Whether the number of steps is known."""
        return self._fixed is not None


def _is_mark(mark: object) -> bool:
    match mark:
        case [int(), float(seconds)]:
            return math.isfinite(seconds)
    return False
