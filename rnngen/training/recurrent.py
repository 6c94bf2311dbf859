"""The recurrent layers as autograd functions with a backward pass through time written by hand.

torch.nn.GRU and RNN on a CPU make a node of the autograd graph for each operation of each time step. Here a layer is
one node. The loop does only what depends on the step before, all arrays exist before it starts, and the gradient of the
recurrent weights is one product over all B x T rows. The values equal torch.nn's (`tests/training` compares them). With
`low` = bfloat16 only the operands of the recurrent products are rounded.

Arrays are time-major. `gates` is the input's share of the gates, with all biases that can be added before the loop, in
the order [G, T, B, H]. So the arrays of a step are blocks without gaps. In [T, B, G*H] each elementwise operation takes
twice as long, and these are as much work as the products.

The hyperbolic tangent is computed as tanh(a) = 2 sigmoid(2 a) - 1: torch's vectorised sigmoid takes a third of the time
of its tanh. The absolute error of 1e-7 is that of float32 itself.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rnngen.config import Cell, Nonlinearity
from rnngen.training.products import product, sum_of_products

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
        gates: [G, T, B, H]; overwritten, with the gates' values and then, on the way back, with their gradients. With
            arrays of their own these three would not fit into a cache, and a step took an eighth longer. What made
            them must not need them for its own gradient.
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
    """Empty arrays for h before and after every step, [T + 1, B, H], in float32 and in `low` (the same if equal)."""
    hs = h0.new_empty(T + 1, *h0.shape)
    hs[0] = h0
    if low == hs.dtype:
        return hs, hs
    lows = torch.empty_like(hs, dtype=low)
    lows[0] = h0
    return hs, lows


class _Gates:
    """h W^T, gate by gate in float32: [B, H] in the type of W -> [G, B, H], in the same memory every time."""

    def __init__(self, w: Tensor, B: int) -> None:
        GH, H = w.shape
        self._product = product(w)
        self._shape = (B, GH // H, H)
        self.gates = torch.empty(GH // H, B, H)

    def __call__(self, h: Tensor) -> Tensor:
        # A sum of mixed types would convert too, and allocate memory for it.
        return self.gates.copy_(self._product(h).view(self._shape).transpose(0, 1))


def _by_columns(rows: Tensor, G: int) -> tuple[Tensor, ...]:
    """[T, B, G*H] as T views [G, B, H]."""
    views: tuple[Tensor, ...] = rows.unflatten(2, (G, -1)).transpose(1, 2).unbind(0)
    return views


class _GRU(torch.autograd.Function):
    """r, z = sigmoid(gates + W h); n = tanh(gates_n + r * (W_n h + b_n)); h' = n + z (h - n)."""

    @staticmethod
    def forward(ctx: Any, gates: Tensor, h0: Tensor, w_hh: Tensor, b_n: Tensor, low: torch.dtype) -> Any:
        _, T, B, H = gates.shape
        w = w_hh.detach().to(low)
        recurrent = _Gates(w, B)
        hs, lows = _states(T, h0, low)
        inner = gates.new_empty(T, B, H)  # W_n h + b_n
        a_rz, a_n = recurrent.gates[:2], recurrent.gates[2]
        for h, h_low, rz, r, z, n, inner_t, h_next, low_next in zip(
            hs[:T], lows[:T], gates[:2].unbind(1), *gates, inner, hs[1:], lows[1:], strict=True
        ):
            recurrent(h_low)
            rz.add_(a_rz).sigmoid_()
            torch.add(a_n, b_n, out=inner_t)
            _tanh_(n.addcmul_(r, inner_t))
            torch.lerp(n, h, z, out=h_next)
            if lows is not hs:
                low_next.copy_(h_next)
        last = hs[T].clone()
        ctx.save_for_backward(w, hs, lows, gates, inner)
        ctx.mark_non_differentiable(last)
        return hs[1:], last

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        w, hs, lows, gates, inner = ctx.saved_tensors
        T, B, H = inner.shape
        d_product = torch.empty(T, B, 3 * H, dtype=w.dtype)
        dh, dh_z, a = (hs.new_zeros(B, H) for _ in range(3))
        through = product(w.t().contiguous())
        d_rz, d_inner = _by_columns(d_product[:, :, : 2 * H], 2), d_product[:, :, 2 * H :]
        steps = zip(grads[0], hs[:T], gates[:2].unbind(1), *gates, inner, d_product, d_rz, d_inner, strict=True)
        for grad, h, rz, r, z, n, inner_t, d_product_t, d_rz_t, d_inner_t in reversed(list(steps)):
            dh += grad
            torch.mul(dh, z, out=dh_z)
            torch.sub(h, n, out=a).mul_(dh)
            _sigmoid_backward(a, z, grad_input=z)
            torch.sub(dh, dh_z, out=a)
            _tanh_backward(a, n, grad_input=n)
            d_inner_t.copy_(torch.mul(n, r, out=a))
            torch.mul(n, inner_t, out=a)
            _sigmoid_backward(a, r, grad_input=r)
            d_rz_t.copy_(rz)
            torch.add(dh_z, a.copy_(through(d_product_t)), out=dh)
        d_w = sum_of_products(d_product.flatten(0, 1), lows[:T].flatten(0, 1))
        d_b = d_product[:, :, 2 * H :].sum(dim=(0, 1), dtype=torch.float32)
        return gates, None, d_w, d_b, None


class _LSTM(torch.autograd.Function):
    """i, f, o = sigmoid(gates + W h); g = tanh(gates + W h); c' = f c + i g; h' = o tanh(c')."""

    @staticmethod
    def forward(ctx: Any, gates: Tensor, h0: Tensor, c0: Tensor, w_hh: Tensor, low: torch.dtype) -> Any:
        _, T, B, H = gates.shape
        w = w_hh.detach().to(low)
        recurrent = _Gates(w, B)
        hs, lows = _states(T, h0, low)
        cs, _ = _states(T, c0, c0.dtype)
        tanh_c = gates.new_empty(T, B, H)
        for h_low, c, ifgo, tanh_t, c_next, h_next, low_next in zip(
            lows[:T], cs[:T], gates.unbind(1), tanh_c, cs[1:], hs[1:], lows[1:], strict=True
        ):
            ifgo.add_(recurrent(h_low))
            i, f, g, o = ifgo
            g.mul_(2)
            ifgo.sigmoid_()
            torch.add(_MINUS_ONE, g, alpha=2, out=g)
            torch.mul(c, f, out=c_next).addcmul_(i, g)
            _tanh_(tanh_t.copy_(c_next))
            torch.mul(tanh_t, o, out=h_next)
            if lows is not hs:
                low_next.copy_(h_next)
        h_last, c_last = hs[T].clone(), cs[T].clone()
        ctx.save_for_backward(w, lows, cs, gates, tanh_c)
        ctx.mark_non_differentiable(h_last, c_last)
        return hs[1:], h_last, c_last

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        w, lows, cs, gates, tanh_c = ctx.saved_tensors
        T, B, H = tanh_c.shape
        d_product = torch.empty(T, B, 4 * H, dtype=w.dtype)
        dh, dc, a, b = (tanh_c.new_zeros(B, H) for _ in range(4))
        through = product(w.t().contiguous())
        steps = zip(grads[0], cs[:T], gates.unbind(1), tanh_c, d_product, _by_columns(d_product, 4), strict=True)
        for grad, c, ifgo, tanh_t, d_product_t, d_columns in reversed(list(steps)):
            i, f, g, o = ifgo
            dh += grad
            torch.mul(dh, tanh_t, out=a)
            dh.mul_(o)
            _sigmoid_backward(a, o, grad_input=o)
            dc += _tanh_backward(dh, tanh_t, grad_input=a)
            torch.mul(dc, g, out=a)
            torch.mul(dc, i, out=b)
            _sigmoid_backward(a, i, grad_input=i)
            _tanh_backward(b, g, grad_input=g)
            torch.mul(dc, c, out=a)
            dc.mul_(f)
            _sigmoid_backward(a, f, grad_input=f)
            d_columns.copy_(ifgo)
            dh.copy_(through(d_product_t))
        return gates, None, None, sum_of_products(d_product.flatten(0, 1), lows[:T].flatten(0, 1)), None


class _RNN(torch.autograd.Function):
    """h' = tanh(gates + W h), or relu."""

    @staticmethod
    def forward(ctx: Any, gates: Tensor, h0: Tensor, w_hh: Tensor, relu: bool, low: torch.dtype) -> Any:
        T = gates.shape[1]
        w = w_hh.detach().to(low)
        recurrent = _Gates(w, len(h0))
        hs, lows = _states(T, h0, low)
        for h_low, g, h_next, low_next in zip(lows[:T], gates[0], hs[1:], lows[1:], strict=True):
            torch.add(g, recurrent(h_low)[0], out=h_next)
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
        through = product(w.t().contiguous())
        for t in range(T - 1, -1, -1):
            dh += grad_out[t]
            if ctx.relu:
                torch.mul(dh, hs[t + 1] > 0, out=d_gates[0, t])
            else:
                _tanh_backward(dh, hs[t + 1], grad_input=d_gates[0, t])
            if d_product.dtype != d_gates.dtype:
                d_product[t] = d_gates[0, t]
            dh.copy_(through(d_product[t]))
        return d_gates, None, sum_of_products(d_product.flatten(0, 1), lows[:T].flatten(0, 1)), None, None
