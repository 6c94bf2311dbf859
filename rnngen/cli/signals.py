"""Ctrl-C, a closed terminal, a shutdown of the machine: the run is asked to end, and saves what it has."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Stop:
    """Whether a run is asked to end.

    Attributes:
        signal: the first that asked; None as long as none did.
    """

    signal: int | None = None

    def is_asked_for(self) -> bool:
        """Whether a signal has come."""
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """What shells report for a process that a signal ended."""
        return 128 + (self.signal or 0)


@contextlib.contextmanager
def stop_at_signals(stop: Stop, say: Callable[[str], None]) -> Iterator[None]:
    """The first signal asks the run to end after its step; a Ctrl-C after it does not wait.

    A signal that is ignored from the start (`nohup`, a job in the background of a script) stays ignored.
    """
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def ask(number: int, frame: object) -> None:
        first, stop.signal = stop.signal is None, stop.signal or number
        if first:
            signal.signal(signal.SIGINT, before[signal.SIGINT])
            say("stopping after a last validation; Ctrl-C again to quit at once")

    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, ask)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
