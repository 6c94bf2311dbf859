"""The item of `rnngen score --classify`: two models tell lines of a text and of Python's own library apart."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from pathlib import Path

from bench.rows import Row
from bench.setting import Setting, rnngen
from bench.timing import run_process

CHARS = 1_000_000  # of each text, at most
HELD_OUT = 10  # one line of so many is not trained on
LINES = 500  # of those, of each text
QUICK_CHARS, QUICK_LINES = 20_000, 20


def classify(setting: Setting) -> Iterator[Row]:
    """The share of held-out lines that go to the model of their own text; blank lines are left out."""
    n_chars, n_lines = (QUICK_CHARS, QUICK_LINES) if setting.quick else (CHARS, LINES)
    texts = {"text": setting.text.read_text("utf-8")[:n_chars], "python": _python_source(n_chars)}
    models, lines = [], []
    for name, content in texts.items():
        all_lines = content.split("\n")
        path, model = setting.folder / f"{name}.txt", setting.folder / f"{name}.safetensors"
        trained = [line for number, line in enumerate(all_lines) if number % HELD_OUT]
        path.write_text("\n".join(trained), "utf-8")
        budget = ["--steps", "2", "--hidden-size", "32"] if setting.quick else ["--time", "40s"]
        run_process([rnngen(), "train", str(path), "-o", str(model), "-q", *budget])
        models += ["-m", str(model)]
        held_out = [line for line in all_lines[::HELD_OUT] if line.strip()]
        lines += [(line, name) for line in held_out[:: max(1, len(held_out) // n_lines)][:n_lines]]
    path, found = setting.folder / "lines.txt", setting.folder / "found.tsv"
    path.write_text("".join(line + "\n" for line, _ in lines), "utf-8")
    run_process([rnngen(), "score", "--classify", "-q", *models, str(path)], output=found)
    winners = [row.split("\t")[1] for row in found.read_text("utf-8").split("\n")[1:-1]]
    right = sum(winner == name for winner, (_, name) in zip(winners, lines, strict=True))
    what = "`rnngen score --classify`, two models of 40 s: lines of the text and of Python's library told apart"
    yield Row("classify", what, "%", 100 * right / len(lines), target=97, at_least=True, details={"lines": len(lines)})


def _python_source(n_chars: int) -> str:
    parts: list[str] = []
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        if sum(map(len, parts)) >= n_chars:
            break
        parts.append(path.read_text("utf-8", "replace"))
    return "".join(parts)[:n_chars]
