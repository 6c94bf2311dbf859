"""The state of a run as arrays and numbers: the training loop yields it, and goes on from it.

Nothing here writes a file (`runs/resume_file.py` does). What is read may be untrusted, so all of it is checked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rnngen.checkpoint import Weights, check_others, other_dtypes
from rnngen.config import ModelConfig
from rnngen.errors import CheckpointError

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class RunState:
    """Everything that decides how a run goes on.

    Attributes:
        numbers: counts, sums and the time budget's; ready for JSON.
        arrays: weights, the averages of the optimizers, the recurrent state, the best weights so far, random states.
            Those in the memory of the processor are views of the arrays that the run works with.
    """

    numbers: dict[str, Any]
    arrays: Arrays

    def count(self, name: str) -> int:
        """A whole number, 0 or more."""
        value = self.numbers.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 53:
            raise _broken(name, value)
        return value

    def number(self, name: str) -> float:
        """A number, 0 or more, and finite."""
        value = self.numbers.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < math.inf:
            raise _broken(name, value)
        return float(value)

    def several(self, name: str, count: int) -> list[float]:
        """As many numbers."""
        value = self.numbers.get(name)
        if not isinstance(value, list) or len(value) != count:
            raise _broken(name, value)
        return [RunState({name: part}, {}).number(name) for part in value]

    def part(self, name: str) -> RunState:
        """A part of this state, by its name."""
        numbers = self.numbers.get(name)
        if not isinstance(numbers, dict):
            raise _broken(name, numbers)
        return RunState(numbers, under(name, self.arrays))


def under(name: str, arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
    """The arrays `name/...`, by what follows."""
    return {key.removeprefix(name + "/"): array for key, array in arrays.items() if key.startswith(name + "/")}


def named(name: str, arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
    """The inverse of `under`."""
    return {f"{name}/{key}": array for key, array in arrays.items()}


def to_arrays(tensors: Mapping[str, Tensor]) -> dict[str, npt.NDArray[Any]]:
    """Tensors as arrays; those on the processor are not copied."""
    return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}


def copy_into(tensors: Mapping[str, Tensor], arrays: Arrays) -> None:
    """Write saved values into the tensors of a run. Raises CheckpointError if one is missing or does not fit."""
    for name in sorted(set(tensors) ^ set(arrays)):
        which = "missing" if name in tensors else "no part of such a run"
        raise CheckpointError(f"the resume file is broken: {name} is {which}")
    for name, tensor in tensors.items():
        expected, found = (tuple(tensor.shape), _dtype_name(tensor)), (arrays[name].shape, arrays[name].dtype.name)
        if expected != found:
            raise CheckpointError(f"the resume file is broken: {name} is {found}, its run needs {expected}")
    with torch.no_grad():
        for name, tensor in tensors.items():
            tensor.copy_(torch.from_numpy(np.array(arrays[name])))


def are_finite(*tensors: Tensor) -> bool:
    """Whether the numbers are finite: otherwise the next step will go back."""
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors)


def best_weights(model: ModelConfig, arrays: Arrays) -> Weights:
    """The arrays `best/...`, which must be the weights of the model and its counts. Raises CheckpointError."""
    best = under("best", arrays)
    others = other_dtypes(model)
    found = {name: (array.shape, array.dtype.name) for name, array in best.items() if name not in others}
    if {name: best[name].dtype.name for name in others if name in best} != others or found != {
        name: (shape, "float32") for name, shape in model.weight_shapes().items()
    }:
        raise CheckpointError("the resume file is broken: its best weights are not those of its model")
    try:
        check_others(model, best)
    except CheckpointError as error:
        raise CheckpointError(f"the resume file is broken: {error}") from None
    return best


def checked_state(
    initial_state: Callable[[int], tuple[Tensor, ...]], batch_size: int, arrays: Arrays
) -> tuple[Tensor, ...]:
    """The recurrent state of a run: that of a whole batch, or of the smaller one that lines may end with."""
    rows = {array.shape[1] for array in arrays.values() if array.ndim > 1}
    n_rows = rows.pop() if len(rows) == 1 else 0
    state = initial_state(n_rows if 0 < n_rows <= batch_size else batch_size)
    copy_into({str(turn): part for turn, part in enumerate(state)}, arrays)
    return state


def _dtype_name(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def random_states(device: torch.device) -> dict[str, npt.NDArray[Any]]:
    """The states of torch's generators that a run on this device draws from."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return to_arrays(states)


def set_random_states(device: torch.device, states: Arrays) -> None:
    """Let torch's generators go on from `random_states`."""
    now = random_states(device)
    if {name: (state.shape, state.dtype) for name, state in now.items()} != {
        name: (state.shape, state.dtype) for name, state in states.items()
    }:
        raise CheckpointError("the resume file is broken: its random states are none of torch's")
    try:
        torch.set_rng_state(torch.from_numpy(np.array(states["cpu"])))
        if "cuda" in states:
            torch.cuda.set_rng_state(torch.from_numpy(np.array(states["cuda"])), device)
    except RuntimeError:
        raise CheckpointError("the resume file is broken: its random states are none of torch's") from None


def _broken(name: str, value: object) -> CheckpointError:
    return CheckpointError(f"the resume file is broken: {name} is {value!r:.40}")
