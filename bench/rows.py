"""A measurement beside its reference, and all of them as a table and as JSON."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rnngen.cores import available_cores

HEADER = ("what", "ours", "reference", "ratio", "to reach", "reached?")


class BenchError(Exception):
    """A measurement that must not be believed: a process failed, or two computations disagree."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        item: the name that `python -m bench` knows it by.
        unit: of `ours` and `reference`.
        ours: None where it was not reached at all.
        reference: None where there is nothing to compare with; then the target is of `ours`, else of the ratio.
        at_least: the target is a lower bound, not an upper one.
        details: for the JSON only.
    """

    item: str
    what: str
    unit: str
    ours: float | None
    reference: float | None = None
    target: float | None = None
    at_least: bool = False
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """Ours by the reference."""
        return self.ours / self.reference if self.ours is not None and self.reference else None

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None without one."""
        if self.target is None:
            return None
        value = self.ours if self.reference is None else self.ratio
        return value is not None and (value >= self.target if self.at_least else value <= self.target)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {**asdict(self), "ratio": self.ratio, "reached": self.reached}

    def cells(self) -> tuple[str, ...]:
        """As the table shows it."""
        goal = "-" if self.target is None else ("≥ " if self.at_least else "≤ ") + shown(self.target)
        reached = {None: "-", True: "yes", False: "**no**"}[self.reached]
        measured = (shown(self.ours, self.unit), shown(self.reference, self.unit), shown(self.ratio))
        return (self.what, *measured, goal, reached)


def shown(value: float | None, unit: str = "") -> str:
    """Four digits, and the unit."""
    if value is None:
        return "-"
    number = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{number} {unit}".rstrip()


def table(rows: Sequence[Row]) -> str:
    """Markdown, its columns aligned."""
    lines = [HEADER, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    padded = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
              for line in lines]  # fmt: skip
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([padded[0], rule, *padded[1:]])


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    return {
        "processor": _processor(),
        "cores": available_cores(),
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: _version(name) for name in ("numpy", "torch", "sentencepiece", "rnngen")},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
