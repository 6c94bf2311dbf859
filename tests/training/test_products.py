"""Packed products are products, with or without oneDNN's help."""

from __future__ import annotations

import pytest
import torch

from rnngen.training import products
from rnngen.training.products import product, sum_of_products

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 1e-2}


@pytest.fixture(params=[True, False], ids=["packed", "not packed"])
def _packing(request, monkeypatch):
    if not request.param:
        monkeypatch.setattr(products, "_can_pack", lambda dtype: False)


def relative_error(found, wanted):
    return (found.double() - wanted).norm() / wanted.norm()


@pytest.mark.usefixtures("_packing")
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize(("N", "inner", "outer"), [(1, 1, 1), (32, 512, 1536), (3, 509, 7), (1, 17, 129)])
def test_a_product_is_x_times_the_transposed_weight(dtype, N, inner, outer):
    torch.manual_seed(0)
    x, weight = torch.randn(N, inner).to(dtype), torch.randn(outer, inner).to(dtype)
    multiply = product(weight)
    for rows in (x, -x):
        found = multiply(rows)
        assert (found.dtype, found.shape) == (dtype, (N, outer))
        assert relative_error(found, rows.double() @ weight.double().t()) < TOLERANCE[dtype]


@pytest.mark.usefixtures("_packing")
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize(("N", "outer", "inner"), [(1, 1, 1), (64, 96, 32), (7, 3, 509)])
def test_the_gradient_of_a_weight_is_a_sum_over_rows(dtype, N, outer, inner):
    torch.manual_seed(0)
    d, x = torch.randn(N, outer).to(dtype), torch.randn(N, inner).to(dtype)
    found = sum_of_products(d, x)
    assert (found.dtype, found.shape) == (torch.float32, (outer, inner))
    assert relative_error(found, d.double().t() @ x.double()) < TOLERANCE[dtype]


def test_without_the_operations_of_onednn_products_are_torchs_own(monkeypatch):
    class Nothing:
        def __getattr__(self, name):
            raise AttributeError(name)

    monkeypatch.setattr(torch.ops, "mkldnn", Nothing())
    products._can_pack.cache_clear()
    try:
        assert not products._can_pack(torch.float32)
        x = torch.randn(2, 3)
        torch.testing.assert_close(product(torch.eye(3))(x), x)
    finally:
        products._can_pack.cache_clear()
