"""A small part of the fuzz campaign, and that the campaign would see what it looks for."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from faults import fuzz, fuzz_seeds
from faults.fuzz_child import refusal
from rnngen.errors import CheckpointError, DataError

ROOT = Path(__file__).parents[1]
HERE = "tests.test_fuzz" if (ROOT / "tests" / "__init__.py").exists() else "test_fuzz"
KINDS = {
    "read_checkpoint": (fuzz_seeds.write_checkpoints, 150),
    "read_tokenizer_file": (fuzz_seeds.write_tokenizers, 80),
    "read_nbest_list": (fuzz_seeds.write_nbest_lists, 150),
    "read_arpa": (fuzz_seeds.write_arpa, 40),
}


@pytest.mark.parametrize("target", KINDS)
def test_damaged_files_are_read_or_refused_and_both_happen(target: str) -> None:
    write_seeds, n_files = KINDS[target]
    endings: Counter[str] = Counter()
    outcome = fuzz.fuzz(target, target, write_seeds, n_files, 11, 60.0, endings)
    assert outcome.lost == []
    assert outcome.tried == n_files == endings["loaded"] + endings["refused"]
    assert endings["refused"] > 0
    if target != "read_arpa" or importlib.util.find_spec("kenlm"):
        assert endings["loaded"] > 0


def test_damaged_resume_files_go_on_or_are_refused() -> None:
    outcome = fuzz.resume_files(0.01, 11)
    assert (outcome.tried, outcome.lost) == (30, [])


def write_nothing(folder: Path) -> list[Path]:
    """A seed that the readers below do not read."""
    (folder / "seed").touch()
    return [folder / "seed"]


def read_badly(seed: Path, path: Path, random: Random) -> str:
    """Every way to be lost, one after the other; the first call is on the good file."""
    turn = int(path.read_text()) if path.exists() else 0
    path.write_text(str(turn + 1))
    match turn:
        case 2:
            raise KeyError("a\nb")
        case 3:
            bytearray(3 << 30)
        case 4:
            os.abort()
        case 6:  # of the next child, which starts with the good file again
            ctypes.string_at(0)
        case 8:
            time.sleep(600)
        case 10:
            return refusal(DataError("x"), (CheckpointError,))
        case 11:
            return refusal(CheckpointError("a\x1b[2Jb"), (CheckpointError,))
    return "loaded"


def test_every_way_to_be_lost_is_seen_and_the_campaign_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    endings: Counter[str] = Counter()
    outcome = fuzz.fuzz("bad", f"{HERE}:read_badly", write_nothing, 9, 1, 2.0, endings)
    assert outcome.tried == 9
    assert outcome.survived == 2 == endings["loaded"]
    reasons = [sentence.split(": ", 1)[1] for sentence in outcome.lost]
    assert [reason.split()[0] for reason in reasons] == [
        "KeyError",
        "MemoryError",
        "the",
        "the",
        "it",
        "DataError,",
        "a",
    ]
    assert reasons[2] == "the process died with status -6"
    assert reasons[3] == "the process died with status -11"
    assert reasons[4] == "it takes too long"


def test_the_same_seed_and_number_make_the_same_file(tmp_path: Path) -> None:
    fuzz_seeds.write_checkpoints(tmp_path)
    found = []
    for _ in range(2):
        command = [sys.executable, "-m", "faults.fuzz_child", "faults.fuzz_targets:read_checkpoint", str(tmp_path), "5"]
        subprocess.run([*command, "77", "78"], cwd=ROOT, check=True, capture_output=True)
        found.append((tmp_path / "damaged").read_bytes())
    assert found[0] == found[1]


def test_the_campaign_prints_a_line_for_each_kind_and_exits_with_0_when_nothing_is_lost() -> None:
    command = [sys.executable, "-m", "faults", "nbest-fuzz", "--scale", "0.001"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    header, line = result.stdout.splitlines()
    assert header.split() == ["kind", "tried", "survived", "lost"]
    assert line.split() == ["nbest-fuzz", "20", "20", "0"]


def test_a_kind_that_is_not_there_is_refused() -> None:
    result = subprocess.run([sys.executable, "-m", "faults", "flood"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 2
    assert "there is no kind flood: --list names them" in result.stderr
