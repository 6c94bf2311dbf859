"""Where checkpoints are: found by path, name, environment or age; and the resume file beside one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from rnngen.errors import CheckpointError
from rnngen.storage.file_kinds import CHECKPOINT, RESUME, what_it_is

FOLDER = Path("checkpoints")
SUFFIX = ".safetensors"
RESUME_SUFFIX = ".resume.safetensors"


def find(name: str | os.PathLike[str] | None = None, say: Callable[[str], object] = lambda text: None) -> Path:
    """The path of the checkpoint that is asked for, else $RNNGEN_MODEL, else the newest in ./checkpoints.

    Raises:
        CheckpointError: there is none.
    """
    wanted = os.fspath(name) if name else os.environ.get("RNNGEN_MODEL")
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
    say(f"model: {path}")
    return path


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
        if another := what_it_is(path, CHECKPOINT) if ended else what_it_is(name, RESUME):
            raise CheckpointError(another)
        raise CheckpointError(
            f"there is no interrupted run {resume_path(path)}: "
            + (f"the run of {path} has ended; --init-from {path} trains a new model from it" if ended
               else "name the checkpoint that it was to write")
        )  # fmt: skip
    return path, resume_path(path)
