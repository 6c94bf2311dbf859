"""Starting the training of a model with the weights of another."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from rnngen.checkpoint import Weights
from rnngen.training.task import Network

_BY_SYMBOL = ("embedding.weight", "output.weight", "output.bias")  # a row a symbol


@torch.no_grad()
def carry_over(network: Network, weights: Weights, old_ids: npt.NDArray[np.int64]) -> None:
    """Write old weights into a network of the same sizes; the rows of new symbols stay as they are.

    Args:
        old_ids: [V], of each symbol in the old vocabulary; -1 for a new one.
    """
    shared = old_ids >= 0
    for name, parameter in network.named_parameters():
        if name in _BY_SYMBOL:
            parameter[torch.from_numpy(shared)] = torch.from_numpy(weights[name][old_ids[shared]]).to(parameter.device)
        else:
            parameter.copy_(torch.from_numpy(weights[name]))
