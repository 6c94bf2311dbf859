"""A record as a line of JSON, for files and pipes."""

from __future__ import annotations

import json
import math
from typing import Any


def json_line(record: dict[str, Any]) -> str:
    """One line of JSON, whatever ends a line for its reader; numbers that are not finite become null."""
    try:
        written = json.dumps(record, ensure_ascii=False, allow_nan=False)
    except ValueError:  # a number is not finite: looking for it in every record takes twice the time
        written = json.dumps(_finite(record), ensure_ascii=False)
    # JSON has them as they are, but for Python's splitlines and JavaScript they end a line.
    return written.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").replace("\x85", "\\u0085") + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return value
