"""What the fuzz does with resume files: damage one, load it, and let the run go on for a step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from faults.fuzz_child import MOST_BYTES, limit_memory, refusal
from faults.fuzz_tensors import damaged_file
from rnngen.config import ModelOptions, TokenizerConfig, TrainConfig
from rnngen.errors import CheckpointError, RnngenError, TrainingError
from rnngen.runs import resume_file
from rnngen.text.corpus import FileText
from rnngen.text.dataset import Dataset, prepare
from rnngen.tokenizers.base import Tokenizer
from rnngen.training.events import Resumable, Stepped
from rnngen.training.loop import train
from rnngen.training.plan import make_plan

_TEXT = "anna\nbob\nclaire\ndora\nemil\nfrida\ngustav\nhelena the second\nida\n" * 8
_STEPS = 30
_SAVED_AT = (0, 20)  # before and after the first validation
_RUNS: tuple[dict[str, Any], ...] = (
    {"cell": "gru", "ngram_order": 3, "seconds": 60.0},
    {"cell": "lstm", "num_layers": 2, "level": "word"},
    {"cell": "rnn", "tie_weights": True, "embedding_dim": 8, "optimizer": "rmsprop", "lines": True},
    {"cell": "gru", "optimizer": "sgd", "level": "byte"},
)


def write_resume_files(folder: Path) -> list[Path]:
    """Resume files of short runs that differ."""
    (folder / "text").write_text(_TEXT, "utf-8")
    paths = []
    for number, options in enumerate(_RUNS):
        config, model, wanted = _settings(options)
        data = prepare(FileText([str(folder / "text")]), None, config, None, wanted, folder / "cache")
        plan = replace(make_plan(config, model, data), validate_every=10)
        for event in train(plan, data, save_every=0.0):
            if isinstance(event, Resumable) and event.step in _SAVED_AT:
                paths.append(folder / f"seed{number}-{event.step}.resume.safetensors")
                resume_file.save(
                    paths[-1], resume_file.StoppedRun(plan, data.tokenizer, event.state, {"texts": ["text"]})
                )
                if event.step == max(_SAVED_AT):
                    break
    return paths


def read_resume_file(seed: Path, path: Path, random: Random) -> str:
    """Load and train for one step."""
    path.write_bytes(damaged_file(random, seed.read_bytes()))
    limit_memory(MOST_BYTES)  # beyond what training keeps for its next step, from the files before this one
    try:
        loaded = resume_file.load(path)
        data = _dataset(seed.parent, loaded.tokenizer, loaded.plan.lines)
        for event in train(loaded.plan, data, start=loaded.state):
            if isinstance(event, Stepped):
                break
    except RnngenError as error:
        return refusal(error, (CheckpointError, TrainingError))
    return "loaded"


def _settings(options: dict[str, Any]) -> tuple[TrainConfig, ModelOptions, TokenizerConfig]:
    model = {"hidden_size": 8, "embedding_dim": 6, "ngram_order": 0}
    config: dict[str, Any] = {"batch_size": 3, "bptt": 5, "learning_rate": 0.02, "threads": 1, "precision": "float32"}
    config["steps"], config["seconds"] = (None if "seconds" in options else _STEPS), None
    for name, value in options.items():
        if name != "level":
            (model if name in ModelOptions.__dataclass_fields__ else config)[name] = value
    return TrainConfig(**config), ModelOptions(**model), TokenizerConfig(options.get("level", "char"))  # type: ignore[arg-type]


def _dataset(folder: Path, tokenizer: Tokenizer, lines: bool) -> Dataset:
    config = TrainConfig(lines=lines)
    return prepare(FileText([str(folder / "text")]), None, config, tokenizer, TokenizerConfig(), folder / "cache")
