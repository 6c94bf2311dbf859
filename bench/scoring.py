"""The items of `rnngen score`: a whole process beside a script that does the same with torch; its formats."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

from bench.make_checkpoint import NGRAM_ORDER
from bench.rows import BenchError, Row
from bench.setting import Setting, rnngen
from bench.timing import ROOT, Spent, alternate, best, medians, run_process

RELATIVE_ERROR = 1e-4
QUICK_LINES = 50
FORMATS = {
    "--json": ["--json"],
    "--tokens": ["--tokens"],
    "--tokens --json": ["--tokens", "--json"],
    "--words": ["--words"],
    "--format kenlm": ["--format", "kenlm"],
    "--format srilm": ["--format", "srilm"],
    "--format srilm --words": ["--format", "srilm", "--words"],
    "--sort perplexity": ["--sort", "perplexity"],
}


def score(setting: Setting) -> Iterator[Row]:
    """Time and peak memory; that both find the same log-probabilities is checked first."""
    text, outputs = _text(setting), {"ours": setting.folder / "ours.tsv", "torch": setting.folder / "torch.tsv"}
    ours = _ours(setting, text)
    plain = [sys.executable, str(ROOT / "bench" / "score_with_torch.py"), str(setting.checkpoint), str(text)]
    counted = _ours(setting, text, setting.counted_checkpoint)
    contenders = {"ours": partial(run_process, ours, None, outputs["ours"]), "counts": partial(run_process, counted)}
    for threads in setting.threads:
        contenders[f"torch/{threads}"] = partial(run_process, plain, threads, outputs["torch"])
    measured = alternate(contenders, setting.rounds(3))
    total = check_same(_logprobs(outputs["ours"]), _logprobs(outputs["torch"]))
    times = medians({name: [run.seconds for run in runs] for name, runs in measured.items()})
    memory = {name: _memory(runs) for name, runs in measured.items()}
    details = {"seconds": times, "peak_megabytes": memory, "logprob_nats": total}
    what = "`rnngen score`, GRU 512, all lines, by a script with `torch.nn.GRU`"
    yield Row("score", what, "s", times["ours"], best(times, "torch"), 1, details=details)
    yield Row("score", f"{what}: peak memory", "MB", memory["ours"], best(memory, "torch"), 1 / 3)
    what = f"`rnngen score`, GRU 512 with n-grams up to {NGRAM_ORDER}, all lines, by without"
    yield Row("score", what, "s", times["counts"], times["ours"], 1.25, details=details)


def formats(setting: Setting) -> Iterator[Row]:
    """What each format costs beside the plain columns."""
    plain = _ours(setting, _text(setting))
    contenders = {"plain": partial(run_process, plain)}
    contenders |= {name: partial(run_process, [*plain, *options]) for name, options in FORMATS.items()}
    measured = alternate(contenders, setting.rounds(1))
    times = medians({name: [run.seconds for run in runs] for name, runs in measured.items()})
    for name in FORMATS:
        what = f"`rnngen score {name}`, all lines, by plain columns"
        yield Row("formats", what, "s", times[name], times["plain"], 1.5, details={"seconds": times})


def _ours(setting: Setting, text: Path, checkpoint: Path | None = None) -> list[str]:
    return [rnngen(), "score", "--quiet", "--model", str(checkpoint or setting.checkpoint), str(text)]


def _memory(runs: list[Spent]) -> float:
    return statistics.median(run.peak_megabytes for run in runs)


def _text(setting: Setting) -> Path:
    if not setting.quick:
        return setting.text
    path = setting.folder / "lines.txt"
    with open(setting.text, encoding="utf-8") as file:
        path.write_text("".join(islice(file, QUICK_LINES)), "utf-8")
    return path


def _logprobs(path: Path) -> list[float]:
    """The column of that name, or the first of rows without a header."""
    rows = [line.split("\t") for line in path.read_text("utf-8").removesuffix("\n").split("\n")]
    column = rows.pop(0).index("logprob_nats") if "logprob_nats" in rows[0] else 0
    return [float(row[column]) for row in rows]


def check_same(ours: list[float], reference: list[float]) -> float:
    """The sum of all lines; raises BenchError where the two are not the same, on a line or together."""
    if len(ours) != len(reference):
        raise BenchError(f"rnngen score has {len(ours)} lines, the script with torch {len(reference)}")
    pairs = [("all lines", sum(ours), sum(reference))]
    pairs += [(f"line {number}", *pair) for number, pair in enumerate(zip(ours, reference, strict=True), 1)]
    for name, a, b in pairs:
        # Both print four decimals.
        if not abs(a - b) <= RELATIVE_ERROR * abs(b) + 2e-4:
            raise BenchError(f"rnngen score finds {a} nats for {name}, the script with torch {b}")
    return sum(ours)
