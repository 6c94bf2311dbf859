"""The rows of `perplexity`: measured, compared in pairs, and written as a report, as columns or as JSON."""

from __future__ import annotations

import itertools
import math
import string
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rnngen import models
from rnngen.cli.output import emptiness, json_line
from rnngen.config import OnUnknown, ScoreState
from rnngen.errors import DataError
from rnngen.evaluate.scored_lines import ScoredLine, score_in_blocks
from rnngen.printable import plural

if TYPE_CHECKING:
    from rnngen.engine.scoring import Scorer
    from rnngen.evaluate.comparison import Comparison
    from rnngen.evaluate.interpolation import Mixture
    from rnngen.evaluate.measures import Measured
    from rnngen.text.corpus import FileText

COUNTS = ("n_tokens", "n_words", "n_chars", "n_bytes")
LABELS = {
    "loss_nats": "nats per token",
    "perplexity": "perplexity per token",
    "perplexity_per_word": "perplexity per word (ppl)",
    "perplexity_per_word_no_eol": "perplexity per word (ppl1)",
    "bits_per_char": "bits per character",
    "bits_per_byte": "bits per byte",
}


@dataclass(frozen=True)
class Row:
    """Something that predicts texts.

    Attributes:
        label: names it in the report.
        scorer: scores with carried state; with the state reset the lines are those of `score_in_blocks`.
        mixture: with another model, for both states.
    """

    label: str
    loaded: models.Model
    scorer: Scorer
    mixture: Mixture | None = None


@dataclass(frozen=True)
class MeasuredRow:
    """A row and what it makes of a text."""

    row: Row
    measured: Measured


def static_row(loaded: models.Model) -> Row:
    """A model as it was trained."""
    from functools import partial

    from rnngen.engine.scoring import score_text

    return Row(str(loaded.path), loaded, partial(score_text, loaded.network))


def measure_row(row: Row, text: FileText, state: ScoreState, on_unknown: OnUnknown) -> MeasuredRow:
    """Measure a text by a row. Raises DataError when there is nothing to measure."""
    measured = (_by_lines if state == "reset" else _carried)(row, text, on_unknown)
    if not measured.sums.count("n_tokens"):
        raise DataError(f"the text {emptiness(measured.n_unknown)}: there is nothing to measure")
    return MeasuredRow(row, measured)


def _carried(row: Row, text: FileText, on_unknown: OnUnknown) -> Measured:
    from rnngen.evaluate.interpolation import mixed_scorer
    from rnngen.evaluate.measures import measure_carried
    from rnngen.text.ids_on_disk import write_tokens

    tokenizer = row.loaded.tokenizer
    scorer = mixed_scorer(row.scorer, row.mixture) if row.mixture else row.scorer
    return measure_carried(scorer, tokenizer, write_tokens(text, tokenizer, on_unknown), text, on_unknown)


def _by_lines(row: Row, text: FileText, on_unknown: OnUnknown) -> Measured:
    """Every line by itself, from a line break to a line break: an unterminated last line is scored as if it ended."""
    import numpy as np

    from rnngen.evaluate.measures import LineSums, Measured, sum_lines
    from rnngen.text.word_spans import known_part

    tokenizer = row.loaded.tokenizer
    newline_id = tokenizer.newline_id

    def written(line: ScoredLine) -> str:
        left_out = on_unknown == "skip" and line.encoded.n_unknown
        return (known_part(tokenizer, line.text)[0] if left_out else line.text) + "\n"

    mix = row.mixture.transformation() if row.mixture else None
    sums, n_unknown, first = LineSums(), 0, None
    for block in score_in_blocks(row.loaded, text.line_blocks(), on_unknown):
        ids = [np.append(line.encoded.ids, newline_id) for line in block]
        logprobs = [line.logprobs for line in block]
        if mix is not None:
            logprobs = list(map(mix, ids, logprobs))
        sums.add(sum_lines(tokenizer, list(map(written, block)), np.concatenate(ids), np.concatenate(logprobs)))
        n_unknown += sum(line.encoded.n_unknown for line in block)
        first = first or next(filter(None, (line.first_unknown for line in block)), None)
    return Measured(sums, n_unknown, first)


def write_report(rows: Sequence[MeasuredRow], state: ScoreState, on_unknown: OnUnknown, json: bool) -> None:
    """Write the rows and, of several, each pair of them to stdout."""
    records = [_record(row, state, on_unknown) for row in rows]
    # On a terminal every row has a letter of its own; elsewhere a pair is A and B, and says which models those are.
    letters = _letters(len(rows)) if sys.stdout.isatty() and not json else None
    pairs = [
        _pair_record(rows[a], rows[b], (letters[a], letters[b]) if letters else ("A", "B"))
        for a, b in itertools.combinations(range(len(rows)), 2)
    ]
    if json:
        sys.stdout.write("".join(map(json_line, [*records, *pairs])))
    elif letters is None:
        sys.stdout.write("\n".join(_columns(block) for block in (records, pairs) if block))
    else:
        body = _one(records[0]) if len(records) == 1 else _several(records, pairs, letters)
        sys.stdout.write(_conventions(rows[0].measured, state, on_unknown) + "\n" + body)


def _record(row: MeasuredRow, state: ScoreState, on_unknown: OnUnknown) -> dict[str, Any]:
    from rnngen.evaluate.measures import MEASURES, estimate

    sums = row.measured.sums
    values, errors = {}, {}
    for known, prefix in ((False, ""), (True, "known_")):
        for measure in MEASURES:
            found = estimate(measure, sums, known)
            values[prefix + measure.name] = found.value
            errors[f"{prefix}{measure.name}_standard_error"] = found.standard_error
    counts = {name: sums.count(name) for name in COUNTS} | {"n_unknown": row.measured.n_unknown}
    lines = {"n_lines": sums.n_lines, "n_line_ends": sums.count("n_line_ends"), "lines_per_unit": sums.lines_per_unit}
    return {
        "record": "model",
        "model": row.row.label,
        "state": state,
        **counts,
        **values,
        **errors,
        **lines,
        "on_unknown": on_unknown,
    }


def _letters(count: int) -> list[str]:
    """A, B, ... Z, AA, AB, ..."""
    words = (itertools.product(string.ascii_uppercase, repeat=length) for length in itertools.count(1))
    return ["".join(word) for word in itertools.islice(itertools.chain.from_iterable(words), count)]


def _pair_record(a: MeasuredRow, b: MeasuredRow, names: tuple[str, str]) -> dict[str, Any]:
    from rnngen.evaluate.comparison import compare

    tokenizers = [one.row.loaded.tokenizer for one in (a, b)]
    found: Comparison = compare(a.measured, tokenizers[0], b.measured, tokenizers[1], names)
    return {
        "record": "pair",
        "model_a": a.row.label,
        "model_b": b.row.label,
        "unit": found.unit.name,
        "difference": found.difference.value,
        "difference_low": found.difference.low,
        "difference_high": found.difference.high,
        "verdict": found.verdict,
        "reason": found.unit.reason,
        "caveat": found.caveat,
    }


def _columns(records: Sequence[dict[str, Any]]) -> str:
    lines = [list(records[0]), *([_shown(value) for value in record.values()] for record in records)]
    return "".join("\t".join(line) + "\n" for line in lines)


def _shown(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _with_error(record: dict[str, Any], name: str) -> str:
    return f"{_rounded(record[name])} ± {_rounded(record[name + '_standard_error'])}"


def _rounded(value: float) -> str:
    """For a person: four digits after the point, fewer of large numbers."""
    if not math.isfinite(value) or value < 100:
        return _shown(value)
    return f"{value:,.{1 if value < 1000 else 0}f}"


def _conventions(measured: Measured, state: ScoreState, on_unknown: OnUnknown) -> str:
    sums = measured.sums
    begins = "the text begins" if state == "carry" else "every line begins"
    unknown = {
        "error": "an error",
        "unk": "taken as the unknown symbol; without unknown leaves out those tokens and what they stand for",
        "skip": "left out of the text before it is measured",
    }
    units = plural(sums.n_units, "line" if sums.lines_per_unit == 1 else "unit")
    size = f" of {sums.lines_per_unit} lines in a row" * (sums.lines_per_unit > 1)
    entries = {
        "state": "carried from line to line" if state == "carry" else "reset at every line",
        "lines": f"{begins} as if after a line break; a line break ends a line, also a blank one, and is a token",
        "logarithms": "natural (nats), base 2 where it says bits",
        "words": "what white space separates; ppl counts line ends as words, ppl1 does not; both have their nats",
        "unknown": unknown[on_unknown],
        "±": f"standard error over {units}{size}; - where it is undefined",
    }
    return "".join(f"{name:<12}{said}\n" for name, said in entries.items())


def _one(record: dict[str, Any]) -> str:
    counts = {
        name.removeprefix("n_").replace("_", " "): f"{record[name]:,}"
        for name in ("n_lines", "n_line_ends", *COUNTS, "n_unknown")
    }
    lines = [f"{'model':<12}{record['model']}", ""]
    lines += [f"{name:<12}{count:>{max(map(len, counts.values()))}}" for name, count in counts.items()]
    cells = [("", "all tokens", "without unknown")]
    cells += [(said, _with_error(record, name), _with_error(record, f"known_{name}")) for name, said in LABELS.items()]
    return "\n".join(lines) + "\n\n" + _aligned(cells)


def _several(records: Sequence[dict[str, Any]], pairs: Sequence[dict[str, Any]], letters: Sequence[str]) -> str:
    """A column for each row of the report, so that a few of them fit on a terminal."""
    names = [f"{letter}  {record['model']}\n" for letter, record in zip(letters, records, strict=True)]
    counts = ("n_lines", *COUNTS, "n_unknown")
    cells = [["", *letters]]
    cells += [[name.removeprefix("n_"), *(f"{record[name]:,}" for record in records)] for name in counts]
    cells += [[said, *(_with_error(record, name) for record in records)] for name, said in LABELS.items()]
    if any(record["n_unknown"] for record in records):
        cells.append(["without unknown:", *[""] * len(records)])
        cells += [
            [said, *(_with_error(record, f"known_{name}") for record in records)] for name, said in LABELS.items()
        ]
    compared = "".join(
        _pair_text(pair, a, b) for pair, (a, b) in zip(pairs, itertools.combinations(letters, 2), strict=True)
    )
    return "".join(names) + "\n" + _aligned(cells) + "\n" + compared + _reasons(pairs)


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """The first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([first.ljust(widths[0]), *map(str.rjust, others, widths[1:])]).rstrip() for first, *others in rows
    ]
    return "".join(f"{line}\n" for line in lines)


def _pair_text(pair: dict[str, Any], a: str, b: str) -> str:
    value, low, high = (_shown(pair[name]) for name in ("difference", "difference_low", "difference_high"))
    caveat = f"\n       but {pair['caveat']}" if pair["caveat"] else ""
    return f"{b} - {a}: {value} {pair['unit']}, {low} to {high}: {pair['verdict']}{caveat}\n"


def _reasons(pairs: Sequence[dict[str, Any]]) -> str:
    from rnngen.evaluate.comparison import CONFIDENCE, N_RESAMPLES

    reasons = dict.fromkeys(f"{pair['unit']}: {pair['reason']}\n" for pair in pairs)
    how = f"intervals: {CONFIDENCE:.0%}, paired bootstrap over the same units as ±, {N_RESAMPLES:,} resamples\n"
    return how + "".join(reasons)
