"""`rnngen models`: the checkpoints in a folder."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnngen.cli import options
from rnngen.cli.output import Console, end_with_the_pipe, for_stdout, path_field, table
from rnngen.errors import CheckpointError
from rnngen.printable import plural
from rnngen.storage.checkpoint_paths import FOLDER
from rnngen.storage.json_lines import json_line

if TYPE_CHECKING:
    from rnngen.checkpoint import Summary

COLUMNS = ["name", "level", "n_parameters", "valid_loss_nats", "known_valid_loss_nats", "valid_bits_per_char"]
SHORT_COLUMNS = ["name", "level", "n_parameters", "valid_loss", "known_loss", "bits_per_char"]  # for 80 columns


def models(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="Where they are.")] = str(FOLDER),
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """The checkpoints in a folder, the newest first: name, level, size, validation loss, and when it was written."""
    from rnngen.checkpoint import checkpoints

    end_with_the_pipe()
    found = checkpoints(folder, Console(quiet).note)
    if not found:
        raise CheckpointError(f"there is no checkpoint in {folder}: train one with rnngen train TEXT, or name a folder")
    if json:
        sys.stdout.write("".join(json_line(_record(one)) for one in found))
    elif sys.stdout.isatty():
        now = time.time()
        rows = [[*_cells(one, grouped=True), age(now - one.modified)] for one in found]
        sys.stdout.write(table([*SHORT_COLUMNS, "age"], rows))
    else:
        sys.stdout.write(table([*COLUMNS, "modified"], [[*_cells(one), _moment(one.modified)] for one in found]))


def _record(one: Summary) -> dict[str, Any]:
    return {**vars(one), "path": str(one.path), "modified": _moment(one.modified)}


def _cells(one: Summary, grouped: bool = False) -> list[str]:
    found = (one.valid_loss_nats, one.known_valid_loss_nats, one.valid_bits_per_char)
    losses = ("-" if loss is None else f"{loss:.4f}" for loss in found)
    field = for_stdout(path_field)
    return [field(one.name), field(one.level), f"{one.n_parameters:{',' if grouped else ''}}", *losses]


def _moment(seconds: float) -> str:
    """`2026-11-26T01:02:03Z`."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def age(seconds: float) -> str:
    """`now`, `5 minutes`, `3 hours`, `12 days`: whole ones of the largest unit."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            return plural(int(seconds // length), unit)
    return "now"
