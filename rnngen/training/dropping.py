"""What training drops so that a model does not learn its text by heart: the same for all steps of a window."""

from __future__ import annotations

import torch
from torch import Tensor


def drop_units(outputs: Tensor, p: float) -> Tensor:
    """Outputs of a layer without a share p of the units (Gal and Ghahramani 2016; Merity et al. 2018): [T, B, H]."""
    if p == 0:
        return outputs
    mask = torch.empty_like(outputs[0]).bernoulli_(1 - p).div_(1 - p)
    return outputs * mask


def drop_weights(weight: Tensor, p: float) -> Tensor:
    """Recurrent weights without a share p of them, to the next 256th (Merity et al. 2018): [G*H, H].

    A weight is kept where a random byte says so: torch's own masks take one draw a weight, a tenth of a step.
    """
    dropped = min(255, round(256 * p))
    if dropped == 0:
        return weight
    words = torch.empty(-(-weight.numel() // 8), dtype=torch.int64, device=weight.device).random_(-(1 << 63), None)
    numbers = words.view(torch.uint8)[: weight.numel()].view_as(weight)
    mask = torch.ge(numbers, dropped, out=torch.empty_like(weight))
    return weight * mask.mul_(256 / (256 - dropped))
