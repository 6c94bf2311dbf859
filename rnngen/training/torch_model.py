"""The torch network with numpy arrays in and out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from rnngen.checkpoint import Weights
from rnngen.config import Device, ModelConfig
from rnngen.engine.language_model import State
from rnngen.errors import ConfigError
from rnngen.training.network import RNNLM, check_device, load_network, to_weights

Ids = npt.NDArray[np.integer]


class TorchModel:
    """The network as an `engine.model.LanguageModel`: numpy in, numpy out, no gradients."""

    def __init__(self, network: RNNLM) -> None:
        self._network = network
        self._device = network.output.bias.device

    @property
    def config(self) -> ModelConfig:
        return self._network.config

    def weights(self) -> Weights:
        """A copy of the network's weights."""
        return to_weights(self._network)

    def initial_state(self, batch_size: int) -> State:
        recurrent = tuple(part.cpu().numpy() for part in self._network.initial_state(batch_size))
        counts = self._network.counts
        return recurrent if counts is None else (*recurrent, counts.initial_history(batch_size))

    def forward(self, ids: Ids, state: State) -> tuple[npt.NDArray[np.float32], State]:
        logits, parts = self._run(ids, *self._split(state))
        return logits.transpose(0, 1).cpu().numpy(), self._joined(parts, state, ids)

    def stepper(self, state: State, in_place: bool = False) -> Callable[[Ids], npt.NDArray[np.float32]]:
        parts = state if in_place else tuple(part.copy() for part in state)

        def step(ids: Ids) -> npt.NDArray[np.float32]:
            logits, after = self.forward(ids[:, None], parts)
            for part, new in zip(parts, after, strict=True):
                part[:] = new
            return logits[:, 0]

        return step

    @torch.no_grad()
    def logprobs(self, ids: Ids, targets: Ids, state: State) -> tuple[npt.NDArray[np.float32], State]:
        B, T = ids.shape
        network = self._network.eval()
        # The softmax in chunks has a bound of its own, and brings its weights in order once a window.
        widest = max(1 if network.in_chunks else self.config.vocab_size, 4 * self.config.hidden_size)
        window = max(1, (1 << 22) // (B * widest))
        found = []
        for start in range(0, T, window):
            some = ids[:, start : start + window]
            inputs, wanted = (self._time_major(each) for each in (some, targets[:, start : start + window]))
            parts, before = self._split(state)
            if network.in_chunks:
                logprobs, parts = network.target_logprobs(inputs, wanted, parts, before)
            else:
                logits, parts = network(inputs, parts, before)
                loss = functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="none")
                logprobs = -loss.view_as(wanted)
            found.append(logprobs.t().cpu().numpy())
            state = self._joined(parts, state, some)
        return np.concatenate(found, axis=1), state

    @torch.no_grad()
    def _run(self, ids: Ids, parts: tuple[Tensor, ...], before: Ids | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        self._network.eval()
        logits, after = self._network(self._time_major(ids), parts, before)
        return logits, after

    def _time_major(self, ids: Ids) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(ids.T, np.int64)).to(self._device)

    def _split(self, state: State) -> tuple[tuple[Tensor, ...], Ids | None]:
        """The recurrent state, and the ids before."""
        recurrent, before = (state, None) if self._network.counts is None else (state[:-1], state[-1])
        return tuple(torch.from_numpy(np.ascontiguousarray(part)).to(self._device) for part in recurrent), before

    def _joined(self, parts: tuple[Tensor, ...], state: State, ids: Ids) -> State:
        """The state after some ids [B, T]: the recurrent one, and of the one before them the ids before."""
        recurrent = tuple(part.cpu().numpy() for part in parts)
        if self._network.counts is None:
            return recurrent
        return (*recurrent, np.concatenate([state[-1], ids.T])[ids.shape[1] :])


def load_torch_model(config: ModelConfig, weights: Weights, device: Device) -> TorchModel:
    """The torch network with a checkpoint's weights. Raises ConfigError when the device is not there."""
    check_device(device)
    if not config.has_network:
        raise ConfigError(f"the model is one of counts alone, which need no {device}: leave out --device")
    return TorchModel(load_network(config, weights).to(device))
