"""`score --color`: scored lines, painted."""

from __future__ import annotations

import sys

from rnngen import models
from rnngen.cli.painting import legend, paint, surfaces_of, terminal_width, wants_colors
from rnngen.cli.score_formats import LineNumbers, Writer
from rnngen.cli.surprising import places_of_line, show_alternatives, surprisals_of
from rnngen.evaluate.scored_lines import ScoredLine, spans_of


class Painting(Writer):
    """Lines for a person.

    Args:
        n_alternatives: tokens to show at the most surprising places; none without it.
    """

    paints = True

    def __init__(self, loaded: models.Model, n_alternatives: int | None) -> None:
        self._loaded, self._n_alternatives = loaded, n_alternatives
        self._colors, self._width = wants_colors(sys.stdout), terminal_width()

    def begin(self) -> str:
        return legend(self._colors)

    def line(self, line: ScoredLine, numbers: LineNumbers) -> str:
        spans = spans_of(line, self._loaded.checkpoint.tokenizer)
        surfaces, bits = surfaces_of(line.text, spans[line.start :], surprisals_of(line))
        painted = paint(line.number, surfaces, bits, self._width, self._colors)
        if self._n_alternatives is None:
            return painted
        return painted + show_alternatives(places_of_line(line, self._loaded, self._n_alternatives))
