"""The softmax over a large vocabulary and its cross-entropy, a few rows of logits at a time, on a CPU.

For a window of 2,048 tokens and a vocabulary of 100,000, all logits take 819 MB. The plain way holds them, their
logarithms, their gradient and its rounded copy at once. Here the gradients are computed together with the loss, while
the logits of a chunk exist, and the next chunk uses the same memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from rnngen.training.bptt import IGNORED
from rnngen.training.products import add_sum_of_products, product

# With fewer at a time, adding up the gradient of the weights, once a chunk, takes most of the time. More do not fit
# into the cache. A loss of 2,048 x 100,000, 256 units: 1.8 s with 2^22, 1.3 with 2^23, 1.6 with 2^25.
LOGITS_AT_A_TIME = 1 << 23

Rows = slice | Any  # some rows: a slice, or an array of their numbers
Add = Callable[[Rows, Tensor], None]  # adds constants to the logits of these rows


def cross_entropy(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The mean cross-entropy in nats over the targets that count; as `softmax_loss`, of logits that all exist.

    Args:
        logits: [T, B, V].
        targets: [T, B], int64; IGNORED where nothing is to be predicted.

    Returns:
        The mean, [], NaN where none counts; and that of each, [T, B], without gradients, 0 where it does not count.
    """
    flat = targets.flatten()
    logprobs = functional.log_softmax(logits.flatten(0, 1), -1)
    losses = functional.nll_loss(logprobs.detach(), flat, ignore_index=IGNORED, reduction="none")
    return functional.nll_loss(logprobs, flat, ignore_index=IGNORED), losses.view_as(targets)


def softmax_loss(
    x: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, low: torch.dtype, add: Add | None = None
) -> tuple[Tensor, Tensor]:
    """The mean cross-entropy in nats of softmax(x W^T + b) over the targets that count; NaN where none does.

    Args:
        x: [N, H].
        weight: [V, H].
        bias: [V].
        targets: [N], int64; IGNORED where nothing is to be predicted.
        low: type of the operands of the products, forward and backward.
        add: is called with some rows of x and their logits, which it may change.

    Returns:
        The mean cross-entropy, [], float32, whose gradients can be asked for once; and that of each target, [N],
        float32, without gradients, 0 where it does not count.
    """
    counted = targets != IGNORED
    if counted.all():
        return _SoftmaxLoss.apply(x, weight, bias, targets, low, add)  # type: ignore[no-untyped-call, no-any-return]
    places = counted.nonzero()[:, 0].numpy()
    some = add and (lambda rows, logits: add(places[rows], logits))
    loss, losses = _SoftmaxLoss.apply(x[counted], weight, bias, targets[counted], low, some)  # type: ignore[no-untyped-call]
    return loss, losses.new_zeros(len(targets)).masked_scatter_(counted, losses)


@torch.no_grad()
def target_logprobs(x: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, add: Add | None = None) -> Tensor:
    """log softmax(x W^T + b)[target] in float32, without gradients: [N, H], [V, H], [V] and [N] -> [N]."""
    multiply = product(weight)
    found = torch.empty(len(x))
    logits = _room(x, weight)
    for part in _chunks(x, weight):
        chunk = torch.add(multiply(x[part]), bias, out=logits[: len(x[part])])
        if add is not None:
            add(part, chunk)
        found[part] = functional.cross_entropy(chunk, targets[part], reduction="none").neg_()
    return found


class _SoftmaxLoss(torch.autograd.Function):
    """[N, H], [V, H], [V] and [N] -> [] and [N]; the gradient of a row's logits is its softmax less 1 at the target."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, low: torch.dtype, add: Any) -> Any:
        d_x, d_weight, d_bias = torch.empty_like(x), torch.zeros_like(weight), torch.zeros_like(bias)
        losses = x.new_empty(len(x), 1)
        x, weight = x.to(low), weight.detach().to(low)
        multiply, back = product(weight), product(weight.t().contiguous())
        room = _room(x, weight)
        low_room = room if low == room.dtype else torch.empty_like(room, dtype=low)
        for part in _chunks(x, weight):
            rows, target = x[part], targets[part, None]
            logits = torch.add(multiply(rows), bias, out=room[: len(rows)])
            if add is not None:
                add(part, logits)
            torch.log_softmax(logits, -1, out=logits)
            torch.neg(logits.gather(1, target), out=losses[part])
            d_logits = logits.exp_().scatter_add_(1, target, losses.new_full(target.shape, -1.0))
            d_bias += d_logits.sum(0)
            d_low = d_logits if low_room is room else low_room[: len(rows)].copy_(d_logits)
            d_x[part] = back(d_low)
            add_sum_of_products(d_weight, d_low, rows)
        ctx.gradients = d_x, d_weight, d_bias
        losses = losses.flatten()
        ctx.mark_non_differentiable(losses)
        return losses.mean(), losses

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        # Scaled in place: a copy would be another array of the weights' size.
        gradients, ctx.gradients = ctx.gradients, None
        scale = grads[0] / max(1, len(gradients[0]))
        return *(gradient.mul_(scale) for gradient in gradients), None, None, None


def _rows(weight: Tensor) -> int:
    return max(1, LOGITS_AT_A_TIME // len(weight))


def _room(x: Tensor, weight: Tensor) -> Tensor:
    return torch.empty(min(len(x), _rows(weight)), len(weight))


def _chunks(x: Tensor, weight: Tensor) -> Iterator[slice]:
    rows = _rows(weight)
    return (slice(start, start + rows) for start in range(0, len(x), rows))
