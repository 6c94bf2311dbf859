"""Finding a checkpoint by path, name, environment or age, and making it ready to run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rnngen.cli.little_memory import take_blas_memory
from rnngen.cli.output import Console
from rnngen.config import Device
from rnngen.errors import CheckpointError

if TYPE_CHECKING:
    from rnngen.checkpoint import Checkpoint
    from rnngen.engine.model import LanguageModel

FOLDER = Path("checkpoints")
SUFFIX = ".safetensors"
RESUME_SUFFIX = ".resume.safetensors"


@dataclass(frozen=True)
class Loaded:
    """A checkpoint that is ready to run."""

    path: Path
    checkpoint: Checkpoint
    model: LanguageModel


def path_of(name: str) -> Path:
    """A checkpoint's path, with its suffix: as it is with a folder or suffix in it, else a name in ./checkpoints."""
    if name.endswith(("/", os.sep)):
        return Path(name)
    path = Path(name if name.endswith(SUFFIX) else name + SUFFIX)
    return path if name.endswith(SUFFIX) or path.parent != Path() or os.sep in name else FOLDER / path


def resume_path(checkpoint: Path) -> Path:
    """The resume file of the run that makes a checkpoint."""
    return checkpoint.with_name(checkpoint.name.removesuffix(SUFFIX) + RESUME_SUFFIX)


def find_resume(name: str) -> tuple[Path, Path]:
    """A checkpoint's path and its resume file, whichever of the two is named. Raises CheckpointError."""
    if name.endswith(RESUME_SUFFIX):
        name = name.removesuffix(RESUME_SUFFIX) + SUFFIX
    places = [path_of(name), FOLDER / path_of(name).name]
    path = next((place for place in places if resume_path(place).exists()), places[0])
    if not resume_path(path).exists():
        ended = path.exists()
        raise CheckpointError(
            f"there is no interrupted run {resume_path(path)}: "
            + (f"the run of {path} has ended; --init-from {path} trains a new model from it" if ended
               else "name the checkpoint that it was to write")
        )  # fmt: skip
    return path, resume_path(path)


def find(name: str | None, console: Console) -> Path:
    """The checkpoint that is asked for, else $RNNGEN_MODEL, else the newest. Raises CheckpointError."""
    wanted = name or os.environ.get("RNNGEN_MODEL")
    if wanted:
        places = [path_of(wanted), FOLDER / path_of(wanted).name, Path(wanted)]
        path = next((place for place in places if place.exists()), places[0])
    else:
        try:
            found = [path for path in FOLDER.glob(f"*{SUFFIX}") if not path.name.endswith(RESUME_SUFFIX)]
            path = max(found, key=lambda path: path.stat().st_mtime_ns)
        except (ValueError, OSError):
            raise CheckpointError(
                f"there is no checkpoint in ./{FOLDER}: train one with rnngen train TEXT, or name one with --model"
            ) from None
    console.note(f"model: {path}")
    return path


def load(name: str | None, device: Device, console: Console) -> Loaded:
    """Find, read and make ready. On a CPU torch is not imported."""
    from rnngen import checkpoint as checkpoints

    path = find(name, console)
    take_blas_memory()
    checkpoint = checkpoints.load(path)
    if device == "cpu":
        from rnngen.engine.model import Engine

        return Loaded(path, checkpoint, Engine(checkpoint.config, checkpoint.weights))
    from rnngen.training.network import load_torch_model

    return Loaded(path, checkpoint, load_torch_model(checkpoint.config, checkpoint.weights, device))
