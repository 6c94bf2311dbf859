"""What a run leaves on the disk: the best model so far, and beside it the file that a stopped run goes on from."""

from __future__ import annotations

import contextlib
import math
import os
import secrets
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnngen import checkpoint
from rnngen.checkpoint import Checkpoint
from rnngen.errors import CheckpointError, OutputError
from rnngen.runs.history import MEASURED, VALID, History, is_measurement
from rnngen.runs.request import Request
from rnngen.runs.training_record import training_record
from rnngen.text.dataset import Dataset

if TYPE_CHECKING:
    from rnngen.training.events import Diverged, Finished, Resumable, Stepped, Validated
    from rnngen.training.plan import Plan
    from rnngen.training.run_state import RunState


class Keeper:
    """Keeps the best model of a run and its resume file.

    Attributes:
        best: the validation with the lowest loss; None before the first.
        finished: the end of the run; None before it.
        run_id: tells this run from any other, also after it was stopped and goes on.
        resumable_step: where the resume file on the disk goes on; None without one.
        is_saved: the checkpoint on the disk is one of this run.
    """

    def __init__(self, request: Request, dataset: Dataset, plan: Plan) -> None:
        self.request, self.dataset, self.plan = request, dataset, plan
        self.best: Validated | None = None
        self.finished: Finished | None = None
        self.run_id = secrets.token_hex(8)
        self.resumable_step: int | None = None
        self.is_saved = False
        self._history = History(plan.validate_every)

    @classmethod
    def of_stopped_run(
        cls, request: Request, dataset: Dataset, plan: Plan, record: dict[str, Any], state: RunState
    ) -> Keeper:
        """The keeper of a run that goes on.

        Args:
            record, state: what `save_resume` wrote.

        Raises:
            CheckpointError: the record has another form.
        """
        from rnngen.training.events import Validated
        from rnngen.training.run_state import under

        keeper = cls(request, dataset, plan)
        match record:
            case {"run": str(run_id), "history": list(records), "best": None | dict() as best} if all(
                map(is_measurement, records)
            ):
                keeper.run_id, keeper._history = run_id, History(plan.validate_every, records)
            case _:
                raise CheckpointError("the resume file is broken: its run record has another form")
        if best is not None:
            losses = [best.get(name) for name in VALID]
            if not is_measurement(best) or not isinstance(losses[0], float) or not isinstance(losses[1], float | None):
                raise CheckpointError("the resume file is broken: its best model has no loss")
            weights = under("best", state.arrays)
            keeper.best = Validated(**{name: best[name] for name in (*MEASURED, *VALID)}, weights=weights)
        keeper.resumable_step = state.count("step")
        keeper.is_saved = keeper._has_written_output()
        return keeper

    def _has_written_output(self) -> bool:
        with contextlib.suppress(CheckpointError):
            return checkpoint.load(self.request.output).training.get("run") == self.run_id
        return False

    def add_step(self, event: Stepped) -> None:
        """Take in a training loss."""
        self._history.add_step(event)

    def add_validation(self, event: Validated) -> OutputError | None:
        """Take in a validation, and save its weights if they are the best.

        Returns:
            Why they could not be written. The run goes on: they are written again with the next ones, and at the end.
        """
        self._history.add_validation(event)
        if event.weights is None:
            return None
        self.best = event
        try:
            self.save()
        except OutputError as error:
            return error
        return None

    def add_divergence(self, event: Diverged) -> None:
        """Forget the losses of the steps that the run went back over."""
        self._history.forget_after(event.back_to)

    def save_resume(self, event: Resumable) -> OutputError | None:
        """Write the resume file.

        Returns:
            Why it could not be written; the run goes on.
        """
        from rnngen.runs.resume_file import StoppedRun, save

        best = self.best and {name: getattr(self.best, name) for name in (*MEASURED, *VALID)}
        record = {
            "run": self.run_id,
            "torch_version": version("torch"),
            "job": self.request.to_dict(),
            "text_sha256": self.dataset.survey.sha256,
            "valid_sha256": self.dataset.valid_sha256,
            "history": self._history.records,
            "best": best,
        }
        try:
            save(self.request.resume_path, StoppedRun(self.plan, self.dataset.tokenizer, event.state, record))
        except OutputError as error:
            return error
        self.resumable_step = event.step
        return None

    def save(self) -> None:
        """Write the best model with all that is known now. Raises OutputError."""
        checkpoint.save(self._checkpoint(), self.request.output, replace=self.is_saved or self.request.force)
        self.is_saved = True

    def save_at_the_end(self) -> None:
        """Write the best model, elsewhere if it must be; remove the resume file of a run that has ended.

        Raises:
            OutputError: the model is not in its place; the message says where it is.
        """
        ended = self.finished is not None and self.finished.reason != "stopped"
        try:
            self.save()
        except OutputError as error:
            elsewhere = Path(tempfile.gettempdir()) / f"{self.request.output.stem}-{secrets.token_hex(4)}.safetensors"
            try:
                checkpoint.save(self._checkpoint(), elsewhere, replace=False)
            except OutputError:
                raise error from None
            if ended and self._save_in_place_of_resume():
                elsewhere.unlink()
                return
            raise OutputError(f"{error}; the model is in {elsewhere}") from None
        if ended:
            self.forget_resume()

    def _save_in_place_of_resume(self) -> bool:
        """Whether there is room for the model once the resume file, which is needed no more, is gone."""
        self.forget_resume()
        with contextlib.suppress(OutputError):
            self.save()
            return True
        return False

    def forget_resume(self) -> None:
        """Remove the resume file."""
        with contextlib.suppress(OSError):
            os.unlink(self.request.resume_path)
        self.resumable_step = None

    def has_finite_loss(self) -> bool:
        """Whether there is a model that is of any use."""
        exact = self.finished.valid if self.finished else None
        return self.best is not None and (exact is None or math.isfinite(exact.loss))

    def training(self) -> dict[str, Any]:
        """How the best model was made."""
        assert self.best is not None
        return training_record(
            run_id=self.run_id, request=self.request, dataset=self.dataset, plan=self.plan, best=self.best,
            finished=self.finished,
        )  # fmt: skip

    def _checkpoint(self) -> Checkpoint:
        assert self.best is not None
        weights = self.best.weights or {}
        return Checkpoint(self.plan.model, self.dataset.tokenizer, weights, self.training(), self._history.records)
