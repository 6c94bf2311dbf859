"""The report of `rnngen perplexity`, written as columns, as JSON, or for a person at a terminal."""

from __future__ import annotations

import itertools
import math
import string
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rnngen.cli.layout import aligned, terminal_width, wrapped
from rnngen.cli.output import for_stdout, path_field
from rnngen.config import PSEUDO
from rnngen.printable import MOST_IN_FULL, plural
from rnngen.storage.json_lines import json_line
from rnngen.text.unpacking import shown

if TYPE_CHECKING:
    from rnngen.evaluate.measures import Measured

COUNTS = ("n_tokens", "n_words", "n_chars", "n_bytes")
LABELS = {
    "loss_nats": "nats per token",
    "perplexity": "perplexity per token",
    "perplexity_per_word": "perplexity per word (ppl)",
    "perplexity_per_word_no_eol": "perplexity per word (ppl1)",
    "bits_per_char": "bits per character",
    "bits_per_byte": "bits per byte",
}


def write_report(labels: Sequence[str], measured: Sequence[Measured], json: bool) -> None:
    """Write the record of each predictor, of each of several files, and of each pair of predictors to stdout."""
    from rnngen.evaluate.report import model_records, pair_records

    # On a terminal every predictor has a letter; elsewhere a pair is A and B, and names the models.
    letters = _letters(len(labels)) if sys.stdout.isatty() and not json else None
    by_predictor = list(map(model_records, labels, measured))
    records = [of_files[-1] for of_files in by_predictor]  # of the whole text
    pairs = pair_records(labels, measured, letters)
    if json:
        sys.stdout.write("".join(map(json_line, [*itertools.chain(*by_predictor), *pairs])))
    elif letters is None:
        blocks = ([*itertools.chain(*by_predictor)], pairs)
        sys.stdout.write("\n".join(_columns(block) for block in blocks if block))
    else:
        body = _one(records[0]) if len(records) == 1 else _several(records, pairs, letters)
        sys.stdout.write(_conventions(measured[0]) + "\n" + body + _files(by_predictor, letters))


def _letters(count: int) -> list[str]:
    """A, B, ... Z, AA, AB, ..."""
    words = (itertools.product(string.ascii_uppercase, repeat=length) for length in itertools.count(1))
    return ["".join(word) for word in itertools.islice(itertools.chain.from_iterable(words), count)]


def _columns(records: Sequence[dict[str, Any]]) -> str:
    lines = [list(records[0]), *([_cell(name, value) for name, value in record.items()] for record in records)]
    return "".join("\t".join(line) + "\n" for line in lines)


def _cell(name: str, value: Any) -> str:
    if name == "file":
        return "total" if value is None else for_stdout(path_field)(value)
    return _shown(value)


def _shown(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _measures(record: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The measures of a record: the key, the key without the unknown symbols, and what a person reads."""
    if PSEUDO + "perplexity" not in record:
        return [(name, f"known_{name}", said) for name, said in LABELS.items()]
    return [(PSEUDO + name, f"known_{PSEUDO}{name}", f"pseudo: {said}") for name, said in LABELS.items()]


def _with_error(record: dict[str, Any], name: str) -> str:
    return f"{_rounded(record[name])} ± {_rounded(record[name + '_standard_error'])}"


def _rounded(value: float) -> str:
    """For a person: four digits after the point, fewer of large numbers."""
    if not math.isfinite(value) or value < 100:
        return _shown(value)
    return f"{value:,.{1 if value < 1000 else 0}f}" if value < MOST_IN_FULL else f"{value:.4g}"


def _conventions(measured: Measured) -> str:
    sums = measured.sums
    carried = measured.state == "carry"
    unknown = {
        "error": "an error",
        "unk": "taken as the unknown symbol; without unknown leaves out those tokens and what they stand for",
        "skip": "left out of the text before it is measured",
    }
    units = plural(sums.n_units, "line" if sums.lines_per_unit == 1 else "unit")
    size = f" of {sums.lines_per_unit} lines in a row" * (sums.lines_per_unit > 1)
    start = "the text starts" if carried else "every line starts"
    ends = "a line break ends a line, also a blank one, and is a token"
    if measured.pseudo:
        ends = "each token is predicted from those on both sides" + (
            "" if carried else "; line breaks are not predicted"
        )
    entries = {
        "state": "carried from line to line" if carried else "reset at every line",
        "lines": f"{start} as if after a line break; {ends}",
        "logarithms": "natural (nats), base 2 where it says bits",
        "words": "what blanks separate; ppl counts line ends as words, ppl1 does not; both have their nats",
        "unknown": unknown[measured.on_unknown],
        "±": f"standard error over {units}{size}; - where it is undefined",
    }
    width = terminal_width()
    return "".join(wrapped(f"{name:<12}{said}", width, 12) + "\n" for name, said in entries.items())


def _one(record: dict[str, Any]) -> str:
    counts = {
        name.removeprefix("n_").replace("_", " "): f"{record[name]:,}"
        for name in ("n_lines", "n_line_ends", *COUNTS, "n_unknown")
    }
    lines = [f"{'model':<12}{record['model']}", ""]
    lines += [f"{name:<12}{count:>{max(map(len, counts.values()))}}" for name, count in counts.items()]
    cells = [("", "all tokens", "without unknown")]
    cells += [(said, _with_error(record, name), _with_error(record, known)) for name, known, said in _measures(record)]
    return "\n".join(lines) + "\n\n" + aligned(cells, terminal_width())


def _files(by_predictor: Sequence[Sequence[dict[str, Any]]], letters: Sequence[str]) -> str:
    """A row for each file, if there are several."""
    if len(by_predictor[0]) == 1:
        return ""
    key, _, said = _measures(by_predictor[0][0])[1]
    cells = [[said, "lines", *(letters if len(letters) > 1 else ["all tokens"])]]
    for found in zip(*by_predictor, strict=True):
        name, n_lines = shown(_cell("file", found[0]["file"])), f"{found[0]['n_lines']:,}"
        cells.append([name, n_lines, *(_with_error(one, key) for one in found)])
    return "\n" + aligned(cells, terminal_width())


def _several(records: Sequence[dict[str, Any]], pairs: Sequence[dict[str, Any]], letters: Sequence[str]) -> str:
    """A column for each row of the report, so that a few of them fit on a terminal."""
    names = [f"{letter}  {record['model']}\n" for letter, record in zip(letters, records, strict=True)]
    counts = ("n_lines", *COUNTS, "n_unknown")
    cells = [["", *letters]]
    cells += [[name.removeprefix("n_"), *(f"{record[name]:,}" for record in records)] for name in counts]
    measures = _measures(records[0])
    cells += [[said, *(_with_error(record, name) for record in records)] for name, _, said in measures]
    if any(record["n_unknown"] for record in records):
        cells.append(["without unknown:", *[""] * len(records)])
        cells += [[said, *(_with_error(record, known) for record in records)] for _, known, said in measures]
    compared = "".join(
        _pair_text(pair, a, b) for pair, (a, b) in zip(pairs, itertools.combinations(letters, 2), strict=True)
    )
    return "".join(names) + "\n" + aligned(cells, terminal_width()) + "\n" + compared + _reasons(pairs)


def _pair_text(pair: dict[str, Any], a: str, b: str) -> str:
    value, low, high = (_shown(pair[name]) for name in ("difference", "difference_low", "difference_high"))
    lines = [f"{b} - {a}: {value} {pair['unit']}, {low} to {high}: {pair['verdict']}"]
    if pair["caveat"]:
        lines.append(f"       but {pair['caveat']}")
    return "".join(wrapped(line, terminal_width(), 7) + "\n" for line in lines)


def _reasons(pairs: Sequence[dict[str, Any]]) -> str:
    from rnngen.evaluate.comparison import CONFIDENCE, N_RESAMPLES

    how = f"intervals: {CONFIDENCE:.0%}, paired bootstrap over the same units as ±, {N_RESAMPLES:,} resamples"
    reasons = dict.fromkeys(f"{pair['unit']}: {pair['reason']}" for pair in pairs)
    return "".join(wrapped(line, terminal_width(), 7) + "\n" for line in (how, *reasons))
