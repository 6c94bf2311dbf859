"""The table of `rnngen perplexity --context`: the loss with contexts of several lengths, on a terminal with bars."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rnngen.cli.charts import bar
from rnngen.cli.layout import terminal_width
from rnngen.cli.output import table
from rnngen.storage.json_lines import json_line

if TYPE_CHECKING:
    from rnngen.evaluate.context_losses import ContextLoss

LEAST_BAR, WIDEST_BAR = 10, 40
COLUMNS = ["context", "loss_nats", "standard_error_nats", "perplexity"]


def write_curve(label: str, losses: Sequence[ContextLoss], json: bool) -> None:
    """Write a row or record for each context to stdout.

    Args:
        label: names the model in the records.
        json: the context is null where it is all of the text before a token.
    """
    if json:
        sys.stdout.write("".join(json_line({"model": label, **_record(loss)}) for loss in losses))
    else:
        sys.stdout.write(_shown(losses))


def _record(loss: ContextLoss) -> dict[str, Any]:
    return {
        "context": loss.context,
        "loss_nats": loss.loss_nats,
        "standard_error_nats": loss.standard_error_nats,
        "perplexity": loss.perplexity,
        "n_tokens": loss.n_places,
    }


def _shown(losses: Sequence[ContextLoss]) -> str:
    rows = [["all" if loss.context is None else str(loss.context), *_numbers(loss)] for loss in losses]
    text = table(COLUMNS, rows)
    lines = text.splitlines()
    room = min(WIDEST_BAR, terminal_width() - max(map(len, lines)) - 2)
    if not sys.stdout.isatty() or room < LEAST_BAR or len(lines) > len(losses) + 1:
        return text
    highest = max(loss.loss_nats for loss in losses)
    bars = ["", *(bar(loss.loss_nats, highest, room) for loss in losses)]
    return "".join(f"{line}  {drawn}".rstrip() + "\n" for line, drawn in zip(lines, bars, strict=True))


def _numbers(loss: ContextLoss) -> list[str]:
    error = loss.standard_error_nats
    return [f"{loss.loss_nats:.4f}", "-" if math.isnan(error) else f"{error:.4f}", f"{loss.perplexity:.4f}"]
