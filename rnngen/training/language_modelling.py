"""To predict each token of a text from those before it: the network beside the counts of the text."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from rnngen.checkpoint import Weights
from rnngen.text.dataset import Dataset
from rnngen.training.bptt import Window, line_windows, text_windows
from rnngen.training.counting import MixFit, count_text, counted, counts_alone
from rnngen.training.losses import NatsSum
from rnngen.training.network import RNNLM, to_weights
from rnngen.training.plan import Plan
from rnngen.training.task import Loss, State
from rnngen.training.torch_model import TorchModel
from rnngen.training.validate import exact_loss, exact_seconds, validation_loss


class LanguageModelling:
    """The task of a language model, a `Task`."""

    def __init__(self, plan: Plan, data: Dataset) -> None:
        self._plan, self._data = plan, data
        self._device = torch.device(plan.device)
        self._counts = count_text(plan, data)
        self._mix_fit = None if self._counts is None else MixFit(data, self._counts)
        low = torch.bfloat16 if plan.precision == "bfloat16" else torch.float32
        self.network = RNNLM(plan.model, low, self._counts).to(self._device)
        # Where no token is unknown, none is looked for.
        self.unk_id = data.tokenizer.unk_id if data.train.n_unknown else None

    def initial_state(self, batch_size: int) -> State:
        return self.network.initial_state(batch_size)

    def windows(self, generator: np.random.Generator, skip: int) -> Iterator[Window]:
        plan, data = self._plan, self._data
        settings = plan.batch_size, plan.bptt, generator, skip, counted(self._counts, plan, data)
        if data.lines:
            return line_windows(data.train.ids, data.tokenizer.newline_id, *settings)
        return text_windows(data.train.ids, *settings)

    def loss(self, window: Window, state: State) -> Loss:
        inputs, targets = (torch.from_numpy(ids).to(self._device) for ids in (window.inputs, window.targets))
        return self.network.loss(inputs, targets, state, window.before, window.own)

    def first_model(self) -> NatsSum | None:
        """The counts, which are worth more than a network that has learnt nothing."""
        if self._counts is None:
            return None
        self.network.mix = (0.0, 1.0)
        return validation_loss(counts_alone(self._counts), self._data)

    def validate(self) -> NatsSum:
        if self._mix_fit is not None:
            self.network.mix = self._mix_fit.weights(self.network)
        return validation_loss(TorchModel(self.network), self._data)

    def weights(self) -> Weights:
        return to_weights(self.network)

    def exact(self, weights: Weights) -> NatsSum:
        return exact_loss(self._plan.model, weights, self._data)

    def exact_seconds(self) -> float:
        return exact_seconds(TorchModel(self.network), self._data)
