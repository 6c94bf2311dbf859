"""Cases in which each two values meet: a crossing of many parameters without the crossing of all with all."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations, product
from typing import Any

import pytest


def every_pair(*parameters: Mapping[str, Any]) -> list[Any]:
    """Cases for `pytest.mark.parametrize`: each two values of different parameters are together in at least one.

    A fault that one value causes, or two together, is found as by all combinations (Cohen et al. 1997, "The AETG
    system"; as there, each case is the one with the most pairs that are not met yet).

    Args:
        parameters: for each argument of the test, its values by their names in the ids of the cases.
    """
    candidates = [tuple(enumerate(names)) for names in product(*parameters)]
    missing = {pair for case in candidates for pair in combinations(case, 2)}
    cases = []
    while missing:
        best = max(candidates, key=lambda case: len(missing.intersection(combinations(case, 2))))
        missing.difference_update(combinations(best, 2))
        values = [parameters[number][name] for number, name in best]
        cases.append(pytest.param(*values, id="-".join(name for _, name in best)))
    return cases
