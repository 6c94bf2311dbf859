"""JSON of strangers: parsed in bounded memory and depth, and refused where it says two things or a monstrous one."""

from __future__ import annotations

import json
import re
from typing import Any

MOST_VALUES = 1 << 22  # in a flat list; what takes more time and memory counts for more
MOST_DEPTH = 64
LARGEST_INTEGER = 1 << 128  # the state of a random generator has 128 bits

_VALUES_OF = {",": 1, ":": 4, "[": 8, "{": 8}
_FEW = 1 << 16  # values, for which a look into the strings is not worth its time
# The end is optional: a string that does not end is then read once, and not again from each of its quotes.
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
# A text part by part, as taking out all strings at once takes ten times its memory.
_STRINGS = re.compile(rf'(?:[^"]*{_STRING.pattern}){{1,65536}}|[^"]+', re.DOTALL)


class Budget:
    """How much all JSON texts of one file may hold together. The largest takes about two seconds and 200 MB."""

    def __init__(self) -> None:
        self._left = MOST_VALUES

    def spend(self, text: str) -> None:
        """Take off what parsing a text will cost. Raises ValueError when there is not so much left."""
        cost = _cost(text)
        if cost <= _FEW:
            self._left -= cost
        else:
            for part in _STRINGS.finditer(text):
                self._left -= _cost(_STRING.sub("", part[0]))
                if self._left < 0:
                    break
        if self._left < 0:
            raise ValueError(f"more than {MOST_VALUES:,} values")


def _cost(text: str) -> int:
    return sum(count * text.count(sign) for sign, count in _VALUES_OF.items())


def parse(text: str, budget: Budget | None = None) -> Any:
    """The value of a JSON text, `NaN` and `Infinity` among its numbers as Python writes them.

    Args:
        budget: of the file that the text is a part of; None where it is all of it.

    Raises:
        ValueError: with the reason; for deep nesting too, which alone would be a RecursionError.
    """
    (budget or Budget()).spend(text)
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
