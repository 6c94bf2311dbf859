"""Optimizers. Those of torch.optim load the compiler of torch before the first step, which takes two seconds."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from rnngen.config import Optimizer as Name

BETA1, BETA2 = 0.9, 0.99  # of adamw
ALPHA = 0.99  # of rmsprop
MOMENTUM = 0.9  # of sgd
EPSILON = 1e-8


class Optimizer:
    """AdamW, RMSprop, or gradient descent with Nesterov's momentum, as torch.optim has them.

    Weight decay applies to matrices only, not to biases. That of adamw is decoupled (Loshchilov and Hutter 2019); that
    of the others is a part of the gradient.

    Args:
        learning_rate: at its peak.
    """

    def __init__(
        self, name: Name, parameters: Iterable[nn.Parameter], learning_rate: float, weight_decay: float
    ) -> None:
        self._name = name
        self._lr = learning_rate
        self._groups = [(weights, decay) for weights, decay in _by_decay(list(parameters), weight_decay) if weights]
        self._state = {
            weight: [torch.zeros_like(weight) for _ in range(2 if name == "adamw" else 1)]
            for weights, _ in self._groups
            for weight in weights
        }
        self._steps = torch.zeros(())  # float32, as the fused operation needs it

    @torch.no_grad()
    def step(self, share: float = 1.0) -> None:
        """One step down the gradient, at this share of the peak learning rate."""
        self._steps += 1
        for weights, decay in self._groups:
            known = [weight for weight in weights if weight.grad is not None]
            match self._name:
                case "adamw":
                    self._adamw(known, decay, share * self._lr)
                case "rmsprop":
                    self._rmsprop(known, decay, share * self._lr)
                case "sgd":
                    self._sgd(known, decay, share * self._lr)

    def _adamw(self, weights: list[nn.Parameter], decay: float, lr: float) -> None:
        steps = [self._steps.to(weight.device) for weight in weights]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        tensors: list[Tensor] = list(weights)
        moments = [[self._state[weight][n] for weight in weights] for n in (0, 1)]
        torch._fused_adamw_(
            tensors, gradients, moments[0], moments[1], [], steps, lr=lr, beta1=BETA1, beta2=BETA2,
            weight_decay=decay, eps=EPSILON, amsgrad=False, maximize=False,
        )  # fmt: skip

    def _rmsprop(self, weights: list[nn.Parameter], decay: float, lr: float) -> None:
        for weight in weights:
            gradient = _decayed(weight, decay)
            (square,) = self._state[weight]
            square.mul_(ALPHA).addcmul_(gradient, gradient, value=1 - ALPHA)
            weight.addcdiv_(gradient, square.sqrt().add_(EPSILON), value=-lr)

    def _sgd(self, weights: list[nn.Parameter], decay: float, lr: float) -> None:
        for weight in weights:
            gradient = _decayed(weight, decay)
            (velocity,) = self._state[weight]
            velocity.mul_(MOMENTUM).add_(gradient)
            weight.add_(gradient.add(velocity, alpha=MOMENTUM), alpha=-lr)

    def tensors(self) -> list[Tensor]:
        """The averages that the optimizer keeps. Not copies: write into them to go back."""
        return [self._steps, *(part for parts in self._state.values() for part in parts)]


def _by_decay(weights: list[nn.Parameter], decay: float) -> list[tuple[list[nn.Parameter], float]]:
    return [([w for w in weights if w.dim() > 1], decay), ([w for w in weights if w.dim() <= 1], 0.0)]


def _decayed(weight: nn.Parameter, decay: float) -> Tensor:
    assert weight.grad is not None
    return weight.grad.add(weight, alpha=decay)
