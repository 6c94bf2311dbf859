"""Checks of single values, and settings that become a dictionary and come back from one.

Only plain Python here, as in `config.py`, which is made of them.
"""

from __future__ import annotations

import math
from dataclasses import asdict, fields
from typing import Any, Self, get_args

from rnngen.errors import ConfigError, brief


def check(condition: bool, name: str, value: object, wanted: str) -> None:
    """Raise ConfigError unless a condition holds: `temp is -1: it must be 0 or more`."""
    if not condition:
        raise ConfigError(f"{name} is {brief(value)}: it must be {wanted}")


def check_choice(name: str, value: object, choices: Any) -> None:
    """Raise ConfigError unless a value is one of those of a Literal."""
    options = get_args(choices)
    check(value in options, name, value, "one of " + ", ".join(options))


def is_count(value: object) -> bool:
    """Whether it is a whole number from 1 to the largest that 63 bits hold."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value < 1 << 63


def is_natural(value: object) -> bool:
    """Whether it is a whole number from 0 to the largest that 63 bits hold."""
    return is_count(value) or (value == 0 and isinstance(value, int) and not isinstance(value, bool))


def is_number(value: object) -> bool:
    """Whether it is a finite number that 63 bits hold."""
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) < 1 << 63
    return isinstance(value, float) and math.isfinite(value)


class Settings:
    """The base of a frozen dataclass of settings: conversion to a dictionary and back, which refuses unknown fields."""

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
