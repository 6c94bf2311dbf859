"""What a run leaves behind: the best checkpoint with how it was made, and beside it what a stopped run needs."""

from __future__ import annotations

import contextlib
import math
import os
import secrets
import tempfile
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnngen import __version__, checkpoint
from rnngen.checkpoint import Checkpoint
from rnngen.engine.scoring import perplexity
from rnngen.errors import CheckpointError, OutputError
from rnngen.runs.request import Job
from rnngen.text.dataset import Dataset

if TYPE_CHECKING:
    from rnngen.training.events import Diverged, Finished, Resumable, Stepped, Validated
    from rnngen.training.plan import Plan
    from rnngen.training.run_state import RunState

HISTORY_POINTS_BETWEEN = 8  # training losses that the history keeps between two validations
MOST_HISTORY = 4096


class Record:
    """What is known of the run so far, and the best model.

    Attributes:
        resumable: the last step that a resume file on the disk goes on from; None without one.
    """

    def __init__(self, job: Job, dataset: Dataset, plan: Plan) -> None:
        self.job, self.dataset, self.plan = job, dataset, plan
        self.best: Validated | None = None
        self.finished: Finished | None = None
        self.history: list[dict[str, Any]] = []
        self.saved = False
        self.run_id = secrets.token_hex(8)
        self.resumable: int | None = None

    def go_on(self, kept: dict[str, Any], state: RunState) -> None:
        """Take up what `keep` wrote. Raises CheckpointError."""
        from rnngen.training.events import Validated
        from rnngen.training.run_state import under

        match kept:
            case {"run": str(run_id), "history": list(history), "best": None | dict() as best} if all(
                map(_is_point, history)
            ):
                self.run_id, self.history = run_id, history
            case _:
                raise CheckpointError("the resume file is broken: its run record has another form")
        self.resumable = state.count("step")
        self.saved = self._is_ours()
        if best is not None:
            if not _is_point(best) or not isinstance(best.get("valid_loss_nats"), float):
                raise CheckpointError("the resume file is broken: its best model has no loss")
            weights = under("best", state.arrays)
            self.best = Validated(**{name: best[name] for name in (*_POINT, "valid_loss_nats")}, weights=weights)

    def _is_ours(self) -> bool:
        """Whether the checkpoint that is there is one that this run has written."""
        with contextlib.suppress(CheckpointError):
            return checkpoint.load(self.job.output).training.get("run") == self.run_id
        return False

    def keep(self, event: Resumable, log_position: dict[str, Any] | None) -> OutputError | None:
        """Write the resume file; an error in that is no reason to stop."""
        from rnngen.runs.resume_file import Resume, save

        best = self.best and {name: getattr(self.best, name) for name in (*_POINT, "valid_loss_nats")}
        kept = {
            "run": self.run_id,
            "torch_version": version("torch"),
            "job": self.job.to_dict(),
            "text_sha256": self.dataset.found.sha256,
            "valid_sha256": self.dataset.valid_sha256,
            "history": self.history,
            "best": best,
            "log": log_position,
        }
        try:
            save(self.job.resume_path, Resume(self.plan, self.dataset.tokenizer, event.state, kept))
        except OutputError as error:
            return error
        self.resumable = event.step
        return None

    def stepped(self, event: Stepped) -> None:
        """Keep a training loss now and then."""
        every = max(1, self.plan.validate_every // HISTORY_POINTS_BETWEEN)
        if event.step % every == 0:
            self._remember(entry(event) | {"valid_loss_nats": None})

    def validated(self, event: Validated) -> OutputError | None:
        """Keep the loss, and the weights if they are the best; an error in writing them is for the end of the run."""
        if self.history and self.history[-1]["step"] == event.step:
            self.history.pop()  # what `stepped` kept
        self._remember(entry(event) | {"valid_loss_nats": event.valid_loss_nats})
        if event.weights is not None:
            self.best = event
            try:
                self.save()
            except OutputError as error:
                return error
        return None

    def diverged(self, event: Diverged) -> None:
        """Forget what the run went back behind."""
        self.history = [past for past in self.history if past["step"] <= event.back_to]

    def _remember(self, point: dict[str, Any]) -> None:
        self.history.append(point)
        if len(self.history) > MOST_HISTORY:
            self.history = self.history[::2]

    def save(self) -> None:
        """Write the best model with all that is known now. Raises OutputError."""
        checkpoint.save(self._checkpoint(), self.job.output, replace=self.saved or self.job.force)
        self.saved = True

    def _checkpoint(self) -> Checkpoint:
        assert self.best is not None
        weights = self.best.weights or {}
        return Checkpoint(self.plan.model, self.dataset.tokenizer, weights, self.training(), self.history)

    def save_at_the_end(self) -> None:
        """Write the best model, if need be elsewhere; the resume file of a run that has ended is removed.

        Raises:
            OutputError: the model is not where it was to be; what it says of another place is true.
        """
        ended = self.finished is not None and self.finished.reason != "stopped"
        try:
            self.save()
        except OutputError as error:
            elsewhere = _elsewhere(self.job.output)
            try:
                checkpoint.save(self._checkpoint(), elsewhere, replace=False)
            except OutputError:
                raise error from None
            if ended and self._save_without_resume():
                elsewhere.unlink()
                return
            raise OutputError(f"{error}; the model is in {elsewhere}") from None
        if ended:
            self.forget_resume()

    def _save_without_resume(self) -> bool:
        """Whether there is room for the model where the resume file was, which is needed no more."""
        self.forget_resume()
        with contextlib.suppress(OutputError):
            self.save()
            return True
        return False

    def forget_resume(self) -> None:
        """Remove the resume file."""
        with contextlib.suppress(OSError):
            os.unlink(self.job.resume_path)
        self.resumable = None

    def valid_loss_nats(self) -> float:
        """Nats a token of the validation text under the best model."""
        assert self.best is not None
        exact = self.finished.valid_loss_nats if self.finished else None
        return self.best.valid_loss_nats if exact is None else exact

    def training(self) -> dict[str, Any]:
        """How the model was made, for the checkpoint and `rnngen info`."""
        plan, dataset, best = self.plan, self.dataset, self.best
        assert best is not None
        settings = {field.name: getattr(plan, field.name) for field in fields(plan) if field.name != "model"}
        last = self.finished or best
        loss, n_valid_tokens = self.valid_loss_nats(), len(dataset.valid.ids)
        return {
            "run": self.run_id,
            "rnngen_version": __version__,
            "torch_version": version("torch"),
            "texts": self.job.paths,
            "text_sha256": dataset.found.sha256,
            "n_chars": dataset.found.n_chars,
            "n_train_tokens": len(dataset.train.ids),
            "n_valid_tokens": n_valid_tokens,
            **settings,
            "steps": last.step,
            "best_step": best.step,
            "seconds": round(last.seconds, 3),
            "n_tokens": last.n_tokens,
            "tokens_per_second": round(last.n_tokens / max(last.seconds, 1e-9)),
            "train_loss_nats": best.train_loss_nats,
            "valid_loss_nats": loss,
            "valid_bits_per_char": loss * n_valid_tokens / dataset.valid_chars / math.log(2),
            "valid_perplexity": perplexity(-loss, 1),
            "stopped_by": self.finished.reason if self.finished else None,
            "repeat": self._repeat(),
        }

    def _repeat(self) -> str | None:
        ended = self.finished is not None and self.finished.reason in ("budget", "patience")
        return self.job.repeat(self.plan, self.finished.steps) if self.finished and ended else None


_POINT = ("step", "train_loss_nats", "seconds", "n_tokens")


def _is_point(value: object) -> bool:
    """Whether a resume file's record of a measurement has the form that `entry` gives it."""
    match value:
        case {"step": int(), "train_loss_nats": float(), "seconds": float(), "n_tokens": int()}:
            return True
    return False


def _elsewhere(path: Path) -> Path:
    """A new name in the folder for temporary files."""
    return Path(tempfile.gettempdir()) / f"{path.stem}-{secrets.token_hex(4)}{path.suffix}"


def entry(event: Stepped | Validated) -> dict[str, Any]:
    """What the history and the log keep of an event."""
    return {
        "step": event.step,
        "seconds": round(event.seconds, 3),
        "n_tokens": event.n_tokens,
        "train_loss_nats": event.train_loss_nats,
    }
