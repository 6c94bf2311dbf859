"""JSON of strangers: parsed in bounded memory and depth, and refused where it says two things or a monstrous one."""

from __future__ import annotations

import json
import re
from typing import Any

MOST_VALUES = 1 << 22
MOST_DEPTH = 64
LARGEST_INTEGER = 1 << 128  # the state of a random generator has 128 bits

_COUNTED_FROM = 1 << 22  # characters; a shorter text has no room for too many values
# The end is optional: a string that does not end is then read once, and not again from each of its quotes.
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)


def parse(text: str) -> Any:
    """The value of a JSON text, `NaN` and `Infinity` among its numbers as Python writes them.

    Raises:
        ValueError: with the reason; for deep nesting too, which alone would be a RecursionError.
    """
    if len(text) > _COUNTED_FROM:
        bare = _STRING.sub("", text)
        if sum(map(bare.count, "[{,")) > MOST_VALUES:
            raise ValueError(f"more than {MOST_VALUES:,} values")
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
        level = [child for outer in level if isinstance(outer, (list, dict)) for child in _children(outer)]
        if not level:
            return
    raise ValueError("too deep")


def _children(outer: list[Any] | dict[str, Any]) -> list[Any]:
    inner = outer.values() if isinstance(outer, dict) else outer
    return [child for child in inner if isinstance(child, (list, dict))]
