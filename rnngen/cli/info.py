"""`rnngen info`: what is in a checkpoint."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnngen.cli import options
from rnngen.cli.charts import LABELS, chart
from rnngen.cli.contradictions import refuse_contradictions
from rnngen.cli.layout import terminal_width, wrapped
from rnngen.cli.output import Console, end_with_the_pipe
from rnngen.errors import brief
from rnngen.storage import checkpoint_paths
from rnngen.storage.json_lines import json_line

if TYPE_CHECKING:
    from pathlib import Path

    from rnngen.checkpoint import Checkpoint

WIDEST, LEAST = 74, 10  # columns of the drawing with its labels; of the grid alone


def info(
    context: typer.Context,
    checkpoint: Annotated[
        str | None,
        typer.Argument(
            metavar="CHECKPOINT",
            autocompletion=options.model_names,
            help="A path, or a name in ./checkpoints. Default: the newest.",
        ),
    ] = None,
    model: options.Model = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """What is in a checkpoint: its sizes, how it was trained, the losses on the way; and what would run it."""
    refuse_contradictions(context)
    end_with_the_pipe()
    write_description(checkpoint_paths.find(checkpoint or model, Console(quiet).note), json)


def write_description(path: Path, json: bool) -> None:
    """Print what is in a checkpoint. Raises CheckpointError."""
    from rnngen import checkpoint as checkpoints
    from rnngen.engine.description import describe

    loaded = checkpoints.load(path)
    sections = describe(path, loaded)
    if json:
        sys.stdout.write(json_line({**sections, "history": loaded.history}))
        return
    for section, values in sections.items():
        sys.stdout.write(f"{section}\n")
        for name, value in values.items():
            name = name if name.isprintable() else brief(name)
            sys.stdout.write(f"  {name:<22} {_shown(value, plain=name == 'seed')}\n")
    sys.stdout.write(_drawing(loaded))


def _shown(value: Any, plain: bool = False) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, int):
        return str(value) if plain else f"{value:,}"
    if isinstance(value, list):
        return ", ".join(map(_shown, value)) or "-"
    text = str(value)
    # A line break in a name would make a line that looks like another value's.
    return text if text.isprintable() else brief(text)


def _drawing(loaded: Checkpoint) -> str:
    lines = {
        sign: [
            (entry["step"], entry[key])
            for entry in loaded.history
            if _can_be_drawn(entry.get("step")) and _can_be_drawn(entry.get(key))
        ]
        for sign, key in (("·", "train_loss_nats"), ("o", "valid_loss_nats"))
    }
    columns = terminal_width() if sys.stdout.isatty() else WIDEST
    drawn = chart(list(lines.items()), max(min(columns, WIDEST) - LABELS, LEAST), x_name="step")
    title = wrapped("loss in nats a token: · train, o validation", columns)
    return f"{title}\n{drawn}" if drawn else ""


def _can_be_drawn(value: Any) -> bool:
    """Whether a value of an untrusted history is a number, and not too large."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15
