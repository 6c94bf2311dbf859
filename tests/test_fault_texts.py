"""A small part of the campaign of hostile texts, and of lines without an end."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

from faults import fuzz, fuzz_seeds

ROOT = Path(__file__).parents[1]


def test_hostile_texts_are_read_or_refused_in_one_line_and_both_happen():
    endings: Counter[str] = Counter()
    target = "faults.text_target:read_text"
    outcome = fuzz.fuzz("text-fuzz", target, fuzz_seeds.write_checkpoints, 40, 3, 60.0, endings)
    assert outcome.lost == []
    assert endings["loaded"] + endings["refused"] == outcome.tried == 40
    assert min(endings["loaded"], endings["refused"]) > 5


def test_a_line_without_an_end_is_refused_or_cut_in_little_memory():
    # By a small process: a child's peak starts at that of its parent process.
    command = [sys.executable, "-m", "faults", "long-lines", "--scale", "0.05"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[1].split() == ["long-lines", "9", "9", "0"]
