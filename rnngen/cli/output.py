"""Where output goes: data to stdout, everything else to stderr."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from rnngen.cli.layout import aligned, terminal_width
from rnngen.cli.terminal import guarded
from rnngen.printable import escaped

if TYPE_CHECKING:
    from rnngen.models import Model


class Console:
    """Notes for the person at the terminal, on stderr.

    Args:
        quiet: say nothing.
    """

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet

    def note(self, message: str) -> None:
        """Print a line on stderr; nothing for "". A closed stderr stops the notes, and not the command."""
        if self.quiet or not message:
            return
        try:
            print(message, file=sys.stderr, flush=True)
        except OSError:
            self.quiet = True


def end_with_the_pipe() -> None:
    """Let a closed pipe (`| head`) end this process at once and silently, as it ends other filters."""
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def use_utf8() -> None:
    """Write UTF-8 with `\\n` line breaks whatever the locale says, and no control characters to a terminal.

    A closed stderr (`2>&-`) is replaced by the null device.
    """
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - open as long as the process runs
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")
    if sys.stdout is not None:
        sys.stdout = guarded(sys.stdout)
    sys.stderr = guarded(sys.stderr, messages=True)


def for_stdout(field: Callable[[str], str]) -> Callable[[str], str]:
    """How a token or a word is written: as `field` does it, on a terminal with escapes for what is not printable."""
    return (lambda text: escaped(field(text))) if sys.stdout.isatty() else field


def about_lines(name: str, text: str, model: Model) -> str:
    """What is to be said of a text with a line break for a model that has learnt lines by themselves, or nothing."""
    if "\n" not in text or model.state == "carry":
        return ""
    return f"{name} has a line break, and this model has learnt each line by itself (--lines): give it one line"


def path_field(path: str) -> str:
    """A file name as a field of a line: what divides fields and lines has escapes."""
    return path.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def drop_stdout() -> None:
    """Send the rest of stdout nowhere after a failed write, or the interpreter's last flush would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def drop_closed_stderr() -> None:
    """Send the rest of stderr nowhere if it is closed, or the interpreter's last flush would change the exit code."""
    try:
        sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def table(header: list[str], rows: list[list[str]]) -> str:
    """Tab-separated lines; on a terminal aligned columns, or a list of names and values if there is one row."""
    lines = [header, *rows]
    if not sys.stdout.isatty():
        return "".join("\t".join(line) + "\n" for line in lines)
    if len(rows) == 1:
        width = max(map(len, header))
        return "".join(f"{name:<{width}}  {value}\n" for name, value in zip(header, rows[0], strict=True))
    return aligned(lines, terminal_width(), first=str.rjust)
