"""Writing a file so that at every moment the old one or the new one is whole.

In a folder that others may write to, nothing here follows a link that they may have put in the place of a file.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path

from rnngen.errors import OutputError

# Windows has no links in the way, and other systems have no text mode.
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_UMASK_TAKES = 0o666  # permissions of a new file before the umask takes its part
_NO_HARD_LINKS = (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK, errno.EXDEV)
_NO_FOLDER_SYNC = (errno.EINVAL, errno.EBADF, errno.EOPNOTSUPP, errno.ENOTSUP)


def check_writable(
    path: Path, *, force: bool, stream: bool = False, remedy: str = "name another file, or add --force"
) -> None:
    """Refuse, before any work is done, a file that could not be written when the work is done. Raises OutputError.

    Args:
        stream: it is for `open_new`: a named pipe or a terminal will do, and needs no `force`.
    """
    try:
        kind = _kind(path)
        if kind is not None:
            if stream and _takes_a_stream(kind):
                return
            _refuse_special(path, kind)
            if not force:
                raise OutputError(f"{path} exists already and is not overwritten: {remedy}")
        folder = next(folder for folder in (path.parent, *path.parent.parents) if folder.exists())
        # In a folder that is still to be made there will be room for what its parent has room for.
        probe = _temporary(folder / path.name)
        os.close(os.open(probe, _NEW_FILE, _UMASK_TAKES))
        probe.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}; name another place") from None


def write_atomically(path: Path, data: bytes | Iterable[bytes | memoryview], *, replace: bool = True) -> None:
    """Write `data` beside `path`, flush it to the disk, and move it into place.

    A link at `path` is replaced, not followed. The new file has the permissions of the umask.

    Args:
        data: whole, or in pieces that are written one after the other.
        replace: False refuses a file that has come to `path` since `check_writable`, in one step with the move where
            the file system has hard links, else right before it.

    Raises:
        OutputError: what was at `path` before is then still there.
    """
    temporary = _temporary(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(temporary, _NEW_FILE, _UMASK_TAKES), "wb") as file:
            for piece in (data,) if isinstance(data, bytes) else data:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            _replace(temporary, path)
        else:
            _place(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}; free some space or name another place") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def open_new(path: Path, *, force: bool) -> io.FileIO:
    """A new file to write to bit by bit, unbuffered. A file or a link at `path` is removed first with `force`.

    A named pipe or a terminal is written to as it is, also through a link, which is what `>(command)` of a shell is.

    Raises:
        OutputError: it exists already and `force` is not given, or it cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = _kind(path)
        if kind is not None and _takes_a_stream(kind):
            return io.FileIO(os.open(path, os.O_WRONLY), "wb")
        if kind is not None:
            _refuse_special(path, kind)
            if not force:
                raise OutputError(f"{path} exists already and is not overwritten: name another file, or add --force")
            path.unlink(missing_ok=True)
        return io.FileIO(os.open(path, _NEW_FILE, _UMASK_TAKES), "wb")
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}; name another place") from None


def remove_leftovers(path: Path) -> None:
    """Remove the temporary files that killed writers of `path` left beside it; what cannot be removed stays."""
    left = re.compile(re.escape(f".{path.name}.") + r"[0-9a-f]{8,16}\.tmp")
    with contextlib.suppress(OSError):
        for name in os.listdir(path.parent):
            if left.fullmatch(name):
                with contextlib.suppress(OSError):
                    path.with_name(name).unlink()


def _kind(path: Path) -> int | None:
    """The mode of what is at `path`, through links; of a link that leads nowhere its own; None if there is nothing."""
    for look in (os.stat, os.lstat):
        with contextlib.suppress(FileNotFoundError):
            return look(path).st_mode
    return None


def _takes_a_stream(kind: int) -> bool:
    return stat.S_ISFIFO(kind) or stat.S_ISCHR(kind)


def _refuse_special(path: Path, kind: int) -> None:
    """Of what is in the place of a file, a file or a link may be replaced. Raises OutputError."""
    if stat.S_ISDIR(kind):
        raise OutputError(f"{path} is a folder: name a file")
    # /dev/stdout is a link to a file when that is where the output goes; without the link no program had one.
    if not (stat.S_ISREG(kind) or stat.S_ISLNK(kind)) or _is_standard_stream(path):
        raise OutputError(f"{path} is a device, a named pipe or a socket, and no file: name a file")


def _is_standard_stream(path: Path) -> bool:
    return path.is_symlink() and os.readlink(path).startswith("/proc/")


def _replace(temporary: Path, path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        kind = os.lstat(path).st_mode
        if not stat.S_ISDIR(kind):  # which the system refuses, and names it so
            _refuse_special(path, kind)
    os.replace(temporary, path)


def _place(temporary: Path, path: Path) -> None:
    """Move a file to where there is none. Raises OutputError."""
    came = OutputError(f"{path} was made by another program meanwhile and is not overwritten: move it away")
    try:
        # Unlike a rename a hard link is refused where something is already.
        os.link(temporary, path, follow_symlinks=False)
    except FileExistsError:
        raise came from None
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        if os.path.lexists(path):
            raise came from None
        os.replace(temporary, path)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")


def _sync_folder(folder: Path) -> None:
    # A rename is on the disk only when its folder is; where folders cannot be opened, the system does without.
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)
