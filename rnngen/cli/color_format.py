"""`score --color`: scored lines for a person, every token on the colour of its surprisal."""

from __future__ import annotations

import sys

from rnngen.cli.heat_map import (
    DOTTED_CIRCLE,
    LEAST_GUTTER,
    cells_of,
    is_combining,
    legend,
    paint,
    pieces_of,
    wants_colors,
)
from rnngen.cli.layout import columns_of, terminal_width
from rnngen.cli.score_formats import Writer
from rnngen.engine.runner import Runner
from rnngen.evaluate.alternatives import SurprisingToken, surprising_tokens
from rnngen.evaluate.scored_lines import ScoredLine
from rnngen.printable import escaped, visible
from rnngen.tokenizers.symbols import LONGEST_SHOWN, UNK

CONTEXT_CHARS = 12


class Colored(Writer):
    """Each line of text with a mark under every token.

    Args:
        n_alternatives: how many likelier tokens to show for the most surprising ones; None shows no such rows.
    """

    paints = True

    def __init__(self, runner: Runner, n_alternatives: int | None) -> None:
        self._runner, self._n_alternatives = runner, n_alternatives
        self._colors, self._width = wants_colors(sys.stdout), terminal_width()
        self._file: str | None = None

    def begin(self) -> str:
        return legend(self._colors, self._width)

    def line(self, line: ScoredLine) -> str:
        pieces, bits = pieces_of(line.text, line.encoded.spans[line.start :], line.surprisals_bits)
        painted = paint(line.number, pieces, bits, self._width, self._colors)
        if line.file != self._file:
            self._file = line.file
            painted = f"{escaped(line.file or '')}\n{painted}"
        if self._n_alternatives is None:
            return painted
        surprising = surprising_tokens(self._runner, line, self._n_alternatives)
        return painted + "".join(alternatives_row(line.text, token, self._width) for token in surprising)


def alternatives_row(text: str, token: SurprisingToken, width: int = 80) -> str:
    """A surprising token and what is likelier: `     20  shall ring a 'g' 7.1 bits, likelier: 'n' 16 %`.

    Args:
        text: of the line.
        width: of the terminal, in columns; what is likelier goes on under the token.
    """
    cells = cells_of(text[max(0, token.start - CONTEXT_CHARS) : token.start], None)
    before = " " * (CONTEXT_CHARS - sum(cell.width for cell in cells)) + "".join(cell.shown for cell in cells)
    named = _quoted(token.text if token.token == UNK else token.token)
    likelier = [f"{_quoted(other)} {_percent(probability)}" for other, probability in token.likelier]
    rows = [f"{token.number:>{LEAST_GUTTER}} {before} {named} {token.surprisal_bits:.1f} bits,"]
    for part in [f"likelier: {likelier[0]}", *likelier[1:]] if likelier else ["nothing is likelier"]:
        if columns_of(rows[-1]) + len(" ,") + columns_of(part) > width:
            rows.append(" " * (LEAST_GUTTER + CONTEXT_CHARS + 1))
        rows[-1] += f" {part},"
    return "\n".join(rows).removesuffix(",") + "\n"


def _quoted(token: str) -> str:
    circle = DOTTED_CIRCLE if is_combining(token[:1]) else ""  # else the mark would stand on the quotation mark
    return f"'{circle}{visible(token[:LONGEST_SHOWN])}'" + "…" * (len(token) > LONGEST_SHOWN)


def _percent(probability: float) -> str:
    percent = 100 * probability
    if percent < 0.1:
        return "<0.1 %"
    return f"{percent:.0f} %" if percent >= 9.95 else f"{percent:.1f} %"
