"""The exceptions of rnngen, with their exit codes.

    RnngenError             exit 1
    ├── ConfigError         exit 2: an option out of range, or options that contradict each other
    ├── DataError           a text that cannot be read, decoded or used
    ├── TokenizerError      a tokenizer that cannot be built or loaded, a symbol that it does not know
    ├── CheckpointError     a checkpoint that is missing, broken, or cannot be written
    ├── OutputError         an output file that exists already, or cannot be written
    └── TrainingError       training that cannot go on
        └── DivergenceError     the loss is not finite, or worse than a guess

A message is one line: what is wrong, which value, what to do. `cli/app.py` prints it and exits.
"""

from __future__ import annotations

import reprlib

_BRIEF = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = _BRIEF.maxlong = 60


def brief(value: object) -> str:
    """A value from an untrusted file for a message: like `repr`, but short."""
    return _BRIEF.repr(value)


class RnngenError(Exception):
    """The base of every error that a user can cause or correct."""

    exit_code = 1


class ConfigError(RnngenError):
    """A value or a combination of values that no run could use."""

    exit_code = 2


class DataError(RnngenError):
    """A text that cannot be read, decoded or used."""


class TokenizerError(RnngenError):
    """A tokenizer that cannot be built or loaded, or a symbol that it does not know."""


class CheckpointError(RnngenError):
    """A checkpoint that is missing, broken or not one of rnngen."""


class OutputError(RnngenError):
    """A file that must not, or cannot, be written."""


class TrainingError(RnngenError):
    """Training that cannot go on."""


class DivergenceError(TrainingError):
    """The loss is not finite, even with small steps. The run would end in the same way again."""
