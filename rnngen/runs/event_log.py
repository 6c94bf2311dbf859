"""`train --log`: the events of a run as JSON lines, and going on with the lines of a run that was stopped."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import stat
from pathlib import Path
from typing import Any, Self

from rnngen.cli.output import json_line
from rnngen.errors import OutputError
from rnngen.storage.files import open_new

_FIRST = b'{"event": "'  # how every line begins
_LONGEST = 1 << 16  # bytes of a line
_NOFOLLOW, _NONBLOCK = getattr(os, "O_NOFOLLOW", 0), getattr(os, "O_NONBLOCK", 0)


class Log:
    """JSON lines, one an event; each is with the system before the next step.

    A line that cannot be written is the last that is tried: training is worth more than its log.

    Attributes:
        error: why the log is not whole; None as long as it is.
    """

    def __init__(self, path: Path | None, file: io.FileIO | None, size: int = 0, digest: Any = None) -> None:
        """`size` bytes of whole lines stand in `file` already; `digest` has taken them in."""
        self._path, self._file, self._size = path, file, size
        self._digest = digest or hashlib.sha256()
        self._regular = file is not None and stat.S_ISREG(os.fstat(file.fileno()).st_mode)
        self.error: OutputError | None = None

    @classmethod
    def new(cls, path: Path | None, *, force: bool) -> Self:
        """An empty log, or for None one that keeps nothing. Raises OutputError."""
        return cls(path, open_new(path, force=force) if path else None)

    @classmethod
    def go_on(cls, position: dict[str, Any] | None) -> Self:
        """The log whose `position` this was, cut to that length; for None one that keeps nothing.

        The position may come from a stranger, who could name any file of ours. So nothing is touched that is not a
        log from its first line to its last, or that begins in another way than the position says.

        Raises:
            OutputError: with what is wrong with the file.
        """
        if position is None:
            return cls(None, None)
        path, size, sha256 = _checked(position)
        try:
            # A named pipe must not make it wait; a link is not followed.
            file = io.FileIO(os.open(path, os.O_RDWR | _NOFOLLOW | _NONBLOCK), "r+b")
            try:
                digest = _digest_of_log(file, path, size, sha256)
                file.truncate(size)
                file.seek(size)
            except BaseException:
                file.close()
                raise
        except OSError as error:
            raise _refusal(path, error.strerror) from None
        return cls(path, file, size, digest)

    def position(self) -> dict[str, Any] | None:
        """How far the log has come, for `go_on`; None without a log, or when it goes to a pipe or a terminal."""
        if self._path is None or not self._regular:
            return None
        return {"path": os.path.abspath(self._path), "size": self._size, "sha256": self._digest.hexdigest()}

    def write(self, event: str, values: dict[str, Any]) -> None:
        """Add a line. What goes wrong is kept in `error`."""
        if self._file is None or self.error:
            return
        line = json_line({"event": event, **values}).encode("utf-8", "backslashreplace")
        try:
            _write_whole(self._file, line)
        except OSError as error:
            if self._regular:
                with contextlib.suppress(OSError):
                    self._file.truncate(self._size)  # half a line is none
            self.error = OutputError(
                f"cannot write the log {self._path}: {error.strerror}; the rest of the run is not in it"
            )
            return
        self._size += len(line)
        self._digest.update(line)

    def close(self) -> None:
        """Nothing can be written after."""
        if self._file:
            self._file.close()
            self._file = None


def _write_whole(file: io.FileIO, line: bytes) -> None:
    rest = memoryview(line)
    while rest:
        rest = rest[file.write(rest) :]


def _checked(position: dict[str, Any]) -> tuple[Path, int, str]:
    match position:
        case {"path": str(path), "size": int(size), "sha256": str(sha256)} if size >= 0 and "\0" not in path:
            return Path(path), size, sha256
    raise OutputError("cannot go on with the log: its place is damaged in the resume file")


def _digest_of_log(file: io.FileIO, path: Path, size: int, sha256: str) -> Any:
    """SHA-256 of the first `size` bytes of a file that is a log throughout. Raises OutputError."""
    found = os.fstat(file.fileno())
    if not stat.S_ISREG(found.st_mode):
        raise _refusal(path, "it is no file any more")
    # Every file begins with no bytes, so that would be leave to empty any log.
    if size > found.st_size or (size == 0) != (found.st_size == 0):
        raise _refusal(path, "it is not the one that was written")
    digest = hashlib.sha256()
    done = 0
    reader = io.BufferedReader(file)
    try:
        while line := reader.readline(_LONGEST):
            torn = done >= size and not line.endswith(b"\n") and len(line) < _LONGEST
            if not (line.startswith(_FIRST) and line.endswith(b"\n")) and not torn:
                raise _refusal(path, "it is no log of rnngen")
            done += len(line)
            if done <= size:
                digest.update(line)
    finally:
        reader.detach()
    if digest.hexdigest() != sha256:
        raise _refusal(path, "it was changed since the run was stopped")
    return digest


def _refusal(path: Path, why: str | None) -> OutputError:
    return OutputError(f"cannot go on with the log {path}: {why}; the rest of the run is not logged")
