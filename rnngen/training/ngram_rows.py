"""The rows of logits of n-grams in training: a sparse parameter, and Adagrad on the rows that a window has met."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rnngen.config import ModelConfig
from rnngen.engine.ngrams import Contexts

EPSILON = 1e-10


class NGrams(nn.Module):
    """For every place the sum of the rows of its contexts. The rows start at zero: a network without them."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self._history = config.ngram_history
        self._contexts = Contexts(config)
        self.weight = nn.Parameter(torch.zeros(sum(config.ngram_rows), config.vocab_size))

    def initial_history(self, batch_size: int) -> Tensor:
        """[N - 1, B], int64: before any text there were ids of 0."""
        return torch.zeros(self._history, batch_size, dtype=torch.int64, device=self.weight.device)

    def forward(self, ids: Tensor, history: Tensor) -> tuple[Tensor, Tensor]:
        """[T, B] and [N - 1, B] -> logits [T, B, V] and the history after the window."""
        known = torch.cat([history, ids])
        rows = torch.stack(self._contexts.rows_of_window(known), -1)  # [T, B, orders]
        logits = functional.embedding_bag(rows.flatten(0, 1), self.weight, mode="sum", sparse=True)
        return logits.view(*ids.shape, -1), known[len(ids) :]


class RowAdagrad:
    """Adagrad (Duchi et al. 2011) on the rows that a sparse gradient names, with one sum of squares for a whole row.

    A row's first step has the length of the learning rate, and the n-th about 1 / sqrt(n) of it: a rare context is
    learnt in few looks, and a frequent one comes to rest. A sum for each logit (Adagrad proper, Adam) would make the
    steps of the tokens that did not follow as long as that of the one that did. CONTRIBUTING.md, "Defaults", has both.
    """

    def __init__(self, weight: nn.Parameter, learning_rate: float) -> None:
        self._weight = weight
        self._lr = learning_rate
        self._sums = weight.new_zeros(len(weight), 1)

    @torch.no_grad()
    def step(self, share: float = 1.0) -> None:
        """One step down the gradient, at this share of the peak learning rate."""
        weight, gradient = self._weight, self._weight.grad
        assert gradient is not None
        rows, places = _unique(gradient._indices()[0])
        values = gradient._values()
        total = values.new_zeros(len(rows), values.shape[1]).index_add_(0, places, values)
        self._sums.index_add_(0, rows, total.square().sum(dim=1, keepdim=True))
        length = self._sums.index_select(0, rows).sqrt_().add_(EPSILON)
        weight.index_add_(0, rows, total.div_(length), alpha=-share * self._lr)

    def tensors(self) -> list[Tensor]:
        """What has been gathered, as it stands: to be copied, and written into to go back."""
        return [self._sums]


def _unique(rows: Tensor) -> tuple[Tensor, Tensor]:
    if rows.device.type != "cpu":
        unique, places = rows.unique(return_inverse=True)
        return unique, places
    # Of 6,000 rows numpy finds them in a third of torch's time.
    found, inverse = np.unique(rows.numpy(), return_inverse=True)
    return torch.from_numpy(found), torch.from_numpy(inverse)
