"""The softmax in chunks is torch's own, gradients too, and never has all logits."""

from __future__ import annotations

import pytest
import torch
from pairwise import every_pair
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from rnngen.training import softmax
from rnngen.training.bptt import IGNORED
from rnngen.training.softmax import softmax_loss, target_logprobs

V, H = 1100, 24
TOLERANCE = {torch.float32: 2e-6, torch.bfloat16: 1e-2}
CHUNKS = {f"{rows} rows a chunk": rows for rows in (1, 7, 64)}


@pytest.fixture(params=CHUNKS.values(), ids=CHUNKS.keys())
def _rows_a_chunk(request, monkeypatch):
    monkeypatch.setattr(softmax, "LOGITS_AT_A_TIME", request.param * V + 5)


def operands(N: int) -> tuple[torch.Tensor, ...]:
    """x, weight and bias; the logits are about 1, as the larger they are the more of them bfloat16 rounds away."""
    generator = torch.Generator().manual_seed(N)
    parts = [torch.randn(*shape, generator=generator) for shape in ((N, H), (V, H), (V,))]
    return tuple((part / H**0.5 if part.dim() > 1 else part).requires_grad_() for part in parts)


def targets_of(N: int, ignored: slice = slice(0)) -> torch.Tensor:
    targets = torch.randint(V, (N,), generator=torch.Generator().manual_seed(N))
    targets[ignored] = IGNORED
    return targets


def plain_loss(x, weight, bias, targets, reduction="mean"):
    return functional.cross_entropy(x @ weight.t() + bias, targets, ignore_index=IGNORED, reduction=reduction)


ROWS = {
    "one row": (1, slice(0)),
    "whole chunks": (64, slice(0)),
    "a rest": (65, slice(0)),
    "every third ignored": (40, slice(None, None, 3)),
    "all but the first": (40, slice(1, None)),
    "all but the last": (40, slice(39)),
}


@pytest.mark.parametrize(
    ("_rows_a_chunk", "low", "rows"),
    every_pair(CHUNKS, {str(low): low for low in TOLERANCE}, ROWS),
    indirect=["_rows_a_chunk"],
)
@pytest.mark.usefixtures("_rows_a_chunk")
def test_loss_and_gradients_are_those_of_torch_in_float64(low, rows):
    N, ignored = rows
    targets = targets_of(N, ignored)
    found, wanted = operands(N), operands(N)
    exact = [part.detach().double().requires_grad_() for part in wanted]
    (loss, losses), exact_loss = softmax_loss(*found, targets, low), plain_loss(*exact, targets)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(exact_loss.item(), rel=TOLERANCE[low])
    exact_losses = plain_loss(*exact, targets, "none").float()
    torch.testing.assert_close(losses, exact_losses, rtol=TOLERANCE[low], atol=TOLERANCE[low])
    assert not losses[targets == IGNORED].any()
    (3 * loss).backward()
    (3 * exact_loss).backward()
    for part, twin in zip(found, exact, strict=True):
        assert part.grad.dtype == torch.float32
        assert (part.grad - twin.grad).norm() < TOLERANCE[low] * twin.grad.norm()


def test_the_gradient_of_a_row_that_is_ignored_is_zero():
    found = operands(9)
    softmax_loss(*found, targets_of(9, slice(4, 6)), torch.float32)[0].backward()
    assert (found[0].grad.abs().sum(1) == 0).tolist() == [False] * 4 + [True] * 2 + [False] * 3


def test_without_a_target_that_counts_the_loss_is_not_a_number_and_the_gradients_are_zero():
    found = operands(5)
    loss, _ = softmax_loss(*found, targets_of(5, slice(None)), torch.bfloat16)
    loss.backward()
    assert loss.isnan()
    assert not any(part.grad.any() for part in found)


def test_logits_of_a_thousand_overflow_nothing():
    x, weight, bias = operands(6)
    wanted = plain_loss(10_000 * x, weight, bias, targets_of(6))
    found, _ = softmax_loss(10_000 * x, weight, bias, targets_of(6), torch.float32)
    assert found.item() > 500
    assert found.item() == pytest.approx(wanted.item())


@pytest.mark.usefixtures("_rows_a_chunk")
@pytest.mark.parametrize("N", [1, 64, 65])
def test_log_probabilities_of_targets_are_those_of_torch(N):
    x, weight, bias = operands(N)
    wanted = functional.log_softmax(x @ weight.t() + bias, -1)[torch.arange(N), targets_of(N)]
    found = target_logprobs(x.detach(), weight, bias, targets_of(N))
    torch.testing.assert_close(found, wanted.detach(), atol=1e-5, rtol=1e-5)


class LargestArray(TorchDispatchMode):
    """Notes the most numbers that a result of an operation has."""

    numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for part in result if isinstance(result, tuple | list) else [result]:
            if isinstance(part, torch.Tensor):
                self.numbers = max(self.numbers, part.numel())
        return result


@pytest.mark.parametrize("low", TOLERANCE, ids=str)
def test_no_array_of_all_logits_is_made(monkeypatch, low):
    monkeypatch.setattr(softmax, "LOGITS_AT_A_TIME", 1 << 16)
    N, found = 400, operands(400)
    with LargestArray() as largest:
        plain_loss(*found, targets_of(N)).backward()
    assert largest.numbers == N * V
    with LargestArray() as largest:
        softmax_loss(*found, targets_of(N), low)[0].backward()
        target_logprobs(found[0].detach(), *found[1:], targets_of(N))
    assert V * H < largest.numbers <= 1 << 16
