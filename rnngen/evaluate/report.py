"""The report on a text as data: a record for each predictor and, of several, one for each pair of them.

The keys are the columns and the JSON keys of `rnngen perplexity`; numbers that are undefined are NaN.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from rnngen.config import PSEUDO
from rnngen.evaluate.comparison import compare
from rnngen.evaluate.measures import MEASURES, Measured


def model_records(label: str, measured: Measured) -> list[dict[str, Any]]:
    """The record of a text by one predictor; where it has several files, those of the files come before it."""
    record = model_record(label, measured)
    if not measured.files:
        return [record]
    of_files = [{**model_record(label, one), "record": "file", "file": one.file} for one in measured.files]
    order = ("record", "model", "file")
    return [
        {name: one[name] for name in order} | {name: value for name, value in one.items() if name not in order}
        for one in [*of_files, {**record, "file": None}]
    ]


def model_record(label: str, measured: Measured) -> dict[str, Any]:
    """All counts and measures of a text by one predictor, and the conventions that they follow."""
    sums = measured.sums
    values, errors = {}, {}
    pseudo = PSEUDO if measured.pseudo else ""
    for known, prefix in ((False, pseudo), (True, "known_" + pseudo)):
        for name in MEASURES:
            found = measured.estimate(name, known)
            values[prefix + name] = found.value
            errors[f"{prefix}{name}_standard_error"] = found.standard_error
    return {
        "record": "model",
        "model": label,
        "state": measured.state,
        **{name: sums.count(name) for name in ("n_tokens", "n_words", "n_chars", "n_bytes")},
        "n_unknown": measured.unknowns.count,
        **values,
        **errors,
        "n_lines": sums.n_lines,
        "n_line_ends": sums.count("n_line_ends"),
        "lines_per_unit": sums.lines_per_unit,
        "on_unknown": measured.on_unknown,
    }


def pair_records(
    labels: Sequence[str], measured: Sequence[Measured], letters: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """The comparison of each pair, the earlier one as A and the later one as B.

    Args:
        measured: on the same text.
        letters: names of the predictors in verdicts and caveats; A and B where None.
    """
    records = []
    for a, b in itertools.combinations(range(len(labels)), 2):
        names = (letters[a], letters[b]) if letters else ("A", "B")
        comparison = compare(measured[a], measured[b], names)
        records.append(
            {
                "record": "pair",
                "model_a": labels[a],
                "model_b": labels[b],
                "unit": comparison.unit.name,
                "difference": comparison.difference.value,
                "difference_low": comparison.difference.low,
                "difference_high": comparison.difference.high,
                "verdict": comparison.verdict,
                "reason": comparison.unit.reason,
                "caveat": comparison.caveat,
            }
        )
    return records
