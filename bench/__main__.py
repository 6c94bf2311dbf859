"""`python -m bench`: run the items, print the table, write the JSON."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from bench import (
    both_sides,
    ceilings,
    classifying,
    drawing,
    memory,
    memory_scoring,
    processes,
    quality,
    scoring,
    steps,
    tagging,
    tokenizing,
    vocabulary,
)
from bench.rows import BenchError, Row, machine, table
from bench.setting import Setting
from bench.timing import ROOT

Item = Callable[[Setting], Iterator[Row]]

ITEMS: dict[str, Item] = {
    "help": processes.help_text,
    "sample-start": processes.sample_start,
    "draw": drawing.draw,
    "sample-many": drawing.sample_many,
    "score": scoring.score,
    "formats": scoring.formats,
    "classify": classifying.classify,
    **{name: partial(steps.step, name, shape) for name, shape in steps.SHAPES.items()},
    **{name: partial(tokenizing.tokenize, name, level) for name, level in tokenizing.LEVELS.items()},
    "vocabulary": vocabulary.vocabulary,
    "memory": memory.memory,
    "memory-score": memory_scoring.score_memory,
    "ceilings": ceilings.ceilings,
    "quality": quality.quality,
    "both-sides": both_sides.both_sides,
    "tags": tagging.tags,
}


# Ten minutes each or more.
BY_NAME_ONLY = {"memory", "memory-score", "both-sides", "tags"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; the exit code is 1 when an item failed, whatever the others reached."""
    options = _parser().parse_args(arguments)
    if options.list:
        print("\n".join(ITEMS))
        return 0
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        # For the processes that are started, too: no cache of this user helps, or grows.
        os.environ["XDG_CACHE_HOME"] = folder
        setting = Setting(options.text.resolve(), Path(folder), options.quick, options.seeds, options.pairs)
        rows, failed = _run(_chosen(options.names), setting)
    result = {
        "machine": machine(),
        "text": options.text.name,
        "quick": options.quick,
        "seconds": round(time.monotonic() - start, 1),
        "rows": [row.to_dict() for row in rows],
        "failed": failed,
    }
    content = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    if options.json == "-":
        sys.stdout.write(content)
    else:
        print(table(rows))
        Path(options.json).write_text(content, "utf-8")
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m bench", description="Measure rnngen beside its references.")
    parser.add_argument("names", nargs="*", metavar="NAME", type=_name,
                        help="items, or their first word (step); without one all but those of memory")  # fmt: skip
    parser.add_argument("--list", action="store_true", help="name the items")
    parser.add_argument("--text", type=_text, default=ROOT / "corpora" / "marrowmere.txt",
                        help="to train on, score and tokenize (some targets are for tinyshakespeare.txt)")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="short rounds, to see that everything runs")
    parser.add_argument("--seeds", type=int, default=1, help="training runs of the quality item")
    parser.add_argument("--pairs", type=Path, metavar="FOLDER", help="texts with two columns, for the item tags")
    parser.add_argument("--json", default="bench.json", metavar="FILE", help="where the numbers go; - is stdout")
    return parser


def _chosen(names: list[str]) -> list[str]:
    if not names:
        return [item for item in ITEMS if item not in BY_NAME_ONLY]
    return [item for item in ITEMS if item in names or item.split("-")[0] in names]


def _name(name: str) -> str:
    if not _chosen([name]):
        raise argparse.ArgumentTypeError(f"there is no item {name!r}; there are {', '.join(ITEMS)}")
    return name


def _text(path: str) -> Path:
    if not Path(path).is_file():
        raise argparse.ArgumentTypeError(f"there is no file {path}")
    return Path(path)


def _run(names: list[str], setting: Setting) -> tuple[list[Row], dict[str, str]]:
    rows: list[Row] = []
    failed: dict[str, str] = {}
    for name in names:
        start = time.monotonic()
        try:
            for row in ITEMS[name](setting):
                rows.append(row)
                print(" | ".join(row.cells()), file=sys.stderr)
        except Exception as error:  # the others are still worth their time
            if not isinstance(error, BenchError):
                traceback.print_exc()
            failed[name] = str(error)
            print(f"{name} FAILED: {error}", file=sys.stderr)
        print(f"({name}: {time.monotonic() - start:.0f} s)", file=sys.stderr, flush=True)
    return rows, failed


if __name__ == "__main__":
    sys.exit(main())
