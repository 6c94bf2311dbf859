"""`rnngen perplexity --context`: the loss by how many tokens the model sees, as a table, on a terminal with bars."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

from rnngen import models
from rnngen.cli.output import Console, emptiness, json_line, table
from rnngen.config import OnUnknown
from rnngen.errors import DataError
from rnngen.printable import plural

if TYPE_CHECKING:
    from rnngen.evaluate.context_losses import ContextLoss
    from rnngen.text.corpus import FileText

BAR_WIDTH = 40
_EIGHTHS = " ▏▎▍▌▋▊▉"
COLUMNS = ["context", "loss_nats", "standard_error_nats", "perplexity"]


def context_curve(
    loaded: models.Model, text: FileText, longest: int, on_unknown: OnUnknown, json: bool, console: Console
) -> None:
    """Write the loss with contexts of 1, 2, 4, ... up to `longest` tokens, and with all.

    Args:
        json: a record a context, in which a context of null is all of the text before a token.

    Raises:
        ConfigError: `longest` is below 1.
        DataError: the text has nothing to measure.
    """
    from rnngen.evaluate.context_losses import context_losses
    from rnngen.text.ids_on_disk import write_tokens

    tokenizer = loaded.tokenizer
    tokens = write_tokens(text, tokenizer, on_unknown)
    if not len(tokens.ids):
        raise DataError(f"the text {emptiness(tokens.n_unknown)}: there is nothing to measure")
    console.unknowns(tokens.n_unknown, tokens.first_unknown, on_unknown, "the text")
    losses = context_losses(loaded.network, tokens.ids, tokenizer.newline_id, longest)
    console.note(
        f"context: {plural(losses[0].n_places, 'token')} of {len(tokens.ids):,} predicted, evenly spaced, the same "
        "for every context; a context begins with a state of zeros, all is the state carried from the text's begin"
    )
    if json:
        sys.stdout.write("".join(json_line({"model": str(loaded.path), **_record(loss)}) for loss in losses))
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


def _shown(losses: list[ContextLoss]) -> str:
    rows = [["all" if loss.context is None else str(loss.context), *_numbers(loss)] for loss in losses]
    lines = table(COLUMNS, rows)
    if not sys.stdout.isatty():
        return lines
    highest = max(loss.loss_nats for loss in losses)
    bars = ["", *(bar(loss.loss_nats, highest, BAR_WIDTH) for loss in losses)]
    return "".join(f"{line}  {drawn}".rstrip() + "\n" for line, drawn in zip(lines.splitlines(), bars, strict=True))


def _numbers(loss: ContextLoss) -> list[str]:
    error = loss.standard_error_nats
    return [f"{loss.loss_nats:.4f}", "-" if math.isnan(error) else f"{error:.4f}", f"{loss.perplexity:.4f}"]


def bar(value: float, highest: float, width: int) -> str:
    """A horizontal bar from zero, `width` characters for the highest value, to an eighth of a character."""
    eighths = round(8 * width * value / highest) if highest > 0 else 0
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
