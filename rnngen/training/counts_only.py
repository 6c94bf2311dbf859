"""A run that trains no network: its model is the counts of the text alone."""

from __future__ import annotations

import time
from collections.abc import Iterator

from rnngen.text.dataset import Dataset
from rnngen.training.counting import alone_weights, count_text, counts_alone
from rnngen.training.events import Event, Finished, Validated
from rnngen.training.plan import Plan
from rnngen.training.validate import exact_loss, validation_loss


def count_events(plan: Plan, data: Dataset) -> Iterator[Event]:
    """What happens in such a run: it validates once and has finished."""
    start = time.monotonic()
    counts = count_text(plan, data)
    assert counts is not None
    weights, n_tokens = alone_weights(counts), min(len(data.train.ids), plan.ngram_tokens)
    found = validation_loss(counts_alone(counts), data)
    exact = exact_loss(plan.model, weights, data)
    yield Validated(
        step=0,
        train_loss_nats=None,
        known_train_loss_nats=None,
        valid_loss_nats=found.loss,
        known_valid_loss_nats=found.known_loss,
        seconds=time.monotonic() - start,
        n_tokens=n_tokens,
        weights=weights,
    )
    yield Finished(0, 0, "budget", exact, time.monotonic() - start, n_tokens)
