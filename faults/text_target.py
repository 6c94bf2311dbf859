"""Reads hostile texts with every command, in this process, as from the command line."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from pathlib import Path
from random import Random

from faults.fuzz_child import limit_memory
from faults.text_kinds import BOMB, HostileText, hostile_text
from rnngen.cli.app import run
from rnngen.training import loop  # noqa: F401 - before the limit of memory, which is on what a text takes

_SCORING = (
    "score", "score --tokens", "score --words", "score --json", "score --tokens --json", "score --words --json",
    "score --format kenlm", "score --format srilm", "score --format srilm --words", "score --color --alternatives 2",
    "score --state carry", "score --no-bos --no-eos", "score --sort perplexity", "score --top 3 --keep",
    "score --max-perplexity 5", "score --on-unknown skip --words", "score --on-unknown error", "score --nbest moses",
    "score --nbest srilm --best", "score --nbest kaldi --best", "perplexity", "perplexity --json",
    "perplexity --state reset", "perplexity --on-unknown skip", "perplexity --context 4",
    "tokenize --json", "tokenize --ids", "tokenize --decode", "tokenize --stats", "sample --length 3 --prompt-file",
    "sample --length 3 --json -n 2 --prompt-file",
)  # fmt: skip
_BUILDING = (
    "tokenize --level char", "tokenize --level word", "tokenize --level word --split whitespace --json",
    "tokenize --level subword", "train", "train --lines", "train --level word", "train --level byte --lines",
    "train --level subword",
)  # fmt: skip
# For gigabytes of one letter, which others would measure for an hour; a text of NULs is refused by all that train.
_QUICK = ("score", "score --nbest kaldi", "tokenize --ids", "perplexity --state reset", "sample --prompt-file")
# Beyond what the process has. `train` checks first that there is memory for torch, which is loaded here already.
_MOST_BYTES, _MOST_BYTES_TO_TRAIN = 1 << 30, 3 << 30
_SMALL = "--steps 2 --hidden-size 4 --batch-size 2 --bptt 4 --threads 1 --force --output"
_LONGEST_LINE = 2_000  # of an error


def read_text(seed: Path, path: Path, random: Random) -> str:
    """Make a text, and read it with a command and the model `seed`: `loaded`, `refused` or what was wrong."""
    os.environ["XDG_CACHE_HOME"] = str(path.parent / "cache")
    text = hostile_text(random)
    named = path.with_suffix(text.suffix)
    named.write_bytes(text.data)
    commands = _QUICK if text.kind == BOMB else _SCORING if random.random() < 0.8 else _BUILDING
    command = random.choice(commands)
    arguments = command.split()
    if arguments[0] == "train":
        arguments[1:1] = [*_SMALL.split(), str(path.with_name("made"))]
    elif "--level" not in arguments:
        arguments[1:1] = ["--model", str(seed)]
    arguments += [str(named), "--encoding", text.encoding, "--quiet"]
    limit_memory(_MOST_BYTES_TO_TRAIN if arguments[0] == "train" else _MOST_BYTES)
    wrong = _ending(arguments)
    return wrong if wrong in ("loaded", "refused") else f"{command} of {_named(text)}: {wrong}"


def _ending(arguments: list[str]) -> str:
    kept = sys.stderr
    with contextlib.redirect_stderr(io.TextIOWrapper(io.BytesIO(), "utf-8")) as errors:
        try:
            code = run(arguments)
        finally:
            sys.stderr = kept
    errors.seek(0)
    said = errors.read()
    if code == 0:
        return "loaded" if not said else f"it was quiet and said {ascii(said)[:200]}"
    is_line = said.startswith("rnngen: ") and said.count("\n") == 1 and said[:-1].isprintable()
    if code not in (1, 2) or not is_line or len(said) > _LONGEST_LINE or "out of memory" in said:
        return f"exit code {code} with {ascii(said)[:300]} of {len(said)} characters"
    return "refused"


def _named(text: HostileText) -> str:
    return f"{text.kind} ({len(text.data):,} bytes, {text.encoding})"
