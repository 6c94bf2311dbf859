"""What a person sees while a model trains: work between two steps, and a run that goes on."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest

from rnngen.cli import progress as module
from rnngen.cli.output import Console
from rnngen.cli.progress import Progress
from rnngen.work import Progress as Work

STEP = SimpleNamespace(step=4, steps=8, train_loss_nats=2.0, known_train_loss_nats=2.0, seconds=9.0, n_tokens=900)


class Shown:
    """In place of the display: the rows that it was given last."""

    width = 80
    rows: dict[str, str]

    def show(self, fraction: float, rows: list[tuple[str, str]]) -> None:
        self.rows = dict(rows)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds, which a test sets."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch, clock: list[float]):
    """A function: the best loss and the last step of a stopped run to the progress of the one that goes on."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(module, "_Live", Shown)

    def make(best: float = math.inf, after: int | None = None, quiet: bool = False) -> tuple[Progress, Any]:
        plan = SimpleNamespace(seconds=None)
        started: Any = SimpleNamespace(best_valid_loss_nats=best, plan=plan, resumed_after=after)
        progress = Progress(Console(quiet), started)
        progress._last = STEP  # type: ignore[assignment]
        return progress, progress._live

    return make


def test_after_resume_the_best_validation_so_far_is_shown(display):
    for best, after, said in (
        (1.25, 1200, "none since step 1,200 (best 1.2500)"),
        (math.inf, 12, "none since step 12"),  # stopped before the first one
        (math.inf, None, "not yet"),
    ):
        progress, shown = display(best, after)
        progress._refresh()
        assert shown.rows["validation"] == said


def test_the_exact_pass_has_a_bar_after_two_seconds_and_it_is_gone_afterwards(display, clock):
    progress, shown = display()
    progress.hear(Work(what="the exact pass", done=0, total=1000, unit="tokens"))
    clock[0] += 1.9
    progress.hear(Work(what="the exact pass", done=100, total=1000, unit="tokens"))
    assert not hasattr(shown, "rows")
    clock[0] += 0.6
    progress.hear(Work(what="the exact pass", done=250, total=1000, unit="tokens"))
    assert shown.rows["now"].split() == ["the", "exact", "pass", "█████▎", "25%", "100", "tokens/s", "0:08", "left"]
    assert len(shown.rows["now"]) <= 80 - len("validation  ")
    progress.hear(None)
    progress._refresh()
    assert "now" not in shown.rows


def test_a_quiet_run_shows_nothing_of_its_work(display, clock, capsys):
    progress, shown = display(quiet=True)
    assert shown is None
    for _ in range(3):
        clock[0] += 5
        progress.hear(Work(what="the exact pass", done=1, total=10, unit="tokens"))
    assert capsys.readouterr() == ("", "")


def test_the_loss_without_the_unknown_symbol_stands_beside_the_other(display):
    progress, shown = display()
    weights: dict[str, Any] = {"weights": {}}
    losses = {"train_loss_nats": 2.0, "known_train_loss_nats": 2.5, "valid_loss_nats": 3.0}
    progress._last = SimpleNamespace(**{**vars(STEP), **losses})
    progress._valid = SimpleNamespace(**losses, known_valid_loss_nats=3.25, **weights)
    progress._best = 3.0
    progress._refresh()
    assert shown.rows["train loss"].startswith("2.0000 nats a token, without unknown 2.5000  ")
    assert shown.rows["validation"] == "3.0000, without unknown 3.2500 (best 3.0000)"
    progress._valid.known_valid_loss_nats = None
    progress._refresh()
    assert shown.rows["validation"] == "3.0000, without unknown - (best 3.0000)"
