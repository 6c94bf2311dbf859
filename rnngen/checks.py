"""Checks of single values, and settings that become a dictionary and come back from one.

Only plain Python here, as in `config.py`, which is made of them.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from numbers import Integral, Real
from typing import Any, Self, get_args

from rnngen.errors import ConfigError, brief

MOST_WHOLE = (1 << 63) - 1
SMALL, LARGE = 1e-30, 1e30  # with room to what float32 holds, 1e-38 to 3e38


def check(condition: bool, name: str, value: object, wanted: str) -> None:
    """Raise ConfigError unless a condition holds: `top_p is 2: it must be above 0 and at most 1`."""
    if not condition:
        raise ConfigError(f"{name} is {brief(value)}: it must be {wanted}")


def check_choice(name: str, value: object, choices: Any) -> None:
    """Raise ConfigError unless a value is one of those of a Literal."""
    options = get_args(choices)
    check(value in options, name, value, "one of " + ", ".join(options))


def check_whole(name: str, value: object, low: int, high: int = MOST_WHOLE) -> None:
    """Raise ConfigError unless a value is a whole number in a range, its ends included; numpy's are such numbers."""
    inside = isinstance(value, Integral) and not isinstance(value, bool) and low <= value <= high  # type: ignore[operator]
    check(inside, name, value, f"a whole number from {low} to {high}")


def check_number(name: str, value: object, low: float, high: float = LARGE) -> None:
    """Raise ConfigError unless a value is a number in a range, its ends included."""
    check(is_number(value) and low <= value <= high, name, value, f"a number from {low:g} to {high:g}")  # type: ignore[operator]


def is_number(value: object) -> bool:
    """Whether it is a number; neither true, false nor undefined."""
    return isinstance(value, Real) and not isinstance(value, bool) and value == value


def plain(value: Any) -> Any:
    """The same value, numbers of numpy as those of Python; JSON has no others."""
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    if isinstance(value, bool) or not isinstance(value, Real):
        return value
    return int(value) if isinstance(value, Integral) else float(value)


class Settings:
    """The base of a frozen dataclass of settings: conversion to a dictionary and back, which refuses unknown fields."""

    def _make_plain(self) -> None:
        """Take numbers of numpy as those of Python; called before the values are checked."""
        for field in fields(self):  # type: ignore[arg-type]
            object.__setattr__(self, field.name, plain(getattr(self, field.name)))

    def to_dict(self) -> dict[str, Any]:
        values: dict[str, Any] = asdict(self)  # type: ignore[call-overload]
        # As JSON has them.
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: object) -> Self:
        """Build one from parsed JSON. Raises ConfigError for a missing, unknown or bad field."""
        if not isinstance(values, dict):
            raise ConfigError(f"{cls.__name__} is {type(values).__name__}: it must be a JSON object")
        known = {field.name for field in fields(cls)}  # type: ignore[arg-type]
        unknown = sorted(set(values) - known)
        check(not unknown, f"{cls.__name__} field", ", ".join(map(str, unknown)), "a known one")
        try:
            # JSON has no tuples.
            return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
        except TypeError as error:
            raise ConfigError(f"{cls.__name__}: {error}") from None
