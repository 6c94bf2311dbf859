"""The process that a contender runs in: `python -m bench.worker MODULE:FUNCTION ARGUMENTS`.

Every line of standard input asks for a round, which is answered by a line of JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import TextIO

import rnngen  # noqa: F401  sets a variable that OpenBLAS reads when it is loaded, for every contender


def main(function: str, arguments: str) -> None:
    """Make the contender ready, then answer until standard input ends."""
    # What a library prints must not come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    module, _, name = function.partition(":")
    measure = getattr(importlib.import_module(module), name)(**json.loads(arguments))
    _answer(answers, "ready")
    for _ in sys.stdin:
        _answer(answers, measure())


def _answer(answers: TextIO, value: object) -> None:
    answers.write(json.dumps(value) + "\n")
    answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
