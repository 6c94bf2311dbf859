"""Writing a file so that at every moment the old one or the new one is whole."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from rnngen.errors import OutputError


def check_writable(path: Path, *, force: bool, remedy: str = "add --force, or name another file") -> None:
    """Refuse, before any work is done, a file that could not be written when the work is done. Raises OutputError."""
    try:
        if path.is_dir():
            raise OutputError(f"{path} is a folder: name a file")
        if path.exists() and not force:
            raise OutputError(f"{path} exists already and is not overwritten: {remedy}")
        folder = next(folder for folder in (path.parent, *path.parent.parents) if folder.exists())
        # In a folder that is still to be made there will be room for what its parent has room for.
        probe = _temporary(folder / path.name)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}; name another place") from None


def write_atomically(path: Path, data: bytes, *, replace: bool = True) -> None:
    """Write `data` beside `path`, flush it to the disk, and move it into place.

    Args:
        replace: False refuses a file that has come to `path` since `check_writable`.

    Raises:
        OutputError: what was at `path` before is then still there.
    """
    if not replace and path.exists():
        raise OutputError(f"{path} was made by another program meanwhile and is not overwritten: add --force")
    temporary = _temporary(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}; free some space or name another place") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


def _sync_folder(folder: Path) -> None:
    # A rename is on the disk only when its folder is; where folders cannot be opened, the system does without.
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
