"""Surprisal as a heat map on a terminal: each token's background, and a mark below that says the same without colour.

Without a terminal, and with NO_COLOR, legend and marks are written without escape codes; FORCE_COLOR and CLICOLOR_FORCE
ask for them all the same (`| less -R`). The text itself can never move the cursor: what is not printable is escaped.
"""

from __future__ import annotations

import math
import os
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, NamedTuple, TextIO

from rnngen.cli.layout import wrapped
from rnngen.printable import visible
from rnngen.tokenizers.symbols import NEWLINE

if TYPE_CHECKING:
    from rnngen.tokenizers.base import Spans

# Bits at which the classes start. Fine below, where characters are (2 bits on average), wide above, where words are.
_BORDERS = (1, 2, 4, 6, 9, 13)
_MARKS = "▁▂▃▄▅▆█"
# Of 256 colours: grey, blue, yellow, orange, red, magenta. All are light enough for black letters, which can then be
# read on dark terminals and on light ones. The calmest class has the terminal's own colours.
_BACKGROUNDS = (None, 248, 110, 222, 215, 203, 199)
_BLACK = 16

_NEWLINE_SIGN = "⏎"
DOTTED_CIRCLE = "◌"
# Variation selectors and skin tones: they change the sign before them, and terminals disagree how wide that becomes.
_ALTERING = frozenset("\ufe0e\ufe0f" + "".join(map(chr, range(0x1F3FB, 0x1F400))))
LEAST_GUTTER = 7
# Characters of a cell: marks beyond them stand on a sign of their own, so that a million take little time and space.
_MOST_ON_ONE = 32
_LEAST_WIDTH = 10  # of the text, however narrow the terminal: the longest escape


class Cell(NamedTuple):
    """Characters that are never divided between two rows.

    Attributes:
        width: in the terminal's columns.
        level: of the token's surprisal, from 0; None where it has none.
    """

    shown: str
    width: int
    level: int | None


def wants_colors(stream: TextIO) -> bool:
    """Whether escape codes may be written to a stream.

    NO_COLOR (not empty) forbids them (no-color.org); else FORCE_COLOR (not empty) and CLICOLOR_FORCE (neither empty
    nor 0) ask for them; else a terminal gets them, except with TERM=dumb.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR") or os.environ.get("CLICOLOR_FORCE", "0") not in ("", "0"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def legend(colors: bool, width: int = 80) -> str:
    """What marks and colours mean, in two lines that fit on 80 columns, or more in fewer columns."""
    borders = ["0", *map(str, _BORDERS)]
    names = [f"{low}-{high}" for low, high in pairwise(borders)] + [f"{borders[-1]}+"]
    classes, used = "surprisal in bits:", len("surprisal in bits:")
    for level, (mark, name) in enumerate(zip(_MARKS, names, strict=True)):
        gap = "  " if level else " "
        if used + len(gap) + len(f"{mark} {name} ") > width:
            gap, used = "\n  ", 0
        classes += f"{gap}{mark}{_in_class(f' {name} ', level, colors)}"
        used += len(gap) + len(f"{mark} {name} ")
    numbers = f"in front of a line its number and its bits; {_NEWLINE_SIGN} is the line break that ends it"
    return f"{classes}\n" + _dim(wrapped(numbers, width) + "\n", colors)


def pieces_of(text: str, spans: Spans, surprisals_bits: Sequence[float]) -> tuple[list[str], list[float]]:
    """Scored tokens of a line as pieces that together are the line, for `paint`.

    Args:
        text: one line without its line break.
        spans: [n, 2], of its tokens, or some of them in order; none empty.
        surprisals_bits: one for each span, and perhaps one more for the line break.

    Returns:
        Pieces and their surprisals. Text between tokens (the space that two words imply, a symbol left out) is a
        piece whose surprisal is not a number. Tokens of one character (its bytes) are one piece: the sum.
    """
    pieces: list[str] = []
    bits: list[float] = []
    done = 0
    for (start, end), surprisal in zip(spans.tolist(), surprisals_bits, strict=False):
        if start > done:
            pieces.append(text[done:start])
            bits.append(math.nan)
        if start < done:
            pieces[-1] += text[done:end]
            bits[-1] += surprisal
        else:
            pieces.append(text[start:end])
            bits.append(surprisal)
        done = max(done, end)
    if done < len(text):
        pieces.append(text[done:])
        bits.append(math.nan)
    if len(surprisals_bits) > len(spans):
        pieces.append(NEWLINE)
        bits.append(surprisals_bits[-1])
    return pieces, bits


def paint(number: int, pieces: list[str], surprisals_bits: list[float], width: int, colors: bool) -> str:
    """A line of text with marks under it, folded together at the terminal's width.

    The line's number comes before the first row, the line's bits before its marks. White space is not changed, and the
    line break is shown as a sign. Control characters and the like are escaped. A combining mark that is a token is
    shown on a dotted circle.

    Args:
        pieces: of the text, in order; `"\\n"` for the line break that ends the line.
        surprisals_bits: of each; one that is not a number leaves its text unpainted and without a mark.
        width: of the terminal, in columns.
        colors: whether escape codes may be written.
    """
    total = f"{math.fsum(bits for bits in surprisals_bits if not math.isnan(bits)):z.1f}"
    gutter = max(LEAST_GUTTER, len(str(number)), len(total))
    cells = [
        cell
        for piece, bits in zip(pieces, surprisals_bits, strict=True)
        for cell in cells_of(piece, None if math.isnan(bits) else bisect_right(_BORDERS, bits))
    ]
    lines: list[str] = []
    names = [str(number), total]
    for row in _fold(cells, max(width - gutter - 1, _LEAST_WIDTH)):
        in_front = [_dim(name.rjust(gutter), colors) for name in names]
        lines.append(f"{in_front[0]} {_painted(row, colors)}")
        lines.append(f"{in_front[1]} {_marks(row, colors)}".rstrip())
        names = ["", ""]
    return "\n".join(lines) + "\n"


def _shown(character: str) -> str:
    if character == NEWLINE:
        return _NEWLINE_SIGN
    if character in _ALTERING:
        return _escaped(character)
    return character if character == " " else visible(character)  # a space is seen by its mark and background


def is_combining(character: str) -> bool:
    """Whether it is a mark that combines with the character before it."""
    return character != "" and unicodedata.category(character)[0] == "M"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def cells_of(text: str, level: int | None) -> list[Cell]:
    """A token's characters as a terminal shows them, with a class of surprisal or without one."""
    from rich.cells import cell_len

    cells: list[Cell] = []
    for character in text:
        shown = _shown(character)
        width = cell_len(shown)
        if width == 0 and cells and len(cells[-1].shown) < _MOST_ON_ONE:
            cells[-1] = cells[-1]._replace(shown=cells[-1].shown + shown)
        elif width == 0 and is_combining(character):
            cells.append(Cell(DOTTED_CIRCLE + shown, 1, level))
        else:
            shown = shown if width else _escaped(character)
            cells.append(Cell(shown, width or len(shown), level))
    return cells


def _fold(cells: list[Cell], width: int) -> Iterator[list[Cell]]:
    """Rows of at most `width` columns; one row at least."""
    row: list[Cell] = []
    used = 0
    for cell in cells:
        if row and used + cell.width > width:
            yield row
            row, used = [], 0
        row.append(cell)
        used += cell.width
    yield row


def _painted(row: list[Cell], colors: bool) -> str:
    return "".join(
        _in_class("".join(cell.shown for cell in run), level, colors)
        for level, run in groupby(row, key=lambda cell: cell.level)
    )


def _marks(row: list[Cell], colors: bool) -> str:
    marks = "".join((" " if cell.level is None else _MARKS[cell.level]) * cell.width for cell in row)
    return _dim(marks.rstrip(), colors)


def _in_class(text: str, level: int | None, colors: bool) -> str:
    background = None if level is None else _BACKGROUNDS[level]
    if background is None or not colors:
        return text
    return f"\x1b[38;5;{_BLACK};48;5;{background}m{text}\x1b[0m"


def _dim(text: str, colors: bool) -> str:
    return f"\x1b[2m{text}\x1b[0m" if colors and text.strip() else text
