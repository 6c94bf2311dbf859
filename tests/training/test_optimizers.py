"""The optimizers are those of torch.optim, which is slow to import."""

from __future__ import annotations

import subprocess
import sys
from typing import get_args

import pytest
import torch

from rnngen import config
from rnngen.training.optimizers import Optimizer


@pytest.mark.parametrize("name", get_args(config.Optimizer))
def test_weight_decay_shrinks_matrices_and_leaves_biases(name):
    layer = torch.nn.Linear(3, 2)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.bias.fill_(1.0)
    optimizer = Optimizer(name, layer.parameters(), 0.1, weight_decay=0.5)
    for parameter in layer.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert (layer.weight < 1).all()
    assert (layer.bias == 1).all()


@pytest.mark.parametrize("name", get_args(config.Optimizer))
def test_every_optimizer_goes_downhill(name):
    place = torch.nn.Parameter(torch.tensor([[3.0, -2.0]]))
    holder = torch.nn.Module()
    holder.place = place
    optimizer = Optimizer(name, holder.parameters(), 0.05, 0.0)
    for _ in range(100):
        holder.zero_grad()
        place.square().sum().backward()
        optimizer.step()
    assert place.square().sum() < 0.5


def torchs_own(name, layer, lr, weight_decay):
    groups = [{"params": [layer.weight], "weight_decay": weight_decay}, {"params": [layer.bias], "weight_decay": 0.0}]
    match name:
        case "adamw":
            return torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.99))
        case "rmsprop":
            return torch.optim.RMSprop(groups, lr=lr, alpha=0.99)
        case _:
            return torch.optim.SGD(groups, lr=lr, momentum=0.9, nesterov=True)


@pytest.mark.parametrize("name", get_args(config.Optimizer))
def test_the_steps_are_those_of_torch_optim(name):
    torch.manual_seed(0)
    layers = [torch.nn.Linear(5, 3) for _ in range(2)]
    layers[1].load_state_dict(layers[0].state_dict())
    ours, theirs = Optimizer(name, layers[0].parameters(), 0.02, 0.1), torchs_own(name, layers[1], 0.02, 0.1)
    for share in (0.1, 1.0, 1.0, 0.5, 0.25):
        x = torch.randn(7, 5)
        for layer in layers:
            layer.zero_grad()
            layer(x).pow(2).mean().backward()
        ours.step(share)
        for group in theirs.param_groups:
            group["lr"] = share * 0.02
        theirs.step()
        for found, wanted in zip(layers[0].parameters(), layers[1].parameters(), strict=True):
            torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("name", get_args(config.Optimizer))
def test_a_state_can_be_gone_back_to_twice(name):
    torch.manual_seed(0)
    layer, x = torch.nn.Linear(5, 3), torch.randn(7, 5)
    optimizer = Optimizer(name, layer.parameters(), 0.02, 0.1)

    def step():
        layer.zero_grad()
        layer(x).pow(2).mean().backward()
        optimizer.step()
        return layer.weight.detach().clone()

    step()
    weights = {k: v.clone() for k, v in layer.state_dict().items()}
    gathered = [tensor.clone() for tensor in optimizer.tensors()]
    wanted = [step(), step()]
    for _ in range(2):
        layer.load_state_dict(weights)
        for tensor, before in zip(optimizer.tensors(), gathered, strict=True):
            tensor.copy_(before)
        assert all(torch.equal(step(), weight) for weight in wanted)


def test_training_does_not_load_what_compiles_torch():
    code = """
import sys
import rnngen.training.loop, torch
from rnngen.training.optimizers import Optimizer
layer = torch.nn.Linear(2, 2)
optimizer = Optimizer("adamw", layer.parameters(), 0.1, 0.0)
layer(torch.ones(1, 2)).sum().backward()
torch.nn.utils.clip_grad_norm_(layer.parameters(), 1.0)
optimizer.step()
print("torch._dynamo" in sys.modules)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
