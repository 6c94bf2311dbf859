"""How a model was made, as its checkpoint keeps it for `rnngen info`."""

from __future__ import annotations

import math
from dataclasses import fields
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from rnngen import __version__
from rnngen.config import PSEUDO
from rnngen.engine.scoring import perplexity
from rnngen.runs.repeat import command_line
from rnngen.runs.request import Request
from rnngen.text.dataset import Dataset

if TYPE_CHECKING:
    from rnngen.training.events import Finished, Validated
    from rnngen.training.plan import Plan


def training_record(
    *, run_id: str, request: Request, dataset: Dataset, plan: Plan, best: Validated, finished: Finished | None
) -> dict[str, Any]:
    """Texts, settings and results of a run, ready for JSON.

    Args:
        best: the validation whose weights are kept.
        finished: None while the run goes on.
    """
    settings = {field.name: getattr(plan, field.name) for field in fields(plan) if field.name != "model"}
    settings["slower"] = list(plan.slower)  # as JSON has it
    last = finished or best
    exact = finished.valid if finished else None
    loss = exact.loss if exact else best.valid_loss_nats
    known = exact.known_loss if exact else best.known_valid_loss_nats
    n_valid_tokens = len(dataset.valid.ids)
    bits = loss * n_valid_tokens / dataset.valid_chars / math.log(2)
    pseudo = PSEUDO if plan.model.bidirectional and not plan.model.is_tagger else ""
    return {
        "run": run_id,
        "rnngen_version": __version__,
        "torch_version": version("torch"),
        "texts": list(request.paths),
        "text_sha256": dataset.survey.sha256,
        "n_chars": dataset.survey.n_chars,
        "n_train_tokens": len(dataset.train.ids),
        "n_valid_tokens": n_valid_tokens,
        "n_unknown_train_tokens": dataset.train.n_unknown,
        "n_unknown_valid_tokens": dataset.valid.n_unknown,
        **settings,
        "steps": last.step,
        "best_step": best.step,
        "seconds": round(last.seconds, 3),
        "n_tokens": last.n_tokens,
        "tokens_per_second": round(last.n_tokens / max(last.seconds, 1e-9)),
        "train_loss_nats": best.train_loss_nats,
        "valid_loss_nats": loss,
        "valid_bits_per_char": None if plan.model.bidirectional else bits,
        f"valid_{pseudo}perplexity": perplexity(-loss, 1),
        "known_train_loss_nats": best.known_train_loss_nats,
        "known_valid_loss_nats": known,
        f"known_valid_{pseudo}perplexity": None if known is None else perplexity(-known, 1),
        "stopped_by": finished.reason if finished else None,
        "repeat": _repeat(request, plan, finished),
    }


def _repeat(request: Request, plan: Plan, finished: Finished | None) -> str | None:
    if finished is None or finished.reason not in ("budget", "patience"):
        return None
    return command_line(request, plan, finished.steps)
