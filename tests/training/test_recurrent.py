"""The hand-written layers against torch.nn's, forward and backward."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from cells import CELLS
from pairwise import every_pair
from torch import nn

from rnngen.training.recurrent import run_layer

T, B, H = 9, 4, 6
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
LOSSES = {
    "all outputs": lambda outputs, weights: (outputs * weights).sum(),
    "the plain sum": lambda outputs, weights: outputs.sum(),
    "the last output": lambda outputs, weights: (outputs[-1] * weights[-1]).sum(),
}


def torch_layer(cell: str, nonlinearity: str) -> nn.RNNBase:
    """torch.nn's layer of the same kind; with the identity for its input weights, its input is the gates."""
    G = GATES[cell]
    match cell:
        case "rnn":
            layer: nn.RNNBase = nn.RNN(H, H, nonlinearity=nonlinearity)
        case "gru":
            layer = nn.GRU(G * H, H)
        case _:
            layer = nn.LSTM(G * H, H)
    with torch.no_grad():
        layer.weight_ih_l0.copy_(torch.eye(G * H))
        layer.bias_ih_l0.zero_()
        layer.bias_hh_l0.zero_()
        if cell == "gru":
            layer.bias_hh_l0[2 * H :].normal_()
    return layer


class Pair:
    """The same weights, gates and state through both, with the gradients of the same loss."""

    def __init__(self, cell: str, nonlinearity: str = "tanh", low: torch.dtype = torch.float32, T: int = T, loss=None):
        torch.manual_seed(0)
        layer = torch_layer(cell, nonlinearity)
        gates = torch.randn(T, B, GATES[cell] * H)
        state = tuple(torch.randn(B, H) for _ in range(2 if cell == "lstm" else 1))
        weights = torch.randn(T, B, H)
        loss = loss or LOSSES["all outputs"]

        w_hh = layer.weight_hh_l0.detach().clone().requires_grad_()
        b_n = layer.bias_hh_l0.detach()[2 * H :].clone().requires_grad_() if cell == "gru" else None
        mine = gates.clone().requires_grad_()
        by_gate = mine.view(T, B, -1, H).permute(2, 0, 1, 3).contiguous()
        outputs, last = run_layer(cell, nonlinearity, by_gate, state, w_hh, b_n, low)
        loss(outputs, weights).backward()

        theirs = gates.clone().requires_grad_()
        given = tuple(part[None] for part in state)
        wanted, wanted_last = layer(theirs, given if cell == "lstm" else given[0])
        loss(wanted, weights).backward()

        self.last, self.outputs = last, outputs
        self.values = {"outputs": (outputs, wanted), "gates": (mine.grad, theirs.grad)}
        self.values["w_hh"] = (w_hh.grad, layer.weight_hh_l0.grad)
        if b_n is not None:
            self.values["b_n"] = (b_n.grad, layer.bias_hh_l0.grad[2 * H :])
        wanted_last = wanted_last if isinstance(wanted_last, tuple) else (wanted_last,)
        self.values |= {f"state {n}": (a, b[0]) for n, (a, b) in enumerate(zip(last, wanted_last, strict=True))}


@pytest.mark.parametrize(("cell_options", "length", "loss"), every_pair(CELLS, {"one step": 1, "a window": T}, LOSSES))
def test_values_and_gradients_are_those_of_torch_nn(cell_options: dict[str, Any], length, loss):
    pair = Pair(**cell_options, T=length, loss=loss)
    for name, (found, wanted) in pair.values.items():
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=2e-6, msg=lambda text, name=name: f"{name}: {text}")


def test_bfloat16_products_are_torch_nn_within_a_hundredth(cell_options):
    for name, (found, wanted) in Pair(**cell_options, low=torch.bfloat16).values.items():
        # A relu near its kink passes a gradient or none, whatever the rounding.
        kinks = cell_options.get("nonlinearity") == "relu" and name in ("gates", "w_hh")
        assert found.dtype == torch.float32
        assert (found - wanted).norm() < (0.1 if kinks else 0.01) * wanted.norm(), name


def test_a_longer_window_does_not_make_bfloat16_drift_away(cell_options):
    found, wanted = Pair(**cell_options, low=torch.bfloat16, T=200).values["outputs"]
    assert (found[-1] - wanted[-1]).norm() < 0.02 * wanted[-1].norm()


def test_the_state_after_the_window_is_the_last_output_and_carries_no_gradient(cell_options):
    pair = Pair(**cell_options)
    torch.testing.assert_close(pair.last[0], pair.outputs[-1], rtol=0, atol=0)
    assert not any(part.requires_grad for part in pair.last)
    assert pair.outputs.requires_grad
