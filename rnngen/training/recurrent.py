"""The recurrent layers as autograd functions with a backward pass through time written by hand.

torch.nn.GRU and RNN on a CPU go through autograd once an operation and a time step. Here a layer is one node of the
graph: the loop keeps only what must be in it, every array has its place before the loop starts, and the gradient of the
recurrent weights is one product over all B x T rows. The values are those of torch.nn (`tests/training` holds them
together); with `low` = bfloat16 only the operands of the recurrent products are rounded.

Arrays are time-major. `gates`, the input's share of the gates with all biases that can be added before the loop, stand
gate by gate: [G, T, B, H]. So the arrays of a step are blocks without gaps: in [T, B, G*H] each of the elementwise
operations, which are as much work as the products, takes twice as long.

The hyperbolic tangent is taken as tanh(a) = 2 sigmoid(2 a) - 1: torch's vectorised sigmoid takes a third of the time of
its tanh, and 1e-7 of absolute error is that of float32 itself.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rnngen.config import Cell, Nonlinearity

_MINUS_ONE = torch.tensor(-1.0)
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
        gates: [G, T, B, H].
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
    torch.sigmoid_(a.mul_(2))
    return torch.add(_MINUS_ONE, a, alpha=2, out=a)


def _states(T: int, h0: Tensor, low: torch.dtype) -> tuple[Tensor, Tensor]:
    """Room for h before and after every step, [T + 1, B, H], and the same in `low` (one array if that is float32)."""
    hs = h0.new_empty(T + 1, *h0.shape)
    hs[0] = h0
    if low == hs.dtype:
        return hs, hs
    lows = torch.empty_like(hs, dtype=low)
    lows[0] = h0
    return hs, lows


class _Product:
    """h W^T, gate by gate in float32: a product [B, G*H] of operands in `low`, and its columns as [G, B, H]."""

    def __init__(self, w: Tensor, B: int) -> None:
        GH, H = w.shape
        self._w_t = w.t()
        self._out = w.new_empty(B, GH)
        self._columns = self._out.view(B, GH // H, H).transpose(0, 1)
        self._wide = torch.empty(GH // H, B, H)

    def __call__(self, h: Tensor) -> Tensor:
        torch.mm(h, self._w_t, out=self._out)
        # A mixed sum would convert too, and into memory of its own.
        return self._wide.copy_(self._columns)


def _by_columns(rows: Tensor, G: int) -> tuple[Tensor, ...]:
    """[T, B, G*H] as T views [G, B, H]."""
    T, B, GH = rows.shape
    return rows.view(T, B, G, GH // G).transpose(1, 2).unbind(0)


def _weight_gradient(d_products: Tensor, h_low: Tensor) -> Tensor:
    """Sum over all steps and rows of d_product x h: [T, B, G*H], [T, B, H] -> [G*H, H]."""
    return torch.mm(d_products.flatten(0, 1).t(), h_low.flatten(0, 1)).float()


class _GRU(torch.autograd.Function):
    """r, z = sigmoid(gates + W h); n = tanh(gates_n + r * (W_n h + b_n)); h' = n + z (h - n)."""

    @staticmethod
    def forward(ctx: Any, gates: Tensor, h0: Tensor, w_hh: Tensor, b_n: Tensor, low: torch.dtype) -> Any:
        _, T, B, H = gates.shape
        w = w_hh.detach().to(low)
        product = _Product(w, B)
        hs, lows = _states(T, h0, low)
        rz = gates.new_empty(2, T, B, H)
        inner = gates.new_empty(T, B, H)  # W_n h + b_n
        n = gates.new_empty(T, B, H)
        for h, h_low, g_rz, g_n, rz_t, inner_t, n_t, h_next, low_next in zip(
            hs[:T], lows[:T], gates[:2].unbind(1), gates[2], rz.unbind(1), inner, n, hs[1:], lows[1:], strict=True
        ):
            a = product(h_low)
            torch.add(g_rz, a[:2], out=rz_t).sigmoid_()
            torch.add(a[2], b_n, out=inner_t)
            _tanh_(torch.addcmul(g_n, rz_t[0], inner_t, out=n_t))
            torch.lerp(n_t, h, rz_t[1], out=h_next)
            if lows is not hs:
                low_next.copy_(h_next)
        last = hs[T].clone()
        ctx.save_for_backward(w, hs, lows, rz, inner, n)
        ctx.mark_non_differentiable(last)
        return hs[1:], last

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        w, hs, lows, rz, inner, n = ctx.saved_tensors
        T, B, H = n.shape
        d_gates = n.new_empty(3, T, B, H)
        d_product = torch.empty(T, B, 3 * H, dtype=w.dtype)
        dh = n.new_zeros(B, H)
        a = n.new_empty(B, H)
        through = torch.empty(B, H, dtype=w.dtype)
        steps = zip(
            grads[0], hs[:T], rz.unbind(1), inner, n, d_gates.unbind(1), d_product, _by_columns(d_product, 3),
            strict=True,
        )  # fmt: skip
        for grad, h, (r, z), inner_t, n_t, d_gates_t, d_product_t, d_columns in reversed(list(steps)):
            d_r, d_z, d_n = d_gates_t
            dh += grad
            torch.sub(h, n_t, out=a).mul_(dh)
            _sigmoid_backward(a, z, grad_input=d_z)
            dh_z = dh * z
            torch.sub(dh, dh_z, out=a)
            _tanh_backward(a, n_t, grad_input=d_n)
            torch.mul(d_n, inner_t, out=a)
            _sigmoid_backward(a, r, grad_input=d_r)
            d_columns[:2].copy_(d_gates_t[:2])
            d_columns[2].copy_(torch.mul(d_n, r, out=a))
            torch.mm(d_product_t, w, out=through)
            dh = dh_z.add_(through)
        d_w = _weight_gradient(d_product, lows[:T])
        d_b = d_product[:, :, 2 * H :].sum(dim=(0, 1), dtype=torch.float32)
        return d_gates, None, d_w, d_b, None


class _LSTM(torch.autograd.Function):
    """i, f, o = sigmoid(gates + W h); g = tanh(gates + W h); c' = f c + i g; h' = o tanh(c')."""

    @staticmethod
    def forward(ctx: Any, gates: Tensor, h0: Tensor, c0: Tensor, w_hh: Tensor, low: torch.dtype) -> Any:
        _, T, B, H = gates.shape
        w = w_hh.detach().to(low)
        product = _Product(w, B)
        hs, lows = _states(T, h0, low)
        cs, _ = _states(T, c0, c0.dtype)
        ifgo = torch.empty_like(gates)
        tanh_c = gates.new_empty(T, B, H)
        for h_low, c, g_t, ifgo_t, tanh_t, c_next, h_next, low_next in zip(
            lows[:T], cs[:T], gates.unbind(1), ifgo.unbind(1), tanh_c, cs[1:], hs[1:], lows[1:], strict=True
        ):
            torch.add(g_t, product(h_low), out=ifgo_t)
            i, f, g, o = ifgo_t
            g.mul_(2)
            ifgo_t.sigmoid_()
            torch.add(_MINUS_ONE, g, alpha=2, out=g)
            torch.mul(c, f, out=c_next).addcmul_(i, g)
            _tanh_(tanh_t.copy_(c_next))
            torch.mul(tanh_t, o, out=h_next)
            if lows is not hs:
                low_next.copy_(h_next)
        h_last, c_last = hs[T].clone(), cs[T].clone()
        ctx.save_for_backward(w, lows, cs, ifgo, tanh_c)
        ctx.mark_non_differentiable(h_last, c_last)
        return hs[1:], h_last, c_last

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        w, lows, cs, ifgo, tanh_c = ctx.saved_tensors
        T, B, H = tanh_c.shape
        d_gates = torch.empty_like(ifgo)
        d_product = torch.empty(T, B, 4 * H, dtype=w.dtype)
        dh, dc, a = (tanh_c.new_zeros(B, H) for _ in range(3))
        through = torch.empty(B, H, dtype=w.dtype)
        steps = zip(
            grads[0], cs[:T], ifgo.unbind(1), tanh_c, d_gates.unbind(1), d_product, _by_columns(d_product, 4),
            strict=True,
        )  # fmt: skip
        for grad, c, (i, f, g, o), tanh_t, d_gates_t, d_product_t, d_columns in reversed(list(steps)):
            d_i, d_f, d_g, d_o = d_gates_t
            dh += grad
            torch.mul(dh, tanh_t, out=a)
            _sigmoid_backward(a, o, grad_input=d_o)
            dh.mul_(o)
            dc += _tanh_backward(dh, tanh_t, grad_input=a)
            torch.mul(dc, g, out=a)
            _sigmoid_backward(a, i, grad_input=d_i)
            torch.mul(dc, c, out=a)
            _sigmoid_backward(a, f, grad_input=d_f)
            torch.mul(dc, i, out=a)
            _tanh_backward(a, g, grad_input=d_g)
            dc.mul_(f)
            d_columns.copy_(d_gates_t)
            dh.copy_(torch.mm(d_product_t, w, out=through))
        return d_gates, None, None, _weight_gradient(d_product, lows[:T]), None


class _RNN(torch.autograd.Function):
    """h' = tanh(gates + W h), or relu."""

    @staticmethod
    def forward(ctx: Any, gates: Tensor, h0: Tensor, w_hh: Tensor, relu: bool, low: torch.dtype) -> Any:
        T = gates.shape[1]
        w = w_hh.detach().to(low)
        product = _Product(w, len(h0))
        hs, lows = _states(T, h0, low)
        for h_low, g, h_next, low_next in zip(lows[:T], gates[0], hs[1:], lows[1:], strict=True):
            torch.add(g, product(h_low)[0], out=h_next)
            if relu:
                h_next.relu_()
            else:
                _tanh_(h_next)
            if lows is not hs:
                low_next.copy_(h_next)
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
        d_gates = hs.new_empty(1, T, B, H)
        d_product = d_gates[0] if w.dtype == d_gates.dtype else torch.empty_like(d_gates[0], dtype=w.dtype)
        dh = hs.new_zeros(B, H)
        through = torch.empty(B, H, dtype=w.dtype)
        for t in range(T - 1, -1, -1):
            dh += grad_out[t]
            if ctx.relu:
                torch.mul(dh, hs[t + 1] > 0, out=d_gates[0, t])
            else:
                _tanh_backward(dh, hs[t + 1], grad_input=d_gates[0, t])
            if d_product.dtype != d_gates.dtype:
                d_product[t] = d_gates[0, t]
            dh.copy_(torch.mm(d_product[t], w, out=through))
        return d_gates, None, _weight_gradient(d_product, lows[:T]), None, None
