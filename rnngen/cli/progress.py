"""What a person sees while a model trains: a Rich display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rnngen.cli.charts import sparkline
from rnngen.cli.output import Console
from rnngen.cli.terminal import guarded, harmless_message, unguarded
from rnngen.cli.work_bar import SILENCE, bar_line
from rnngen.config import SampleConfig
from rnngen.printable import decimal, escaped
from rnngen.runs.events import Diverged, Event, NotSaved, Started, Stepped, Validated
from rnngen.work import Progress as Work

if TYPE_CHECKING:
    from rich.console import RenderableType

PLAIN_EVERY = 5.0  # seconds between two lines
REFRESH_EVERY = 0.25
LOSSES_KEPT = 4096
ROOM_FOR_ECHO = len("^C^C^C")
PADDING = 2  # columns between a name and its value


class Progress:
    """Shows how far a run has come, event by event.

    Args:
        started: the first event of the run.
    """

    def __init__(self, console: Console, started: Started) -> None:
        self._console = console
        self._started = started
        self._losses: list[float] = []
        self._last: Stepped | None = None
        self._valid: Validated | None = None
        self._best = started.best_valid_loss_nats
        self._sample = ""
        self._shown = self._work_started = time.monotonic()
        self._work: Work | None = None
        self._live = _Live() if not console.quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def take(self, event: Event) -> None:
        """Show what an event tells."""
        match event:
            case Stepped():
                self._step(event)
            case Validated():
                self._validation(event)
            case Diverged():
                self.say(
                    f"step {event.step:,}: the loss is not finite; back to step {event.back_to:,} "
                    f"with half the learning rate, {event.learning_rate:.2g}"
                )
            case NotSaved():
                self.say(f"{event.error}; training goes on, and it is tried again")

    def hear(self, progress: Work | None) -> None:
        """Show how far work between two steps has come, after two seconds of it: a validation, the exact pass."""
        now = time.monotonic()
        if self._work is None or progress is None or progress.what != self._work.what:
            self._work_started = now
        self._work = progress
        if self._live and now - self._work_started >= SILENCE and now - self._shown >= REFRESH_EVERY:
            self._shown = now
            self._refresh()

    def say(self, message: str) -> None:
        """Put a line above the display."""
        if self._live:
            self._live.print(message)
        else:
            self._console.note(message)

    def _step(self, event: Stepped) -> None:
        self._last = event
        self._losses.append(event.train_loss_nats)
        if len(self._losses) > LOSSES_KEPT:
            self._losses = self._losses[::2]
        now = time.monotonic()
        if self._live and now - self._shown >= REFRESH_EVERY:
            self._shown = now
            self._refresh()
        elif not self._live and now - self._shown >= PLAIN_EVERY:
            self._shown = now
            self._console.note(self._line())

    def _validation(self, event: Validated) -> None:
        self._valid = event
        self._best = min(self._best, event.valid_loss_nats)
        if self._live:
            if event.weights is not None:
                self._sample = _sample_line(self._started, event)
            self._refresh()
        else:
            kept = "kept" if event.weights is not None else f"the best is {decimal(self._best)}"
            known = without_unknown(event.valid_loss_nats, event.known_valid_loss_nats)
            what = f"step {event.step:,}" if event.step else "counts alone"
            self._console.note(f"{what}: validation loss {decimal(event.valid_loss_nats)} nats a token{known}, {kept}")

    def _validated(self) -> str:
        """The last validation; before the first one what is known, as a run that goes on has had some."""
        if event := self._valid:
            known = without_unknown(event.valid_loss_nats, event.known_valid_loss_nats)
            return f"{decimal(event.valid_loss_nats)}{known} (best {decimal(self._best)})"
        best = f" (best {decimal(self._best)})" if math.isfinite(self._best) else ""
        after = self._started.resumed_after
        return "not yet" if after is None else f"none since step {after:,}{best}"

    def _work_row(self) -> list[tuple[str, str]]:
        seconds = time.monotonic() - self._work_started
        if self._live is None or self._work is None or seconds < SILENCE:
            return []
        return [("now", bar_line(self._work, seconds, self._live.width - len("validation") - PADDING))]

    def _fraction(self) -> float:
        if self._last is None:
            return 0.0
        if self._last.steps:
            return min(1.0, self._last.step / self._last.steps)
        return min(1.0, self._last.seconds / (self._started.plan.seconds or 1))

    def _line(self) -> str:
        event = self._last
        if event is None:
            return ""
        of = f"/{event.steps:,}" if event.steps else ""
        known = without_unknown(event.train_loss_nats, event.known_train_loss_nats)
        return (
            f"{self._fraction():4.0%}  step {event.step:,}{of}  {_clock(event.seconds)}  "
            f"train {decimal(event.train_loss_nats)}{known}  "
            f"{event.n_tokens / max(event.seconds, 1e-9):,.0f} tokens/s"
        )

    def _refresh(self) -> None:
        if self._live is None or self._last is None:
            return
        event, fraction = self._last, self._fraction()
        left = event.seconds * (1 - fraction) / fraction if fraction else 0.0
        known = without_unknown(event.train_loss_nats, event.known_train_loss_nats)
        self._live.show(
            fraction,
            [
                ("time", f"{_clock(event.seconds)}, {_clock(left)} left"),
                ("step", f"{event.step:,}" + (f" of {event.steps:,}" if event.steps else "")),
                ("speed", f"{event.n_tokens / max(event.seconds, 1e-9):,.0f} tokens/s"),
                ("train loss", f"{decimal(event.train_loss_nats)} nats a token{known}  {sparkline(self._losses, 32)}"),
                ("validation", self._validated()),
                ("sample", self._sample),
                *self._work_row(),
            ],
        )


def without_unknown(loss: float, known: float | None) -> str:
    """The loss without the unknown symbol, where it is another number."""
    if known is None:
        return ", without unknown -"
    return "" if known == loss else f", without unknown {decimal(known)}"


def _sample_line(started: Started, event: Validated) -> str:
    """What the model writes with the weights of a validation, as one line."""
    import numpy as np

    from rnngen.engine.language_model import Engine
    from rnngen.engine.sampling import generate

    tokenizer = started.dataset.tokenizer
    model = Engine(started.plan.model, event.weights or {})
    config = SampleConfig(temperature=0.8, length=120, seed=event.step)
    drawn = generate(model, np.array([tokenizer.newline_id]), config, never=tokenizer.never_drawn)
    text = tokenizer.decode([int(step.ids[0]) for step in drawn])
    return escaped(text.strip().replace("\n", " / "))


class _Live:
    """Rich's live display on stderr, until the terminal is closed. No text passes through markup."""

    def __init__(self) -> None:
        from rich.console import Console as RichConsole
        from rich.live import Live

        # Rich moves the cursor, so it writes past the guard of the terminal, and is given nothing but harmless text.
        console = RichConsole(file=unguarded(sys.stderr))
        self._live = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False)
        self._is_drawing = False
        self._waiting: list[str] = []

    @property
    def width(self) -> int:
        """Columns of a line."""
        # Ctrl-C makes the terminal itself write ^C after the last line. If that wrapped, a line would stay behind.
        return self._live.console.width - ROOM_FOR_ECHO

    def start(self) -> None:
        self._draw(self._live.start)
        # What others say meanwhile (a warning) Rich puts above the display: past the guard, if it stood behind.
        sys.stderr = guarded(sys.stderr, messages=True)

    def stop(self) -> None:
        self._draw(self._live.stop)

    def print(self, message: str) -> None:
        """Put a line above the display; from a signal's handler in the midst of drawing, right after it."""
        self._waiting.append(message)
        if not self._is_drawing:
            self._draw(lambda: None)

    def show(self, fraction: float, rows: list[tuple[str, str]]) -> None:
        width = self.width
        self._draw(lambda: self._live.update(_panel(fraction, rows, width), refresh=True))

    def _draw(self, action: Callable[[], None]) -> None:
        self._is_drawing = True
        try:
            # The terminal may be closed; the work goes on.
            with contextlib.suppress(OSError):
                action()
                self._print_waiting()
        finally:
            self._is_drawing = False

    def _print_waiting(self) -> None:
        from rich.text import Text

        while self._waiting:
            self._live.console.print(Text(harmless_message(self._waiting.pop(0))), soft_wrap=True)


def _panel(fraction: float, rows: list[tuple[str, str]], width: int) -> RenderableType:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, PADDING))
    names = max(len(name) for name, _ in rows)
    table.add_column(style="dim", no_wrap=True, min_width=names)
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=max(1, width - names - PADDING))
    for name, value in rows:
        table.add_row(name, Text(_narrow(harmless_message(value)), no_wrap=True, overflow="ellipsis"))
    bar = Table.grid(padding=(0, PADDING))
    bar.add_row(ProgressBar(total=1.0, completed=fraction, width=48), f"{fraction:.0%}")
    return Group(bar, table)


def _narrow(text: str) -> str:
    """Dots for signs that terminals draw with widths of their own (emoji): a wrapped line breaks the display."""
    return "".join("·" if ord(c) > 0xFFFF or c in "\u200d\ufe0f\u20e3" else c for c in text)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
