"""`rnngen export`: the counts of a model for other tools."""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from rnngen.checks import check_whole
from rnngen.cli import options
from rnngen.cli.output import Console, end_with_the_pipe
from rnngen.config import MOST_ORDER
from rnngen.storage import checkpoint_paths

STDOUT = "-"


def export(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="CHECKPOINT",
            autocompletion=options.model_names,
            help="A path, or a name in ./checkpoints. Default: the newest.",
        ),
    ] = None,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="FILE", help="Where to write; a name in .gz is compressed.")
    ] = STDOUT,
    max_order: Annotated[
        int | None,
        typer.Option(
            "--max-order",
            metavar="N",
            help="Length of the longest n-grams that are written; KenLM reads 6 unless compiled for more.",
            show_default="all",
        ),
    ] = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """The counts of a model as an ARPA file, which KenLM and SRILM read.

    Its tokens are those of `rnngen tokenize --lmplz`. A network beside the counts is not in the file.
    """
    from rnngen import checkpoint as checkpoints
    from rnngen.counts.arpa import arpa_lines
    from rnngen.storage.atomic import check_writable, write_atomically

    if max_order is not None:
        check_whole("max_order", max_order, 2, MOST_ORDER)
    console = Console(quiet)
    if output == STDOUT:
        end_with_the_pipe()
    else:
        check_writable(Path(output), force=force)
    loaded = checkpoints.load(checkpoint_paths.find(name, console.note))
    lines = arpa_lines(loaded.weights, loaded.tokenizer, max_order)
    if loaded.config.has_network:
        console.note("the file has the counts of the model; its network is not in it")
    if output == STDOUT:
        for part in lines:
            sys.stdout.write(part)
        return
    parts = (part.encode() for part in lines)
    write_atomically(Path(output), _compressed(parts) if output.endswith(".gz") else parts, replace=force)


def _compressed(parts: Iterable[bytes]) -> Iterator[bytes]:
    room = io.BytesIO()
    # No name and no time: the same model gives the same file.
    with gzip.GzipFile("", "wb", fileobj=room, mtime=0) as file:
        for part in parts:
            file.write(part)
            yield room.getvalue()
            room.seek(0)
            room.truncate()
    yield room.getvalue()
