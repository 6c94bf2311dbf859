"""Code in C, where a compiler was there at installation."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import TypeVar

from rnngen.errors import ConfigError

SWITCH = "RNNGEN_COMPILED"  # the environment variable: 0 computes in numpy, 1 or nothing in C where it was compiled

Library = TypeVar("Library")


def load_library(module: str, open_library: Callable[[str], Library]) -> tuple[Library | None, str]:
    """The compiled code of an extension module; or None, and why.

    Args:
        open_library: the path of the code to the library; raises OSError or AttributeError for code of other sources.

    Raises:
        ConfigError: $RNNGEN_COMPILED is neither 0 nor 1.
    """
    wanted = os.environ.get(SWITCH, "")
    if wanted not in ("", "0", "1"):
        raise ConfigError(f"${SWITCH} is {wanted!r}: it must be 1 (compiled) or 0 (numpy)")
    if wanted == "0":
        return None, f"${SWITCH} is 0"
    found = find_spec(module)
    if found is None or found.origin is None:
        return None, "nothing was compiled at installation"
    try:
        return open_library(found.origin), ""
    except (OSError, AttributeError) as error:
        return None, str(error)
