"""The recurrent layers as autograd functions with a backward pass through time written by hand.

torch.nn.GRU and RNN on a CPU go through autograd once an operation and a time step. Here a layer is one node of the
graph: the loop keeps only what must be in it, every array has its place before the loop starts, and the gradient of the
recurrent weights is one product over all B x T rows. The values are those of torch.nn (`tests/training` holds them
together); with `low` = bfloat16 only the operands of the recurrent products are rounded.

Arrays are time-major. `gates` is the input's share of the gates with all biases that can be added before the loop.

The hyperbolic tangent is taken as tanh(a) = 2 sigmoid(2 a) - 1: torch's vectorised sigmoid takes a third of the time of
its tanh, and 1e-7 of absolute error is that of float32 itself.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rnngen.config import Cell, Nonlinearity

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input


def run_layer(
    cell: Cell,
    nonlinearity: Nonlinearity,
    gates: Tensor,
    state: tuple[Tensor, ...],
    w_hh: Tensor,
    b_n: Tensor | None,
    low: torch.dtype,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run one layer over a window.

    Args:
        gates: [T, B, G*H].
        state: h, and for lstm c, each [B, H]; no gradient flows into it (truncated backpropagation).
        w_hh: [G*H, H].
        b_n: [H], the bias inside the reset gate's product; gru only.
        low: the type of the operands of the recurrent products.

    Returns:
        The outputs [T, B, H], and the state after the window, detached.
    """
    if cell == "gru":
        outputs, h = _GRU.apply(gates, state[0], w_hh, b_n, low)  # type: ignore[no-untyped-call]
        return outputs, (h,)
    if cell == "lstm":
        outputs, h, c = _LSTM.apply(gates, state[0], state[1], w_hh, low)  # type: ignore[no-untyped-call]
        return outputs, (h, c)
    outputs, h = _RNN.apply(gates, state[0], w_hh, nonlinearity == "relu", low)  # type: ignore[no-untyped-call]
    return outputs, (h,)


def _tanh_(a: Tensor) -> Tensor:
    return a.mul_(2).sigmoid_().mul_(2).sub_(1)


def _states(T: int, h0: Tensor, low: torch.dtype) -> tuple[Tensor, Tensor]:
    """Room for h before and after every step, [T + 1, B, H], and the same in `low` (one array if that is float32)."""
    hs = h0.new_empty(T + 1, *h0.shape)
    hs[0] = h0
    if low == hs.dtype:
        return hs, hs
    lows = torch.empty_like(hs, dtype=low)
    lows[0] = h0
    return hs, lows


def _weight_gradient(d_products: Tensor, h_low: Tensor) -> Tensor:
    """Sum over all steps and rows of d_product x h: [T, B, G*H], [T, B, H] -> [G*H, H]."""
    return torch.mm(d_products.flatten(0, 1).t(), h_low.flatten(0, 1)).float()


class _GRU(torch.autograd.Function):
    """r, z = sigmoid(gates + W h); n = tanh(gates_n + r * (W_n h + b_n)); h' = n + z (h - n)."""

    @staticmethod
    def forward(ctx: Any, gates: Tensor, h0: Tensor, w_hh: Tensor, b_n: Tensor, low: torch.dtype) -> Any:
        T, B, _ = gates.shape
        H = h0.shape[1]
        w = w_hh.detach().to(low)
        w_t = w.t()
        hs, lows = _states(T, h0, low)
        rz = gates.new_empty(T, B, 2 * H)
        inner = gates.new_empty(T, B, H)  # W_n h + b_n
        n = gates.new_empty(T, B, H)
        product = torch.empty(B, 3 * H, dtype=low)
        product_rz, product_n = product[:, : 2 * H], product[:, 2 * H :]
        for t in range(T):
            torch.mm(lows[t], w_t, out=product)
            torch.add(gates[t, :, : 2 * H], product_rz, out=rz[t]).sigmoid_()
            torch.add(b_n, product_n, out=inner[t])
            _tanh_(torch.addcmul(gates[t, :, 2 * H :], rz[t, :, :H], inner[t], out=n[t]))
            torch.lerp(n[t], hs[t], rz[t, :, H:], out=hs[t + 1])
            if lows is not hs:
                lows[t + 1] = hs[t + 1]
        last = hs[T].clone()
        ctx.save_for_backward(w, hs, lows, rz, inner, n)
        ctx.mark_non_differentiable(last)
        return hs[1:], last

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        grad_out = grads[0]
        w, hs, lows, rz, inner, n = ctx.saved_tensors
        T, B, H = n.shape
        d_gates = n.new_empty(T, B, 3 * H)
        d_product = torch.empty(T, B, 3 * H, dtype=w.dtype)
        dh = n.new_zeros(B, H)
        a, b = n.new_empty(B, H), n.new_empty(B, H)
        through = torch.empty(B, H, dtype=w.dtype)
        for t in range(T - 1, -1, -1):
            r, z = rz[t, :, :H], rz[t, :, H:]
            d_r, d_z, d_n = d_gates[t, :, :H], d_gates[t, :, H : 2 * H], d_gates[t, :, 2 * H :]
            dh += grad_out[t]
            torch.sub(hs[t], n[t], out=a).mul_(dh)
            _sigmoid_backward(a, z, grad_input=d_z)
            torch.addcmul(dh, dh, z, value=-1, out=a)
            _tanh_backward(a, n[t], grad_input=d_n)
            torch.mul(d_n, inner[t], out=b)
            _sigmoid_backward(b, r, grad_input=d_r)
            d_product[t, :, : 2 * H] = d_gates[t, :, : 2 * H]
            d_product[t, :, 2 * H :] = torch.mul(d_n, r, out=b)
            dh.mul_(z).add_(torch.mm(d_product[t], w, out=through))
        d_w = _weight_gradient(d_product, lows[:T])
        d_b = d_product[:, :, 2 * H :].sum(dim=(0, 1), dtype=torch.float32)
        return d_gates, None, d_w, d_b, None


class _LSTM(torch.autograd.Function):
    """i, f, o = sigmoid(gates + W h); g = tanh(gates + W h); c' = f c + i g; h' = o tanh(c')."""

    @staticmethod
    def forward(ctx: Any, gates: Tensor, h0: Tensor, c0: Tensor, w_hh: Tensor, low: torch.dtype) -> Any:
        T, B, _ = gates.shape
        H = h0.shape[1]
        w = w_hh.detach().to(low)
        w_t = w.t()
        hs, lows = _states(T, h0, low)
        cs, _ = _states(T, c0, c0.dtype)
        ifgo = gates.new_empty(T, B, 4 * H)
        tanh_c = gates.new_empty(T, B, H)
        product = torch.empty(B, 4 * H, dtype=low)
        for t in range(T):
            torch.mm(lows[t], w_t, out=product)
            step = torch.add(gates[t], product, out=ifgo[t])
            i, f, g, o = step.split(H, dim=1)
            g.mul_(2)
            step.sigmoid_()
            g.mul_(2).sub_(1)
            torch.mul(cs[t], f, out=cs[t + 1]).addcmul_(i, g)
            tanh_c[t] = cs[t + 1]
            torch.mul(_tanh_(tanh_c[t]), o, out=hs[t + 1])
            if lows is not hs:
                lows[t + 1] = hs[t + 1]
        h_last, c_last = hs[T].clone(), cs[T].clone()
        ctx.save_for_backward(w, lows, cs, ifgo, tanh_c)
        ctx.mark_non_differentiable(h_last, c_last)
        return hs[1:], h_last, c_last

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        grad_out = grads[0]
        w, lows, cs, ifgo, tanh_c = ctx.saved_tensors
        T, B, H = tanh_c.shape
        d_gates = tanh_c.new_empty(T, B, 4 * H)
        d_product = d_gates if w.dtype == d_gates.dtype else torch.empty_like(d_gates, dtype=w.dtype)
        dh, dc, a = (tanh_c.new_zeros(B, H) for _ in range(3))
        through = torch.empty(B, H, dtype=w.dtype)
        for t in range(T - 1, -1, -1):
            i, f, g, o = ifgo[t].split(H, dim=1)
            d_i, d_f, d_g, d_o = d_gates[t].split(H, dim=1)
            dh += grad_out[t]
            torch.mul(dh, tanh_c[t], out=a)
            _sigmoid_backward(a, o, grad_input=d_o)
            dh.mul_(o)
            dc += _tanh_backward(dh, tanh_c[t], grad_input=a)
            torch.mul(dc, g, out=a)
            _sigmoid_backward(a, i, grad_input=d_i)
            torch.mul(dc, cs[t], out=a)
            _sigmoid_backward(a, f, grad_input=d_f)
            torch.mul(dc, i, out=a)
            _tanh_backward(a, g, grad_input=d_g)
            dc.mul_(f)
            if d_product is not d_gates:
                d_product[t] = d_gates[t]
            dh.copy_(torch.mm(d_product[t], w, out=through))
        return d_gates, None, None, _weight_gradient(d_product, lows[:T]), None


class _RNN(torch.autograd.Function):
    """h' = tanh(gates + W h), or relu."""

    @staticmethod
    def forward(ctx: Any, gates: Tensor, h0: Tensor, w_hh: Tensor, relu: bool, low: torch.dtype) -> Any:
        T, B, H = gates.shape
        w = w_hh.detach().to(low)
        w_t = w.t()
        hs, lows = _states(T, h0, low)
        product = torch.empty(B, H, dtype=low)
        for t in range(T):
            torch.mm(lows[t], w_t, out=product)
            step = torch.add(gates[t], product, out=hs[t + 1])
            if relu:
                step.relu_()
            else:
                _tanh_(step)
            if lows is not hs:
                lows[t + 1] = hs[t + 1]
        last = hs[T].clone()
        ctx.save_for_backward(w, hs, lows)
        ctx.relu = relu
        ctx.mark_non_differentiable(last)
        return hs[1:], last

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        grad_out = grads[0]
        w, hs, lows = ctx.saved_tensors
        T, B, H = grad_out.shape
        d_gates = hs.new_empty(T, B, H)
        d_product = d_gates if w.dtype == d_gates.dtype else torch.empty_like(d_gates, dtype=w.dtype)
        dh = hs.new_zeros(B, H)
        through = torch.empty(B, H, dtype=w.dtype)
        for t in range(T - 1, -1, -1):
            dh += grad_out[t]
            if ctx.relu:
                torch.mul(dh, hs[t + 1] > 0, out=d_gates[t])
            else:
                _tanh_backward(dh, hs[t + 1], grad_input=d_gates[t])
            if d_product is not d_gates:
                d_product[t] = d_gates[t]
            dh.copy_(torch.mm(d_product[t], w, out=through))
        return d_gates, None, _weight_gradient(d_product, lows[:T]), None, None
