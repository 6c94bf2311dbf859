"""A bar on the terminal while work takes long: the share done, the rate and the time left.

It is drawn on stderr once the terminal has been silent for two seconds, and erased before anything else is written
there. So lines that flow need no bar, and never mix with one. Pipes and logs get nothing of it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO, cast

from rnngen import work
from rnngen.cli.charts import bar
from rnngen.cli.terminal import Guarded, harmless_message, unguarded
from rnngen.work import Progress

SILENCE = 2.0  # seconds before the bar appears
REFRESH_EVERY = 0.25
LEAST_BAR, WIDEST_BAR = 5, 30
ROOM_FOR_ECHO = len("^C^C^C")
ERASE = "\r\x1b[K"


@contextlib.contextmanager
def work_shown(quiet: bool) -> Iterator[None]:
    """Show how far the work of this block has come, if stderr is a terminal and the command is not quiet."""
    if quiet or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield
        return
    stdout, stderr = sys.stdout, sys.stderr
    shown = WorkBar(unguarded(stderr))
    ended = threading.Event()
    ticker = threading.Thread(target=_keep_ticking, args=(shown, ended), daemon=True)
    sys.stdout, sys.stderr = _watched(stdout, shown), _watched(stderr, shown)
    ticker.start()
    try:
        with work.listening(shown.take):
            yield
    finally:
        ended.set()
        ticker.join()
        shown.erase()
        sys.stdout, sys.stderr = stdout, stderr


def _watched(stream: TextIO, shown: WorkBar) -> TextIO:
    """A standard stream before which the bar makes way."""
    if isinstance(stream, Guarded):  # a terminal
        return stream.over(cast(TextIO, _Terminal(stream.unguarded, shown)))
    if _is_pipe(stream):
        return cast(TextIO, _Pipe(stream, shown))
    return stream


def _is_pipe(stream: TextIO) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):
        return False


class _Terminal:
    def __init__(self, stream: TextIO, shown: WorkBar) -> None:
        self._stream, self._shown = stream, shown

    def write(self, text: str) -> int:
        with self._shown.writing(text):
            return self._stream.write(text)

    def writelines(self, texts: Iterable[str]) -> None:
        for text in texts:
            self.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Pipe(_Terminal):
    """Who reads it may be a pager, which has the terminal to itself from the first line on."""

    def write(self, text: str) -> int:
        self._shown.switch_off()
        return self._stream.write(text)

    def writelines(self, texts: Iterable[str]) -> None:
        self._shown.switch_off()
        self._stream.writelines(texts)


def _keep_ticking(shown: WorkBar, ended: threading.Event) -> None:
    while not ended.wait(REFRESH_EVERY):
        shown.tick()


class WorkBar:
    """The bar. `take` is called by the work, `tick` by a thread of its own, so the work waits for no terminal.

    Args:
        stream: the terminal.
        clock: seconds from any start.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._lock = threading.RLock()  # a handler of a signal may write in the midst of a write
        self._progress: Progress | None = None
        self._started = self._silent_since = clock()
        self._is_shown, self._is_off = False, False
        self._at_line_start = True

    def take(self, progress: Progress | None) -> None:
        """Hear how far the work has come; None when it has ended."""
        before = self._progress
        if progress and (before is None or (before.what, before.unit) != (progress.what, progress.unit)):
            self._started = self._clock()
        self._progress = progress

    def tick(self) -> None:
        """Draw the bar, or erase it, as the moment asks for it."""
        with self._lock, contextlib.suppress(OSError, ValueError):  # the terminal may be closed; the work goes on
            progress, now = self._progress, self._clock()
            if progress is None:
                self.erase()
            elif self._at_line_start and not self._is_off and now - self._silent_since >= SILENCE:
                width = _width_of(self._stream) - ROOM_FOR_ECHO
                self._draw(f"{ERASE}{bar_line(progress, now - self._started, width)}\r")
                self._is_shown = True

    def erase(self) -> None:
        """Take the bar away."""
        with self._lock:
            if self._is_shown:
                self._is_shown = False
                with contextlib.suppress(OSError, ValueError):
                    self._draw(ERASE)

    def _draw(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

    @contextlib.contextmanager
    def writing(self, text: str) -> Iterator[None]:
        """Something is written to the terminal meanwhile."""
        with self._lock:
            self.erase()
            yield
            if text:
                self._at_line_start = text.endswith("\n")
                self._silent_since = self._clock()

    def switch_off(self) -> None:
        """Erase the bar for good."""
        with self._lock:
            self.erase()
            self._is_off = True


def bar_line(progress: Progress, seconds: float, width: int) -> str:
    """`text.txt  ████▌       45 %  1.2 MB/s  0:03 left`, in at most `width` columns.

    Args:
        seconds: since this work started.
    """
    from rich.cells import cell_len

    rate = progress.done / seconds if seconds > 0 else 0.0
    if progress.total:
        share = min(progress.done / progress.total, 1.0)
        speed = f"  {_amount(rate, progress.unit)}/s" if rate and progress.unit else ""
        left = f"  {clock(max(progress.total - progress.done, 0.0) / rate)} left" if rate else ""
        numbers = f"{share:4.0%}{speed}{left}"
    elif progress.unit:
        share, numbers = None, f"{_amount(progress.done, progress.unit)}  {_amount(rate, progress.unit)}/s"
    else:
        share, numbers = None, clock(seconds)
    what = _shortened(harmless_message(progress.what), max(width - len(numbers) - 2, 0))
    room = min(width - cell_len(what) - len(numbers) - 4, WIDEST_BAR)
    drawn = f"  {bar(share, 1.0, room):<{room}}" if share is not None and room >= LEAST_BAR else ""
    return f"{what}{drawn}  {numbers}"[:width]


def _shortened(text: str, width: int) -> str:
    """At most `width` columns of a text."""
    from rich.cells import cell_len, set_cell_size

    return text if cell_len(text) <= width else set_cell_size(text, max(width - 1, 0)) + "…"


def _amount(number: float, unit: str) -> str:
    """`1.2 MB`, `31,204 characters`."""
    if unit != work.BYTES:
        return f"{number:,.0f} {unit}" if number >= 10 else f"{number:.1f} {unit}"
    for prefix in ("", "k", "M"):
        if number < 1000:
            return f"{number:.{0 if prefix == '' else 1}f} {prefix}B"
        number /= 1000
    return f"{number:.1f} GB"


def clock(seconds: float) -> str:
    """`0:07`, `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _width_of(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return shutil.get_terminal_size().columns
