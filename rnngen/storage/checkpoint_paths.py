"""Where checkpoints are: found by path, name, environment or age; and the resume file beside one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from rnngen.errors import CheckpointError
from rnngen.printable import visible
from rnngen.storage.file_kinds import CHECKPOINT, RESUME, what_it_is

FOLDER = Path("checkpoints")
SUFFIX = ".safetensors"
RESUME_SUFFIX = ".resume.safetensors"
MOST_NAMES = 10  # in a message


def find(name: str | os.PathLike[str] | None = None, say: Callable[[str], object] = lambda text: None) -> Path:
    """The path of the checkpoint that is asked for, else $RNNGEN_MODEL, else the newest in ./checkpoints.

    Raises:
        CheckpointError: there is none.
    """
    wanted = os.fspath(name) if name else os.environ.get("RNNGEN_MODEL")
    if wanted:
        places = [path_of(wanted), FOLDER / path_of(wanted).name, Path(wanted)]
        there = [place for place in places if place.exists()]
        if not there:
            raise CheckpointError(f"there is no checkpoint {places[0]}: {_what_is_there(places[0])}")
        path = there[0]
    elif found := newest_first(FOLDER):
        path = found[0]
    else:
        raise CheckpointError(
            f"there is no checkpoint in ./{FOLDER}: train one with rnngen train TEXT, or name one with --model"
        )
    say(f"model: {path}")
    return path


def newest_first(folder: Path, suffix: str = SUFFIX) -> list[Path]:
    """The checkpoints in a folder, or with RESUME_SUFFIX its resume files; none of a folder that cannot be read."""
    found = {}
    for path in folder.glob(f"*{suffix}"):
        if suffix == RESUME_SUFFIX or not path.name.endswith(RESUME_SUFFIX):
            with contextlib.suppress(OSError):  # it is gone meanwhile, or a link to nothing
                found[path] = path.stat().st_mtime_ns
    return sorted(found, key=lambda path: found[path], reverse=True)


def _what_is_there(path: Path, suffix: str = SUFFIX) -> str:
    """In place of a missing file: the name that may be meant, and what is in its folder, else in ./checkpoints."""
    folder = path.parent if newest_first(path.parent, suffix) else FOLDER
    names = [visible(found.name.removesuffix(suffix)) for found in newest_first(folder, suffix)]
    if not names:
        return "train one with rnngen train TEXT"
    from difflib import get_close_matches

    likely = get_close_matches(visible(path.name.removesuffix(suffix)), names, 1)
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    has = f"the folder {folder} has {', '.join(names[:MOST_NAMES])}{more}"
    return f"did you mean {likely[0]}? T{has[1:]}" if likely else has


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
               else _resumable(resume_path(path)))
        )  # fmt: skip
    return path, resume_path(path)


def _resumable(path: Path) -> str:
    has_any = any(newest_first(folder, RESUME_SUFFIX) for folder in (path.parent, FOLDER))
    return _what_is_there(path, RESUME_SUFFIX) if has_any else "name the checkpoint that it was to write"
