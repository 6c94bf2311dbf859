"""Texts and settings of small runs, and following a run to its end."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path

from rnngen import checkpoint
from rnngen.runs.events import Event, Stepped

CORPORA = Path(__file__).parents[1] / "corpora"
PLAY, NAMES = ((CORPORA / name).read_text("utf-8")[:4000] for name in ("marrowmere.txt", "names.txt"))
SMALL = {"steps": 30, "batch_size": 4, "bptt": 8, "threads": 1}

MakeEvents = Callable[..., Generator[Event, None, None]]


def follow(make_events: MakeEvents, stop_after: int | None = None) -> list[Event]:
    """All events of a run, which is asked to stop when it has made so many steps."""
    events: list[Event] = []

    def is_time_to_stop() -> bool:
        return any(isinstance(event, Stepped) and event.step == stop_after for event in events)

    for event in make_events(should_stop=is_time_to_stop):
        events.append(event)
    return events


def weights_of(path: Path) -> dict[str, bytes]:
    return {name: weight.tobytes() for name, weight in checkpoint.load(path).weights.items()}
