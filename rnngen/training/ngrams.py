"""The rows of logits of n-grams in training: a sparse parameter, and Adam on the rows that a window has met."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rnngen.config import ModelConfig
from rnngen.ngrams import context_rows

BETA = 0.999
EPSILON = 1e-8


class NGrams(nn.Module):
    """For every place the sum of the rows of its contexts. The rows start at zero: a network without them."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self._config = config
        self.weight = nn.Parameter(torch.zeros(sum(config.ngram_rows), config.vocab_size))

    def initial_history(self, batch_size: int) -> Tensor:
        """[N - 1, B], int64: before any text there were ids of 0."""
        return torch.zeros(self._config.ngram_history, batch_size, dtype=torch.int64, device=self.weight.device)

    def forward(self, ids: Tensor, history: Tensor) -> tuple[Tensor, Tensor]:
        """[T, B] and [N - 1, B] -> logits [T, B, V] and the history after the window."""
        known = torch.cat([history, ids])
        rows = torch.stack(context_rows(self._config, known), -1)  # [T, B, orders]
        logits = functional.embedding_bag(rows.flatten(0, 1), self.weight, mode="sum", sparse=True)
        return logits.view(*ids.shape, -1), known[len(ids) :]


class RowAdam(torch.optim.Optimizer):
    """Adam without momentum on the rows that a sparse gradient names; the mean squares of the others wait.

    Source: Kingma and Ba 2015, algorithm 1, with beta1 = 0 (CONTRIBUTING.md, "Defaults", has what momentum does to rows).
    """

    def __init__(self, weight: nn.Parameter, lr: float) -> None:
        super().__init__([weight], {"lr": lr})
        self.state[weight] = {"step": 0, "mean_square": torch.zeros_like(weight)}

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Go one step down the gradient."""
        (group,) = self.param_groups
        (weight,) = group["params"]
        state, gradient = self.state[weight], weight.grad
        rows, places = _unique(gradient._indices()[0])
        values = gradient._values()
        total = values.new_zeros(len(rows), values.shape[1]).index_add_(0, places, values)
        state["step"] += 1
        square = state["mean_square"].index_select(0, rows).mul_(BETA).addcmul_(total, total, value=1 - BETA)
        state["mean_square"].index_copy_(0, rows, square)
        correction = math.sqrt(1 - BETA ** state["step"])
        weight.index_add_(0, rows, total.div_(square.sqrt_().add_(EPSILON)), alpha=-group["lr"] * correction)


def _unique(rows: Tensor) -> tuple[Tensor, Tensor]:
    if rows.device.type != "cpu":
        unique, places = rows.unique(return_inverse=True)
        return unique, places
    # Of 6,000 rows numpy finds them in a third of torch's time.
    found, inverse = np.unique(rows.numpy(), return_inverse=True)
    return torch.from_numpy(found), torch.from_numpy(inverse)
