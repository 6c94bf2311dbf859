"""A lock beside an output file, so that no two processes write the same one."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from rnngen.errors import OutputError
from rnngen.storage.atomic import remove_leftovers

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)
# A lock that is just being released is waited for, and whoever has just taken it writes its number meanwhile.
_WAIT_SECONDS = 0.2
_FOR_ALL_USERS = 0o666  # so that a lock left by one user's killed run does not block another's, whatever the umask
_LONGEST_PID = 20  # digits
# After a power cut the file may be nulls.
_LOCK_FILE = re.compile(rb"( ?\d{1,%d}\n)?|\0*" % _LONGEST_PID)
# A link in the place of the lock is not followed, and a named pipe not waited for; Windows has neither.
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


@contextlib.contextmanager
def hold(path: Path, *others: Path) -> Iterator[bool]:
    """Keep other processes from writing `path`, and remove what killed writers of it and `others` left beside it.

    The lock is the system's, on the file `.NAME.lock` beside `path`: it ends with the process, however that ends, and
    a lock file left by a killed run blocks nobody. The folder is made if need be, and removed if it stays empty.

    Args:
        others: files that the holder of `path` writes as well.

    Yields:
        Whether `path` is locked. Some network file systems have no locks; there a run goes on without one.

    Raises:
        OutputError: another process has the lock, whose number the message tells; or it cannot be made.
    """
    lock = path.with_name(f".{path.name}.lock")
    try:
        made = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        release = _acquire(lock, path)
    except OSError as error:
        raise OutputError(f"cannot write {lock}, which locks {path}: {error.strerror}; name another place") from None
    if release is None:
        yield False
        return
    try:
        for written in (path, *others):
            remove_leftovers(written)
        yield True
    finally:
        release()
        with contextlib.suppress(OSError):
            for folder in made:
                folder.rmdir()


def _acquire(lock: Path, path: Path) -> Callable[[], None] | None:
    """Lock the file `lock`. Returns what removes and releases it; None where there are no locks. Raises OSError."""
    taken: list[int] = []

    def take(descriptor: int) -> None:
        taken.append(descriptor)
        _write_pid(descriptor, lock)

    def release() -> None:
        # Removed while it is still locked, and only if it was not removed by hand: another's may be there now.
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(taken[-1]), os.lstat(lock)):
                lock.unlink()
        file_lock.release()

    # Not a soft lock: one left by a killed run would block the next.
    file_lock = FileLock(lock, _WAIT_SECONDS, _FOR_ALL_USERS, fallback_to_soft=False, on_acquired=take)
    try:
        file_lock.acquire(poll_interval=_WAIT_SECONDS / 10)
    except Timeout:
        raise OutputError(
            f"{path} is being written by another rnngen{_holder(lock)}: wait for it, or name another file"
        ) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        if not lock.lstat().st_size:
            lock.unlink()
        return None
    return release


def _write_pid(descriptor: int, lock: Path) -> None:
    """Write this process's number into a lock file. Raises OutputError where the file is not one of rnngen's."""
    found = os.fstat(descriptor)
    with open(descriptor, "r+b", buffering=0, closefd=False) as file:
        content = file.read(_LONGEST_PID + 3) if stat.S_ISREG(found.st_mode) else b"?"
        # A second name: the lock may be a link to a file that must not be written over.
        if found.st_nlink > 1 or not _LOCK_FILE.fullmatch(content):
            raise OutputError(f"{lock} stands where a lock has to be, and is none of rnngen's: move it away")
        try:
            file.truncate(0)
            file.seek(0)
            # The space, as on Windows the first byte is what is locked, and nobody else can read it.
            file.write(b" %d\n" % os.getpid())
        except OSError:
            # There is no room for a number.
            with contextlib.suppress(OSError):
                lock.unlink()
            raise


def _holder(lock: Path) -> str:
    with contextlib.suppress(OSError), open(os.open(lock, _READ), "rb", buffering=0) as file:
        file.seek(1)
        digits = file.read(_LONGEST_PID).strip()
        if digits.isdigit():
            return f", process {digits.decode()}"
    return ""
