"""The training loop: a generator of events. It never prints and never saves; the consumer of the events does."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from rnngen.checkpoint import Weights
from rnngen.errors import CheckpointError, DivergenceError, TrainingError
from rnngen.text.dataset import Dataset
from rnngen.training.both_sides import BothSides
from rnngen.training.bptt import IGNORED
from rnngen.training.counts_only import count_events
from rnngen.training.events import Diverged, Event, Finished, Resumable, Stepped, Validated
from rnngen.training.language_modelling import LanguageModelling
from rnngen.training.losses import NatsSum, RunningLoss
from rnngen.training.memory import keep_freed_memory
from rnngen.training.optimize import Schedule, TimeBudget
from rnngen.training.optimizers import Optimizer
from rnngen.training.plan import FEWEST_BETWEEN, VALIDATE_AFTER, Plan
from rnngen.training.run_state import (
    RunState,
    are_finite,
    best_weights,
    checked_state,
    copy_into,
    named,
    random_states,
    set_random_states,
    to_arrays,
    under,
)
from rnngen.training.tagging import Tagging
from rnngen.training.task import Example, Network, State, Task

MOST_RETRIES = 3
GOOD_STATE_EVERY = 100  # steps between two copies of a state to go back to
FIRST_VALIDATION = 6  # the first validation comes after this part of the steps between two, where these are many
# Validations without a lower loss, and their share of the steps so far: then the level phase of a time budget ends.
LEARNT_AFTER, LEARNT_SHARE = 2, 0.25


def train(
    plan: Plan,
    data: Dataset,
    should_stop: Callable[[], bool] = lambda: False,
    *,
    save_every: float | None = None,
    start: RunState | None = None,
    prepare_network: Callable[[Network], None] = lambda network: None,
) -> Iterator[Event]:
    """Train a model.

    Args:
        plan: every setting, none left open.
        should_stop: asked after every step; when it says yes, the run validates once more and ends.
        save_every: seconds between two Resumable events. The first one comes before the first step, and another one
            when the run is asked to stop. None gives none of them.
        start: the state of a run with the same plan and data, to go on from; None starts a new run.
        prepare_network: is called with the network of a new run, and may change its first weights.

    Yields:
        What happens. The weights worth keeping are in the Validated events.

    Raises:
        TrainingError: the loss is not finite after several attempts, or ends worse than a guess; no memory is left.
        CheckpointError: `start` is not the state of such a run.
    """
    try:
        if plan.model.has_network:
            yield from _Run(plan, data, should_stop, save_every, start, prepare_network).events()
        else:
            yield from count_events(plan, data)
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, MemoryError) or any(word in str(error) for word in ("alloc", "out of memory", "overflow")):
            raise TrainingError(
                f"not enough memory to train {plan.model.n_parameters:,} parameters with batches of "
                f"{plan.batch_size} x {plan.bptt}: lower --hidden-size, --batch-size or --bptt"
            ) from None
        raise


def make_task(plan: Plan, data: Dataset) -> Task:
    """What a plan trains for."""
    if plan.model.is_tagger:
        return Tagging(plan, data)
    return BothSides(plan, data) if plan.model.bidirectional else LanguageModelling(plan, data)


class _Run:
    def __init__(
        self,
        plan: Plan,
        data: Dataset,
        should_stop: Callable[[], bool],
        save_every: float | None,
        start: RunState | None,
        prepare_network: Callable[[Network], None],
    ) -> None:
        self._plan, self._data, self._should_stop = plan, data, should_stop
        self._start = time.monotonic() - (start.number("seconds") if start else 0.0)
        torch.set_num_threads(plan.threads)
        torch.set_flush_denormal(True)
        keep_freed_memory()
        torch.manual_seed(plan.seed)
        self._device = torch.device(plan.device)
        self._task = make_task(plan, data)
        self._network = self._task.network
        if start is None:
            prepare_network(self._network)
        self._weights = list(self._network.parameters())
        self._optimizer = Optimizer(plan.optimizer, self._weights, plan.learning_rate, plan.weight_decay)
        self._peak = plan.learning_rate
        self._state = self._task.initial_state(plan.batch_size)
        self._step = self._n_tokens = self._retries = self._worse = 0
        self._train_loss = RunningLoss()
        self._best = math.inf
        self._kept: Weights | None = None
        self._good = self._copy()
        self._save_every = math.inf if save_every is None else save_every
        self._saved_at = -math.inf
        if start is not None:
            self._go_to(start)
        self._begin_windows(skip=start.count("n_windows") if start else 0)
        self._budget: TimeBudget | None = None
        if plan.seconds is not None:
            reserve = plan.validate_every / VALIDATE_AFTER
            self._budget = TimeBudget(plan.seconds, self._peak, reserve, self._task.exact_seconds(), self._seconds())
            if start is not None:
                self._budget.go_to(start.numbers.get("budget"))

    def _begin_windows(self, skip: int = 0) -> None:
        generator = np.random.Generator(np.random.PCG64([self._plan.seed, self._retries]))
        self._n_windows = skip
        self._windows = self._task.windows(generator, skip)

    def events(self) -> Iterator[Event]:
        plan, reason = self._plan, "budget"
        if self._kept is None and (first := self._task.first_model()) is not None:
            yield self._validated(first)
        while (schedule := self._schedule()).steps > self._step:
            asked_to_stop = self._should_stop()
            if self._is_time_to_save(asked_to_stop) and are_finite(*self._tensors().values(), *self._state):
                yield Resumable(self._step, self._run_state())
                self._saved_at = time.monotonic()
            if asked_to_stop:
                reason = "stopped"
                break
            if self._step and self._budget is not None and self._budget.is_overdue():
                reason = "overdue"
                break
            if not self._make_step(schedule):
                yield self._go_back()
                continue
            yield self._stepped(schedule)
            if self._is_time_to_validate():
                yield self._validate()
                if self._worse >= LEARNT_AFTER:
                    self._train_loss.check_that_it_learnt(plan)
                    if self._budget is not None and self._worse * plan.validate_every >= LEARNT_SHARE * self._step:
                        self._budget.begin_descent(self._step)
                if plan.patience is not None and self._worse >= plan.patience:
                    reason = "patience"
                    if self._budget is not None:
                        self._budget.begin_descent(self._step)
                    schedule = self._schedule()
                    break
        if self._step and reason != "patience" and not self._is_time_to_validate():
            yield self._validate()
        if reason != "stopped" and self._should_stop():
            reason = "stopped"
        if reason != "stopped":
            self._train_loss.check_that_it_learnt(plan)
        exact = None if self._kept is None or reason == "stopped" else self._task.exact(self._kept)
        yield Finished(self._step, schedule.steps, reason, exact, self._seconds(), self._n_tokens)

    def _is_time_to_save(self, asked_to_stop: bool) -> bool:
        due = time.monotonic() - self._saved_at >= self._save_every
        return (due or asked_to_stop) and math.isfinite(self._save_every)

    def _is_time_to_validate(self) -> bool:
        every = self._plan.validate_every
        # The first time early, so that a person sees that the model learns.
        return self._step % every == 0 or self._step == every // FIRST_VALIDATION >= FEWEST_BETWEEN

    def _seconds(self) -> float:
        return time.monotonic() - self._start

    def _schedule(self) -> Schedule:
        if self._budget is not None:
            schedule = self._budget.schedule(self._step)
            return Schedule(self._peak, schedule.hold, schedule.steps)
        assert self._plan.steps is not None
        return Schedule.of_steps(self._peak, self._plan.steps)

    def _make_step(self, schedule: Schedule) -> bool:
        """One optimizer step. Returns False, and changes nothing, if its loss or a gradient is not finite."""
        network, window = self._network, next(self._windows)
        self._n_windows += 1
        network.train()
        loss, losses, state = self._task.loss(window, self._fresh(window))
        network.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self._weights, self._plan.grad_clip)
        if not math.isfinite(loss.item()) or not math.isfinite(norm.item()):
            return False
        if self._step % GOOD_STATE_EVERY == 0:
            self._keep_as_good()
        self._optimizer.step(schedule.rate(self._step) / self._plan.learning_rate)
        self._state = state
        self._step += 1
        self._n_tokens += window.n_tokens
        counted = window.targets != IGNORED
        self._train_loss.add(NatsSum.of(losses.cpu().numpy()[counted], window.targets[counted], self._task.unk_id))
        return True

    def _fresh(self, window: Example) -> State:
        if not self._state:
            return ()
        if len(window.fresh) != self._state[0].shape[1]:
            # A batch of lines at the end of a pool may be smaller.
            self._state = self._task.initial_state(len(window.fresh))
        if window.fresh.any():
            kept = torch.from_numpy(~window.fresh).to(self._state[0].device)
            self._state = tuple(part * kept.view(1, -1, 1) for part in self._state)
        return self._state

    def _stepped(self, schedule: Schedule) -> Stepped:
        return Stepped(
            step=self._step,
            steps=schedule.steps if self._budget is None or self._budget.is_fixed else None,
            train_loss_nats=self._train_loss.smooth.loss,
            known_train_loss_nats=self._train_loss.smooth.known_loss,
            learning_rate=schedule.rate(self._step - 1),
            seconds=self._seconds(),
            n_tokens=self._n_tokens,
        )

    def _validate(self) -> Validated:
        return self._validated(self._task.validate())

    def _validated(self, found: NatsSum) -> Validated:
        better = found.loss < self._best
        weights = self._task.weights() if better else None
        if better:
            self._best, self._kept = found.loss, weights
        self._worse = 0 if better else self._worse + 1
        smooth = self._train_loss.smooth
        return Validated(
            step=self._step,
            train_loss_nats=smooth.loss if smooth.n_tokens else None,
            known_train_loss_nats=smooth.known_loss if smooth.n_tokens else None,
            valid_loss_nats=found.loss,
            known_valid_loss_nats=found.known_loss,
            seconds=self._seconds(),
            n_tokens=self._n_tokens,
            weights=weights,
        )

    def _tensors(self) -> dict[str, torch.Tensor]:
        """What a step changes: the weights and the averages of the optimizers. Not copies."""
        tensors = {f"weights/{name}": weight.data for name, weight in self._network.named_parameters()}
        return tensors | {f"optimizer/{turn}": part for turn, part in enumerate(self._optimizer.tensors())}

    def _counters(self) -> dict[str, Any]:
        return {"step": self._step, "n_tokens": self._n_tokens, "smooth": self._train_loss.smooth.numbers()}

    def _copy(self) -> RunState:
        """The state to go back to when a loss is not finite."""
        return RunState(self._counters(), {name: part.copy() for name, part in to_arrays(self._tensors()).items()})

    def _keep_as_good(self) -> None:
        """Make the present state, which has just given a finite loss, the one to go back to."""
        for name, part in to_arrays(self._tensors()).items():
            np.copyto(self._good.arrays[name], part)
        self._good = RunState(self._counters(), self._good.arrays)

    def _set(self, state: RunState) -> None:
        copy_into(self._tensors(), state.arrays)
        self._step, self._n_tokens = state.count("step"), state.count("n_tokens")
        self._train_loss = RunningLoss(NatsSum(*state.several("smooth", 4)))

    def _go_back(self) -> Diverged:
        """Go back, and go on with half the learning rate. Raises TrainingError after too many attempts."""
        at = self._step + 1
        self._retries += 1
        if self._retries > MOST_RETRIES:
            raise DivergenceError(
                f"the loss is not finite at step {at}, after {MOST_RETRIES} new starts with half "
                f"the learning rate each: try --lr {self._peak / 4:.2g} or a smaller --grad-clip"
            )
        self._set(self._good)
        self._peak /= 2
        self._state = self._task.initial_state(self._plan.batch_size)
        self._begin_windows()
        return Diverged(at, self._step, self._peak)

    def _run_state(self) -> RunState:
        """All that `_go_to` needs, at the top of the loop: what is done there is done again after it."""
        numbers = {
            **self._counters(),
            "seconds": self._seconds(),
            "peak": self._peak,
            "retries": self._retries,
            "n_windows": self._n_windows,
            "best": None if self._kept is None else self._best,
            "worse": self._worse,
            "budget": self._budget and self._budget.state(),
            "good": self._good.numbers,
        }
        state = {str(turn): part for turn, part in enumerate(self._state)}
        arrays = {
            **named("now", to_arrays(self._tensors())),
            **named("good", self._good.arrays),
            **named("best", self._kept or {}),
            **named("state", to_arrays(state)),
            **named("random", random_states(self._device)),
        }
        return RunState(numbers, arrays)

    def _go_to(self, start: RunState) -> None:
        self._good = start.part("good")
        self._set(self._good)  # for its checks
        self._set(RunState(start.numbers, under("now", start.arrays)))
        set_random_states(self._device, under("random", start.arrays))
        # Windows that are skipped take time.
        if start.count("n_windows") > self._step:
            raise CheckpointError("the resume file is broken: n_windows is more than its steps")
        self._peak = start.number("peak")
        self._retries, self._worse = start.count("retries"), start.count("worse")
        self._state = checked_state(self._task.initial_state, self._plan.batch_size, under("state", start.arrays))
        if start.numbers.get("best") is not None:
            self._best, self._kept = start.number("best"), best_weights(self._plan.model, start.arrays)
        self._saved_at = time.monotonic()
