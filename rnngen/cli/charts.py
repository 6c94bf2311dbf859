"""Small charts of numbers for a terminal, in plain text."""

from __future__ import annotations

import math
from collections.abc import Sequence

_BARS = "▁▂▃▄▅▆▇█"
_EIGHTHS = " ▏▎▍▌▋▊▉"
LABELS = 10  # columns in front of a chart


def bar(value: float, highest: float, width: int) -> str:
    """A horizontal bar from zero, `width` characters for the highest value, to an eighth of a character."""
    eighths = round(8 * width * value / highest) if highest > 0 else 0
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def sparkline(values: Sequence[float], width: int) -> str:
    """The values as bars between the lowest and the highest; averaged where there are more than `width`."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite or width < 1:
        return ""
    count = min(width, len(finite))
    means = []
    for turn in range(count):
        part = finite[turn * len(finite) // count : (turn + 1) * len(finite) // count]
        means.append(sum(part) / len(part))
    low, high = min(means), max(means)
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0
    return "".join(_BARS[round((mean - low) * scale)] for mean in means)


def chart(
    series: Sequence[tuple[str, Sequence[tuple[float, float]]]], width: int = 64, height: int = 12, x_name: str = ""
) -> str:
    """Points as signs on a grid with two labelled axes.

    Args:
        series: pairs of a sign and the points (x, y) that it marks; a later series covers an earlier one.
    """
    points = [(x, y) for _, line in series for x, y in line if math.isfinite(x) and math.isfinite(y)]
    if not points:
        return ""
    (x_low, x_high), (y_low, y_high) = ((min(axis), max(axis)) for axis in zip(*points, strict=True))
    grid = [[" "] * width for _ in range(height)]
    for sign, line in series:
        for x, y in line:
            if math.isfinite(x) and math.isfinite(y):
                column = round((x - x_low) / ((x_high - x_low) or 1) * (width - 1))
                row = round((y_high - y) / ((y_high - y_low) or 1) * (height - 1))
                grid[row][column] = sign
    labels = {0: f"{y_high:.3f}", height - 1: f"{y_low:.3f}"}
    lines = [f"{labels.get(number, ''):>8} │{''.join(row).rstrip()}" for number, row in enumerate(grid)]
    left, right = f"{x_low:g}", f"{x_high:g}"
    lines.append(" " * 9 + "└" + "─" * width)
    lines.append(" " * 10 + left + x_name.center(width - len(left) - len(right)) + right)
    return "\n".join(line.rstrip() for line in lines) + "\n"
