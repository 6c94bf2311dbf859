"""Writing a file so that at every moment the old one or the new one is whole, and no two processes write the same one.

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
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

from rnngen.errors import OutputError

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:
    # Windows. There a file that is open cannot be replaced, so of two runs on one name one fails, without a pid.
    fcntl = None

# Windows has neither links in the way nor named pipes as files.
_NOFOLLOW, _NONBLOCK = getattr(os, "O_NOFOLLOW", 0), getattr(os, "O_NONBLOCK", 0)
_BINARY = getattr(os, "O_BINARY", 0)
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW | _BINARY
_UMASK_TAKES = 0o666  # permissions of a new file before the umask takes its part
_NO_HARD_LINKS = (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK, errno.EXDEV)
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)
_NO_FOLDER_SYNC = (errno.EINVAL, errno.EBADF, errno.EOPNOTSUPP, errno.ENOTSUP)
_PID_WAIT = 0.5  # seconds that a process may take between locking a file and writing its number into it
_LONGEST_PID = 20  # digits


def check_writable(
    path: Path, *, force: bool, stream: bool = False, remedy: str = "add --force, or name another file"
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
                raise OutputError(f"{path} exists already and is not overwritten: add --force, or name another file")
            path.unlink(missing_ok=True)
        return io.FileIO(os.open(path, _NEW_FILE, _UMASK_TAKES), "wb")
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}; name another place") from None


@contextlib.contextmanager
def hold(path: Path, *others: Path) -> Iterator[bool]:
    """Keep other processes from writing `path`, and remove what killed writers of it and `others` left beside it.

    The lock is the kernel's, on `.NAME.lock` beside the file: however a process dies, its lock dies with it, and the
    file that it leaves holds nobody up. The folder is made if need be, and removed if nothing came into it.

    Yields:
        Whether there is a lock. Some network file systems have none; there a run goes on without, as no run could be
        made on them otherwise.

    Raises:
        OutputError: with the number of the process that holds it, or with what keeps the lock from being made.
    """
    lock = path.with_name(f".{path.name}.lock")
    try:
        made = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _lock(lock, path)
    except OSError as error:
        raise OutputError(f"cannot write {lock}, which locks {path}: {error.strerror}; name another place") from None
    if descriptor is None:
        yield False
        return
    try:
        for written in (path, *others):
            _remove_leftovers(written)
        yield True
    finally:
        # While it is still locked, and only if nobody has removed it by hand, so that another one's may be there now.
        with contextlib.suppress(OSError):
            if _is_at(descriptor, lock):
                lock.unlink()
        os.close(descriptor)
        with contextlib.suppress(OSError):
            for folder in made:
                folder.rmdir()


def _lock(lock: Path, path: Path) -> int | None:
    """The descriptor of a lock file that is locked, with our number in it; None where there are no locks."""
    if fcntl is None:
        return None
    while True:
        # Python lets no program that it starts inherit the descriptor. A named pipe must not make it wait.
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | _NOFOLLOW | _NONBLOCK, _UMASK_TAKES)
        except PermissionError:
            # Another user's, in a folder that both write to. To lock it, it need not be written.
            descriptor = os.open(lock, os.O_RDONLY | _NOFOLLOW | _NONBLOCK)
            with open(descriptor, "rb"):
                _try_lock(descriptor, lock, path)
                lock.unlink()  # nobody holds it
            continue
        try:
            _try_lock(descriptor, lock, path)
            # The one who held it may have removed the file after it was opened here, and a third made another.
            if _is_at(descriptor, lock):
                _write_pid(descriptor, lock)
                return descriptor
        except OSError as error:
            os.close(descriptor)
            if error.errno in _NO_LOCKS:
                lock.unlink(missing_ok=True)
                return None
            raise
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _write_pid(descriptor: int, lock: Path) -> None:
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
    except OSError:
        # There is no room for five bytes: nothing is left behind.
        with contextlib.suppress(OSError):
            lock.unlink()
        raise


def _try_lock(descriptor: int, lock: Path, path: Path) -> None:
    assert fcntl is not None
    _check_lock_file(descriptor, lock)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OutputError(
            f"{path} is being written by another rnngen{_process_in(descriptor)}: wait for it, or name another file"
        ) from None


def _check_lock_file(descriptor: int, lock: Path) -> None:
    """Refuse what is no lock file of ours, as its content will be written over. Raises OutputError."""
    found = os.fstat(descriptor)
    content = os.pread(descriptor, _LONGEST_PID + 2, 0) if stat.S_ISREG(found.st_mode) else b"?"
    # Two names: somebody may have put a file that is dear to us here. After a power cut it may be nulls.
    if found.st_nlink > 1 or not re.fullmatch(rb"(\d{1,%d}\n)?|\0*" % _LONGEST_PID, content):
        raise OutputError(f"{lock} stands where a lock has to be, and is none of rnngen's: move it away")


def _process_in(descriptor: int) -> str:
    end = time.monotonic() + _PID_WAIT
    while not (content := os.pread(descriptor, _LONGEST_PID + 2, 0)) and time.monotonic() < end:
        time.sleep(0.01)
    return f", process {content.decode().strip()}" if content else ""


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def _remove_leftovers(path: Path) -> None:
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
    came = OutputError(f"{path} was made by another program meanwhile and is not overwritten: add --force")
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
