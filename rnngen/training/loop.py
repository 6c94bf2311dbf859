"""The training loop: a generator of events. It never prints and never saves; who consumes the events does."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from rnngen.checkpoint import Weights
from rnngen.errors import TrainingError
from rnngen.text.dataset import Dataset
from rnngen.training.bptt import IGNORED, Window, line_windows, text_windows
from rnngen.training.memory import keep_freed_memory
from rnngen.training.network import RNNLM, TorchModel, to_weights
from rnngen.training.ngram_rows import RowAdagrad
from rnngen.training.optimize import Schedule, TimeBudget
from rnngen.training.optimizers import DenseOptimizer
from rnngen.training.plan import FEWEST_BETWEEN, VALIDATE_AFTER, Plan
from rnngen.training.validate import exact_loss, exact_seconds, validation_loss

MOST_RETRIES = 3
GOOD_STATE_EVERY = 100  # steps between two copies of a state to go back to
FIRST_VALIDATION = 6  # of the steps between two validations one part, where they are not few
LEARNT_AFTER = 2  # validations without a better one: a time budget's level phase ends early
NGRAM_LEARNING_RATE = 0.15  # peak; the schedule is the network's without its way up
SMOOTHING = 0.98  # of the training loss that events carry


@dataclass(frozen=True)
class Stepped:
    """One optimizer step was made.

    Attributes:
        step: its number, counted from 1.
        steps: of the whole run; None while a time budget leaves it open.
        train_loss_nats: a token, smoothed over about 50 steps.
        seconds: since the start.
        n_tokens: trained on since the start.
    """

    step: int
    steps: int | None
    train_loss_nats: float
    learning_rate: float
    seconds: float
    n_tokens: int


@dataclass(frozen=True)
class Validated:
    """The loss over the whole validation text, within 0.0001 of one exact pass (`validate.py`).

    Attributes:
        weights: a copy, if this is the best so far; else None.
    """

    step: int
    train_loss_nats: float
    valid_loss_nats: float
    seconds: float
    n_tokens: int
    weights: Weights | None


@dataclass(frozen=True)
class Diverged:
    """A loss or gradient was not finite; training went back to an earlier step with half the learning rate."""

    step: int
    back_to: int
    learning_rate: float


@dataclass(frozen=True)
class Finished:
    """The end of the run.

    Attributes:
        reason: "budget", "patience", "stopped", or "overdue": the machine slowed down, and the time was well over.
        steps: the length of the schedule: `--steps` with this number repeats a run that ended by budget or patience.
        valid_loss_nats: of the weights kept, in one exact pass; None for a run that was stopped, or kept none.
    """

    step: int
    steps: int
    reason: str
    valid_loss_nats: float | None
    seconds: float
    n_tokens: int


Event = Stepped | Validated | Diverged | Finished


def train(plan: Plan, data: Dataset, should_stop: Callable[[], bool] = lambda: False) -> Iterator[Event]:
    """Train a new model.

    Args:
        plan: every setting, none left open.
        should_stop: asked after every step; when it says yes, the run validates once more and ends.

    Yields:
        What happens. The weights worth keeping are in the Validated events.

    Raises:
        TrainingError: the loss stays not finite, or the memory does not suffice.
    """
    try:
        yield from _Run(plan, data, should_stop).events()
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, MemoryError) or any(word in str(error) for word in ("alloc", "out of memory", "overflow")):
            raise TrainingError(
                f"not enough memory to train {plan.model.n_parameters:,} parameters with batches of "
                f"{plan.batch_size} x {plan.bptt}: lower --hidden-size, --ngram-bits, --batch-size or --bptt"
            ) from None
        raise


class _Run:
    def __init__(self, plan: Plan, data: Dataset, should_stop: Callable[[], bool]) -> None:
        self._plan, self._data, self._should_stop = plan, data, should_stop
        self._start = time.monotonic()
        torch.set_num_threads(plan.threads)
        torch.set_flush_denormal(True)
        keep_freed_memory()
        torch.manual_seed(plan.seed)
        device = torch.device(plan.device)
        low = torch.bfloat16 if plan.precision == "bfloat16" else torch.float32
        self._network = RNNLM(plan.model, low).to(device)
        self._dense = self._network.dense_parameters()
        self._dense_optimizer = DenseOptimizer(plan.optimizer, self._dense, plan.learning_rate, plan.weight_decay)
        rows = self._network.ngram
        self._row_optimizer = None if rows is None else RowAdagrad(rows.weight, NGRAM_LEARNING_RATE)
        self._optimizers = [part for part in (self._dense_optimizer, self._row_optimizer) if part is not None]
        self._peak = plan.learning_rate
        self._state = self._network.initial_state(plan.batch_size)
        self._step = 0
        self._n_tokens = 0
        self._smooth: list[float] = [0.0, 0.0]  # weighted sum of losses, sum of weights
        self._best = math.inf
        self._worse = 0
        self._kept: Weights | None = None
        self._windows = self._make_windows(attempt=0)
        self._budget: TimeBudget | None = None
        if plan.seconds is not None:
            reserve = plan.validate_every / VALIDATE_AFTER
            ending = exact_seconds(TorchModel(self._network), data)
            self._budget = TimeBudget(plan.seconds, self._peak, reserve, ending)

    def _make_windows(self, attempt: int) -> Iterator[Window]:
        plan, data = self._plan, self._data
        generator = np.random.Generator(np.random.PCG64([plan.seed, attempt]))
        if data.lines:
            return line_windows(data.train.ids, data.tokenizer.newline_id, plan.batch_size, plan.bptt, generator)
        return text_windows(data.train.ids, plan.batch_size, plan.bptt, generator)

    def events(self) -> Iterator[Event]:
        retries = 0
        good = fresh = self._snapshot()
        reason = "budget"
        while (schedule := self._schedule()).steps > self._step:
            if self._should_stop():
                reason = "stopped"
                break
            if self._budget is not None and self._budget.is_overdue():
                reason = "overdue"
                break
            loss = self._make_step(schedule)
            if loss is None:
                retries += 1
                if retries > MOST_RETRIES:
                    raise TrainingError(
                        f"the loss is not finite at step {self._step + 1}, after {MOST_RETRIES} new starts with half "
                        f"the learning rate each: try --lr {self._peak / 4:.2g} or a smaller --grad-clip"
                    )
                at = self._step
                self._restore(good, retries)
                yield Diverged(at + 1, self._step, self._peak)
                continue
            good = fresh  # it has given a finite loss since
            yield self._stepped(loss, schedule)
            if self._is_time_to_validate():
                yield self._validate()
                if self._budget is not None and self._worse >= LEARNT_AFTER:
                    self._budget.begin_descent(self._step)
                if self._plan.patience is not None and self._worse >= self._plan.patience:
                    reason = "patience"
                    if self._budget is not None:
                        self._budget.begin_descent(self._step)
                    schedule = self._schedule()
                    break
            if self._step % GOOD_STATE_EVERY == 0:
                fresh = self._snapshot()
        if self._step and reason != "patience" and not self._is_time_to_validate():
            yield self._validate()
        exact = (
            None if self._kept is None or reason == "stopped" else exact_loss(self._plan.model, self._kept, self._data)
        )
        yield Finished(self._step, schedule.steps, reason, exact, self._seconds(), self._n_tokens)

    def _is_time_to_validate(self) -> bool:
        every = self._plan.validate_every
        # The first time early: a person wants to see that it learns.
        return self._step % every == 0 or (self._step == every // FIRST_VALIDATION and self._step >= FEWEST_BETWEEN)

    def _seconds(self) -> float:
        return time.monotonic() - self._start

    def _schedule(self) -> Schedule:
        if self._budget is not None:
            schedule = self._budget.schedule(self._step)
            return Schedule(self._peak, schedule.hold, schedule.steps)
        assert self._plan.steps is not None
        return Schedule.of_steps(self._peak, self._plan.steps)

    def _make_step(self, schedule: Schedule) -> float | None:
        """One optimizer step; its loss, or None where that or a gradient is not finite (nothing has changed then)."""
        network, window = self._network, next(self._windows)
        network.train()
        device = network.output.bias.device
        inputs = torch.from_numpy(window.inputs).to(device)
        targets = torch.from_numpy(window.targets).to(device)
        logits, state = network(inputs, self._fresh(window))
        loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)
        network.zero_grad(set_to_none=True)
        loss.backward()
        # Gradients explode where they go back through time, which those of n-grams do not.
        norm = torch.nn.utils.clip_grad_norm_(self._dense, self._plan.grad_clip)
        value = loss.item()
        if not math.isfinite(value) or not math.isfinite(norm.item()):
            return None
        self._dense_optimizer.step(schedule.rate(self._step) / self._plan.learning_rate)
        if self._row_optimizer is not None:
            # A sum of rows is no deep network: without the way up it learns in 105 steps what took 130.
            self._row_optimizer.step(schedule.rate_at_once(self._step) / self._plan.learning_rate)
        self._state = state
        self._step += 1
        self._n_tokens += window.n_tokens
        return value

    def _fresh(self, window: Window) -> tuple[torch.Tensor, ...]:
        if len(window.fresh) != self._state[0].shape[1]:
            # A batch of lines at the end of a pool may be smaller.
            self._state = self._network.initial_state(len(window.fresh))
        if window.fresh.any():
            kept = torch.from_numpy(~window.fresh).to(self._state[0].device)
            self._state = tuple(part * kept.view(1, -1, *[1] * (part.dim() - 2)) for part in self._state)
        return self._state

    def _stepped(self, loss: float, schedule: Schedule) -> Stepped:
        self._smooth = [
            SMOOTHING * old + (1 - SMOOTHING) * new for old, new in zip(self._smooth, (loss, 1.0), strict=True)
        ]
        known = self._budget is None or self._budget.is_fixed
        return Stepped(
            self._step,
            schedule.steps if known else None,
            self._smooth[0] / self._smooth[1],
            schedule.rate(self._step - 1),
            self._seconds(),
            self._n_tokens,
        )

    def _validate(self) -> Validated:
        loss = validation_loss(TorchModel(self._network), self._data)
        better = loss < self._best
        weights = to_weights(self._network) if better else None
        if better:
            self._best, self._kept = loss, weights
        self._worse = 0 if better else self._worse + 1
        return Validated(
            self._step,
            self._smooth[0] / self._smooth[1],
            loss,
            self._seconds(),
            self._n_tokens,
            weights,
        )

    def _snapshot(self) -> dict[str, Any]:
        return {
            "step": self._step,
            "n_tokens": self._n_tokens,
            "smooth": self._smooth,
            "network": copy.deepcopy(self._network.state_dict()),
            "optimizers": [optimizer.state() for optimizer in self._optimizers],
        }

    def _restore(self, good: dict[str, Any], attempt: int) -> None:
        """Go back, halve the learning rate, and go on with other windows."""
        self._step, self._n_tokens, self._smooth = good["step"], good["n_tokens"], good["smooth"]
        self._network.load_state_dict(good["network"])
        for optimizer, state in zip(self._optimizers, good["optimizers"], strict=True):
            optimizer.restore(state)
        self._peak /= 2
        self._state = self._network.initial_state(self._plan.batch_size)
        self._windows = self._make_windows(attempt)
