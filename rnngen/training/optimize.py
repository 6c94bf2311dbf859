"""The learning rate's schedule, and the time budget."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

WARM_UP_STEPS = 50
HOLD = 0.4  # of the run at the peak rate, before the straight line down
EARLIEST = 0.3  # of the time: before that, what the steps took says too little of those to come
OVERRUN = 0.15  # of the time: a run that is later than that ends before its last step
FINAL = 0.01  # of the peak rate, at the end


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
        return min(1.0, (step + 1) / WARM_UP_STEPS) * self.rate_at_once(step)

    def rate_at_once(self, step: int) -> float:
        """The same without the way up, for what can take large steps from the first one on."""
        left = (self.steps - step) / (self.steps - self.hold)
        return self.peak * (FINAL + (1 - FINAL) * min(1.0, left))


class TimeBudget:
    """Finds the number of steps that fit into a time, while the steps are being made.

    As long as the rate is level, the schedules of all lengths are the same. So the number is fixed only when the
    descent must begin, from the time that the steps took until then; from there on the run is one of `steps` steps,
    and can be repeated as such. On a machine that slows down after that the run ends a little late, or, when it would
    be much too late, before its last step (`is_overdue`).
    A small text is learnt before the time is over: then the descent begins early (`begin_descent`).

    Args:
        seconds: the budget, counted from now.
        peak: the learning rate.
        reserve: what must be done at the end, in steps.
        ending: and in seconds.
    """

    def __init__(self, seconds: float, peak: float, reserve: float, ending: float = 0.0) -> None:
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds - ending
        self._peak = peak
        self._reserve = reserve
        self._times: list[float] = []
        self._fixed: Schedule | None = None

    def schedule(self, step: int) -> Schedule:
        """The schedule as far as it is known before the step with this number, counted from 0."""
        if self._fixed:
            self._times.clear()
            return self._fixed
        now = time.monotonic()
        self._times.append(now)
        expected = self._expected_steps(step, now)
        if step < HOLD * expected - 1:
            return Schedule(self._peak, hold=step + 1, steps=step + 2)
        # Never so few that a step already made would have belonged to the descent.
        fewest = math.ceil((step - 1) / HOLD)
        self._fixed = Schedule.of_steps(self._peak, max(round(expected), fewest, 1))
        return self._fixed

    def _expected_steps(self, step: int, now: float) -> float:
        left = self._deadline - now
        if step == 0 or left > (1 - EARLIEST) * self._seconds:
            return math.inf
        # By the later half of the steps: the first ones are slower than the rest.
        half = len(self._times) // 2
        per_step = (now - self._times[half - 1]) / (len(self._times) - half)
        return step + max(0.0, left / per_step - self._reserve)

    def begin_descent(self, step: int) -> None:
        """Let the descent begin at this step, counted from 0, though there is time left."""
        if self._fixed is None:
            self._fixed = Schedule.of_steps(self._peak, math.ceil(step / HOLD))

    def is_overdue(self) -> bool:
        """Whether the machine has slowed down so much that the run is well past its time."""
        return time.monotonic() > self._deadline + OVERRUN * self._seconds

    @property
    def is_fixed(self) -> bool:
        """Whether the number of steps is known."""
        return self._fixed is not None
