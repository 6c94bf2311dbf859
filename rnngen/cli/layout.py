"""Text that fits the width of the terminal: wrapped lines, and tables whose columns go into blocks.

Nothing is left out of it. Where the terminal is wide enough, a table is one block.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence

GAP = 2  # columns between two cells


def terminal_width() -> int:
    """Columns of the terminal: COLUMNS, or that of stdout, or of stderr (with `| less -R`), or 80."""
    try:
        width = os.get_terminal_size(sys.__stderr__.fileno()).columns if sys.__stderr__ else 0
    except (OSError, ValueError):
        width = 0
    return shutil.get_terminal_size((width or 80, 24)).columns


def columns_of(text: str) -> int:
    """How many columns a terminal shows a text in: two for a Chinese character, none for a mark on a letter."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def wrapped(text: str, width: int, indent: int = 0) -> str:
    """A line as lines of at most `width` columns; no word is cut. All but the first are indented."""
    import textwrap  # slow to import, and most commands wrap nothing

    return textwrap.fill(
        text, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    )  # fmt: skip


def aligned(rows: Sequence[Sequence[str]], width: int, first: Callable[[str, int], str] = str.ljust) -> str:
    """A table. Columns that do not fit beside the others follow in a block of their own, under the first column again.

    Where not even one fits beside the first column, its cells stand below those of the first.

    Args:
        width: of the terminal, in columns.
        first: aligns the first column; the others are aligned to the right.

    >>> print(aligned([["", "A", "B"], ["nats", "1.25", "1.5"]], 12), end="")
             A
    nats  1.25
    <BLANKLINE>
            B
    nats  1.5
    """
    widths = [max(map(columns_of, column)) for column in zip(*rows, strict=True)]
    return "\n".join(_block(rows, widths, numbers, width, first) for numbers in _blocks(widths, width))


def _block(
    rows: Sequence[Sequence[str]],
    widths: Sequence[int],
    numbers: Sequence[int],
    width: int,
    first: Callable[[str, int], str],
) -> str:
    lines = []
    beside = widths[0] + GAP + widths[numbers[0]] <= width
    for row in rows:
        # A cell wider than the terminal does not move the others out of sight.
        cells = [_padded(row[number], min(widths[number], width - GAP), str.rjust) for number in numbers]
        if beside:
            lines.append((" " * GAP).join([_padded(row[0], widths[0], first), *cells]))
        else:
            lines += [line for line in (row[0], " " * GAP + cells[0]) if line.strip()]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _padded(cell: str, width: int, justify: Callable[[str, int], str]) -> str:
    return justify(cell, width + len(cell) - columns_of(cell))


def _blocks(widths: Sequence[int], width: int) -> Iterator[list[int]]:
    """The numbers of the columns that stand side by side, the first column left out."""
    block: list[int] = []
    used = widths[0]
    for number, one in enumerate(widths[1:], 1):
        if block and used + GAP + one > width:
            yield block
            block, used = [], widths[0]
        block.append(number)
        used += GAP + one
    yield block
