"""A linear layer whose products have rounded operands, forward and backward."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rnngen.training.products import product, sum_of_products


class _LowLinear(torch.autograd.Function):
    """x W^T + b with rounded operands in the products, forward and backward, and a float32 result, block by block.

    [N, I], [blocks * O, I], [blocks * O] -> [blocks, N, O].
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, blocks: int, low: torch.dtype) -> Any:
        x, weight = x.to(low), weight.detach().to(low)
        ctx.save_for_backward(x, weight)
        rows = product(weight)(x).view(len(x), blocks, -1).transpose(0, 1)
        # Memory of its own, not a view: a recurrent layer writes into it.
        return torch.add(rows, bias.view(blocks, 1, -1), out=torch.empty(rows.shape, device=x.device))

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        x, weight = ctx.saved_tensors
        grad = grads[0]  # [blocks, N, O]
        rows = grad.to(weight.dtype).transpose(0, 1).reshape(len(x), -1)
        d_x = product(weight.t().contiguous())(rows).float()
        return d_x, sum_of_products(rows, x), grad.sum(1).flatten(), None, None


def in_blocks(x: Tensor, weight: Tensor, bias: Tensor, blocks: int, low: torch.dtype) -> Tensor:
    """x W^T + b, block by block of W's rows: [T, B, I] -> [blocks, T, B, O]."""
    rows: Tensor = _LowLinear.apply(x.flatten(0, 1), weight, bias, blocks, low)  # type: ignore[no-untyped-call]
    return rows.view(blocks, *x.shape[:2], -1)
