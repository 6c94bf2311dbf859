"""JSON of unknown origin: short, shallow, and refused where it says two things or has a number that is too large."""

from __future__ import annotations

import json
from typing import Any

MOST_CHARS = 1_000_000  # 1 MB, and 50 MB of values at most
MOST_DEPTH = 64
LARGEST_INTEGER = 1 << 128  # the state of a random generator has 128 bits


def parse(text: str, most_chars: int = MOST_CHARS) -> Any:
    """The value of a JSON text, `NaN` and `Infinity` among its numbers as Python writes them.

    Raises:
        ValueError: with the reason; for deep nesting too, which alone would be a RecursionError.
    """
    if len(text) > most_chars:
        raise ValueError(f"{len(text):,} characters, where {most_chars:,} are the most")
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_int=_integer)
    except RecursionError:
        raise ValueError("too deep") from None
    _check_depth(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name twice in one object")
    return found


def _integer(digits: str) -> int:
    # Longer ones cannot become floats, and take long to print.
    if len(digits) > 40 or abs(int(digits)) >= LARGEST_INTEGER:
        raise ValueError("a number too large")
    return int(digits)


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MOST_DEPTH + 1):
        level = [child for outer in level for child in _containers_in(outer)]
        if not level:
            return
    raise ValueError("too deep")


def _containers_in(outer: Any) -> list[Any]:
    inner = outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ()
    return [child for child in inner if isinstance(child, list | dict)]
