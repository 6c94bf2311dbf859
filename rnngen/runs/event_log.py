"""`train --log`: the events of a run as JSON lines."""

from __future__ import annotations

import contextlib
import io
import json
import os
import stat
from pathlib import Path
from typing import Any, Self

from rnngen.errors import OutputError
from rnngen.storage.atomic import open_new
from rnngen.storage.json_lines import json_line

_LONGEST_LINE = 1 << 16  # bytes


class EventLog:
    """JSON lines, one an event; each is handed to the operating system before the next step.

    After a line that cannot be written no other is tried: the training matters more than its log.

    Attributes:
        error: why the log is not whole; None as long as it is.
    """

    def __init__(self, path: Path | None, file: io.FileIO | None, size: int = 0) -> None:
        """Append to an open file that ends after `size` bytes; without a file nothing is written."""
        self._path, self._file, self._size = path, file, size
        self.error: OutputError | None = None

    @classmethod
    def new(cls, path: Path | None, *, force: bool) -> Self:
        """An empty log; for None one that writes nothing. Raises OutputError."""
        return cls(path, open_new(path, force=force) if path else None)

    @classmethod
    def go_on(cls, path: Path, run_id: str, step: int) -> Self:
        """The log of a run that was stopped; the lines after `step`, which come again, are removed.

        Args:
            run_id: must stand in the first line of the file.
            step: where the run goes on.

        Raises:
            OutputError: the file is not the log of this run, or cannot be written.
        """
        try:
            file = io.FileIO(path, "r+b")
            try:
                size = _size_until(file, path, run_id, step)
                file.truncate(size)
                file.seek(size)
            except BaseException:
                file.close()
                raise
        except OSError as error:
            raise OutputError(f"cannot write the log {path}: {error.strerror}; name another file") from None
        return cls(path, file, size)

    def write(self, event: str, values: dict[str, Any]) -> None:
        """Add a line. If that fails, the reason is kept in `error`."""
        if self._file is None or self.error:
            return
        line = json_line({"event": event, **values}).encode("utf-8", "backslashreplace")
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            if stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
                with contextlib.suppress(OSError):
                    self._file.truncate(self._size)  # removes a part of a line
            self.error = OutputError(
                f"cannot write the log {self._path}: {error.strerror}; the rest of the run is not in it"
            )
            return
        self._size += len(line)

    def close(self) -> None:
        """Close the file; nothing is written after."""
        if self._file:
            self._file.close()
            self._file = None


def is_log_of(path: Path, run_id: str) -> bool:
    """Whether a file is the log of a run, by its first line."""
    if not path.is_file():
        return False
    try:
        with open(path, "rb") as file:
            first = _event(file.readline(_LONGEST_LINE))
    except OSError:
        return False
    return isinstance(first, dict) and (first.get("event"), first.get("run")) == ("start", run_id)


def _size_until(file: io.FileIO, path: Path, run_id: str, step: int) -> int:
    """Bytes up to the end of the last whole line of `step` or a step before it. Raises OutputError for another file."""
    reader = io.BufferedReader(file)
    try:
        match _event(reader.readline(_LONGEST_LINE)):
            case {"event": "start", "run": str(run)} if run == run_id:
                size = end = reader.tell()
            case _:
                raise OutputError(f"{path} exists already and is not the log of this run: name another file")
        while line := reader.readline(_LONGEST_LINE):
            end += len(line)
            match _event(line):
                case {"event": "diverged", "back_to": int(reached)} | {"step": int(reached)} if reached <= step:
                    size = end
    finally:
        reader.detach()
    return size


def _event(line: bytes) -> object:
    """A whole line as JSON; None for anything else."""
    try:
        return json.loads(line) if line.endswith(b"\n") else None
    except (ValueError, RecursionError):
        return None
