"""The resume file: everything that a stopped run needs to go on. It lies beside the checkpoint until the run ends.

Nothing in it is pickled or evaluated. The settings in it are checked like the options of the command line.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnngen import checkpoint
from rnngen.checks import check_whole
from rnngen.config import ModelConfig, TrainConfig
from rnngen.errors import CheckpointError, ConfigError
from rnngen.shapes import MIX
from rnngen.storage import tensor_file
from rnngen.storage.tensor_file import TensorFile
from rnngen.tokenizers.base import Tokenizer

if TYPE_CHECKING:
    from rnngen.training.plan import Plan
    from rnngen.training.run_state import RunState

KIND = "rnngen-resume"
VERSION = 3


@dataclass(frozen=True)
class StoppedRun:
    """A run that can go on.

    Attributes:
        plan: its settings.
        state: where the training loop stands.
        record: what `rnngen.runs.keeper` needs beside them; ready for JSON.
    """

    plan: Plan
    tokenizer: Tokenizer
    state: RunState
    record: dict[str, Any]


@dataclass(frozen=True)
class StoppedAt:
    """Which run a resume file continues, and where.

    Attributes:
        step: the last one that was made.
        steps: of the whole run; None for a budget of time.
        job: what `Request.to_dict` gave.
    """

    run_id: str
    step: int
    steps: int | None
    job: dict[str, Any]


def save(path: Path, run: StoppedRun) -> None:
    """Write the file whole or not at all. Raises OutputError."""
    description, arrays = checkpoint.tokenizer_parts(run.tokenizer)
    records = {
        "plan": {**vars(run.plan), "model": run.plan.model.to_dict()},
        "tokenizer": description,
        "numbers": run.state.numbers,
        "run": run.record,
    }
    tensor_file.write(path, KIND, VERSION, records, {**arrays, **run.state.arrays})


def load(path: Path) -> StoppedRun:
    """Read and check a file that `save` wrote. Raises CheckpointError with the reason."""
    remedy = "a run that has ended leaves none; go on from a checkpoint with rnngen train TEXT --init-from CHECKPOINT"
    with tensor_file.open_tensor_file(path, KIND, VERSION, "resume file", remedy) as file:
        try:
            plan = _plan(file.record("plan"))
        except ConfigError as error:
            raise file.broken(str(error)) from None
        state = _state(file, plan.model)
        tokenizer = checkpoint.read_tokenizer(file, plan.model)
        record = file.record("run")
        if not isinstance(record, dict):
            raise file.broken("its run record has another form")
    return StoppedRun(plan, tokenizer, state, record)


def stopped_at(path: Path) -> StoppedAt | None:
    """Where a run was stopped, without reading its weights and without torch; None where `path` is no resume file."""
    try:
        with tensor_file.open_tensor_file(path, KIND, VERSION, "resume file") as file:
            records = file.record("run"), file.record("numbers"), file.record("plan")
    except CheckpointError:
        return None
    match records:
        case {"run": str(run_id), "job": dict(job)}, {"step": int(step)}, {"steps": None | int() as steps}:
            return StoppedAt(run_id, step, steps, job)
    return None


def _state(file: TensorFile, model: ModelConfig) -> RunState:
    """The state of the run. Its weights must have the model's shapes, so the network is no larger than the file."""
    from rnngen.training.run_state import RunState

    numbers = file.record("numbers")
    if not isinstance(numbers, dict):
        raise file.broken("its numbers have another form")
    has_best = numbers.get("best") is not None
    wanted: dict[str, tuple[int, ...]] = {}
    for name, shape in model.weight_shapes().items():
        if name != MIX:
            wanted[f"now/weights/{name}"] = wanted[f"good/weights/{name}"] = shape
        if has_best:
            wanted[f"best/{name}"] = shape
    others = checkpoint.other_dtypes(model) if has_best else {}
    dtypes = {f"best/{name}": dtype for name, dtype in others.items()}
    for name in (*wanted, *dtypes):
        if name not in file.names:
            raise file.broken(f"it lacks {name}")
    arrays = {}
    for name in sorted(file.names - checkpoint.TOKENIZER_ARRAYS):
        usual = "uint8" if name.startswith("random/") else "float32"
        arrays[name] = file.array(name, wanted.get(name), dtypes.get(name, usual))
    return RunState(numbers, arrays)


def _plan(values: object) -> Plan:
    """A plan from parsed JSON, with every value checked like an option of the command line. Raises ConfigError."""
    from rnngen.training.plan import Plan

    if not isinstance(values, dict) or set(values) != {field.name for field in fields(Plan)}:
        raise ConfigError("its plan has another form")
    settings = {name: values[name] for name in _fields_in_common()}
    checked = TrainConfig(**settings)
    model = ModelConfig.from_dict(values["model"])
    every, slower = values["validate_every"], values["slower"]
    ngrams = {name: values[name] for name in ("ngram_bytes", "ngram_tokens")}
    open_still = [name for name in ("batch_size", "bptt", "learning_rate", "weight_decay", "threads")
                  if settings[name] is None]  # fmt: skip
    if open_still or checked.precision == "auto" or not isinstance(checked.lines, bool):
        raise ConfigError("its plan leaves something open")
    if (checked.seconds is None) == (checked.steps is None):
        raise ConfigError("its plan has no budget of seconds or steps")
    if not isinstance(every, int) or isinstance(every, bool) or not 1 <= every < 1 << 53:
        raise ConfigError("its plan has no valid number of steps between validations")
    for name, value in ngrams.items():
        check_whole(name, value, 1)
    if not isinstance(slower, list) or not all(isinstance(reason, str) for reason in slower):
        raise ConfigError("its plan has reasons that are not strings")
    return Plan(model=model, validate_every=every, slower=tuple(slower), **ngrams, **settings)


def _fields_in_common() -> set[str]:
    """The names of the settings that a plan takes over from a TrainConfig."""
    from rnngen.training.plan import Plan

    return {field.name for field in fields(Plan)} & {field.name for field in fields(TrainConfig)}
