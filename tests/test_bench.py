"""The benchmark runs, and its arithmetic is right. No test asserts what it measures."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import tokenizing
from bench.__main__ import BY_NAME_ONLY, ITEMS, main
from bench.quality import first_below
from bench.rows import HEADER, BenchError, Row, machine, shown, table
from bench.scoring import check_same
from bench.setting import Setting
from bench.steps import SHAPES
from bench.timing import THREAD_VARIABLES, Task, alternate, at_threads, best, environment, medians, run_process, started

ROOT = Path(__file__).parents[1]


def test_contenders_take_turns_and_each_has_all_its_rounds():
    turns = []

    def contender(name):
        return lambda: turns.append(name) or len(turns)

    assert alternate({"a": contender("a"), "b": contender("b")}, 3) == {"a": [1, 3, 5], "b": [2, 4, 6]}
    assert turns == list("ababab")


def test_one_slow_round_does_not_move_a_median():
    assert medians({"a": [1.0, 100.0, 2.0], "b": [3.0, 5.0]}) == {"a": 2.0, "b": 4.0}


def test_a_reference_is_the_best_of_its_variants():
    times = {"ours": 0.5, "gru/1": 3.0, "gru/2": 2.0, "gru-other/1": 1.0}
    assert best(times, "gru") == 2.0
    assert best(times, "ours") == 0.5


def test_a_variant_is_made_for_each_number_of_threads():
    tasks = at_threads("gru", [1, 2], "module:function", size=3)
    assert tasks == {f"gru/{number}": Task("module:function", {"size": 3}, number) for number in (1, 2)}


def test_without_a_number_of_threads_the_libraries_choose(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert not set(THREAD_VARIABLES) & set(environment())
    assert {environment(2)[name] for name in THREAD_VARIABLES} == {"2"}
    assert environment()["PATH"] == os.environ["PATH"]


def test_a_process_is_measured_with_its_memory_and_its_output_kept(tmp_path):
    # By a small process, as `python -m bench` is one: a child's peak starts at that of its parent process.
    code = """
import sys
from pathlib import Path
from bench.timing import run_process
command = [sys.executable, "-c", "a = bytearray(100_000_000); print(len(a))"]
spent = run_process(command, 1, Path(sys.argv[1]))
print(spent.peak_megabytes, spent.seconds)"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "out")], capture_output=True, text=True, check=True, cwd=ROOT
    )
    peak_megabytes, seconds = map(float, done.stdout.split())
    assert (tmp_path / "out").read_text() == "100000000\n"
    assert 100 < peak_megabytes < 300
    assert 0 < seconds < 60


def test_a_process_that_fails_is_no_measurement():
    with pytest.raises(BenchError, match="ended with 3: no such luck"):
        run_process([sys.executable, "-c", "import sys; sys.stderr.write('no such luck'); sys.exit(3)"])


def test_a_contender_waits_in_a_process_of_its_own(tmp_path):
    (tmp_path / "text").write_text("the bell\n" * 100)
    with started({"reading": Task("bench.references:reading", {"path": str(tmp_path / "text")})}) as workers:
        assert workers["reading"]() > 0


def test_a_contender_that_cannot_be_made_is_an_error(capfd):
    with pytest.raises(BenchError, match="nothing failed"), started({"a": Task("bench.references:nothing")}):
        pass
    assert "AttributeError" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("row", "reached", "cells"),
    [
        (Row("a", "less", "s", 1.0, 4.0, 0.25), True, ("1 s", "4 s", "0.25", "≤ 0.25", "yes")),
        (Row("a", "less", "s", 1.5, 4.0, 0.25), False, ("1.5 s", "4 s", "0.375", "≤ 0.25", "**no**")),
        (Row("a", "more", "tokens/s", 15000.4, 3000, 4, at_least=True), True,
         ("15,000 tokens/s", "3,000 tokens/s", "5", "≥ 4", "yes")),
        (Row("a", "more", "", 1.0, 3.0, 4, at_least=True), False, ("1", "3", "0.3333", "≥ 4", "**no**")),
        (Row("a", "alone", "MB", 5.25, target=10), True, ("5.25 MB", "-", "-", "≤ 10", "yes")),
        (Row("a", "never", "s", None, target=10), False, ("-", "-", "-", "≤ 10", "**no**")),
        (Row("a", "reported", "µs", 40.0), None, ("40 µs", "-", "-", "-", "-")),
    ],
)  # fmt: skip
def test_a_row_knows_whether_its_target_is_reached(row, reached, cells):
    assert row.reached is reached
    assert row.cells() == (row.what, *cells)
    assert json.loads(json.dumps(row.to_dict()))["reached"] is reached


def test_the_table_is_markdown_of_equal_columns():
    lines = table([Row("a", "one", "s", 1.0, 2.0, 1), Row("b", "another thing", "s", 1.0)]).split("\n")
    assert len({len(line) for line in lines}) == 1
    assert [cell.strip() for cell in lines[0].strip("|").split("|")] == list(HEADER)
    assert set(lines[1]) == {"|", "-"}
    assert len(lines) == 4


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (0.05231, "0.05231"), (1234567.8, "1,234,568"), (1.46, "1.46")]
)
def test_numbers_have_four_digits(value, text):
    assert shown(value) == text


def test_the_machine_is_named():
    found = machine()
    assert found["cores"] >= 1
    assert all(found[name] for name in ("processor", "python", "numpy", "torch"))


def test_scores_that_differ_are_an_error():
    assert check_same([-10.0, -20.0], [-10.0001, -20.0]) == -30
    with pytest.raises(BenchError, match="line 2"):
        check_same([-10.0, -20.0, -9.0], [-10.0, -20.01, -8.99])
    with pytest.raises(BenchError, match="all lines"):
        check_same([-10.0, -20.0], [-10.0, -21.0])
    with pytest.raises(BenchError, match="nan"):
        check_same([math.nan], [-10.0])
    with pytest.raises(BenchError, match="1 lines"):
        check_same([-10.0], [-10.0, -20.0])


def test_the_first_validation_below_a_loss_is_found_in_a_log():
    log = [{"event": "step", "seconds": 1.0}] + [
        {"event": "validation", "seconds": seconds, "valid_loss_nats": loss}
        for seconds, loss in [(2.0, 2.5), (3.0, 1.8), (4.0, 1.7)]
    ]
    assert first_below(1.886, log) == 3.0
    assert first_below(1.0, log) is None


def test_items_are_listed_and_unknown_ones_refused(capsys):
    assert main(["--list"]) == 0
    assert capsys.readouterr().out.split() == list(ITEMS)
    with pytest.raises(SystemExit) as refused:
        main(["sing"])
    assert refused.value.code == 2
    assert "there is no item 'sing'" in capsys.readouterr().err


def test_an_item_that_fails_does_not_take_the_others_with_it(monkeypatch, capsys, tmp_path):
    def fails(setting: Setting):
        yield Row("score", "first", "s", 1.0)
        raise BenchError("the two disagree")

    def works(setting: Setting):
        yield Row("help", "second", "s", 2.0)

    monkeypatch.setitem(ITEMS, "score", fails)
    monkeypatch.setitem(ITEMS, "help", works)
    assert main(["score", "help", "--json", str(tmp_path / "result")]) == 1
    result = json.loads((tmp_path / "result").read_text())
    assert result["failed"] == {"score": "the two disagree"}
    assert [row["what"] for row in result["rows"]] == ["second", "first"]
    assert "score FAILED: the two disagree" in capsys.readouterr().err


# Importing torch in a process for each of some thirty contenders would take most of the time. They all run in one here;
# `test_a_contender_waits_in_a_process_of_its_own` has one that does not.
BENCH_WITH_CONTENDERS_IN_ONE_PROCESS = """
import importlib, json, sys
from bench import __main__, timing

class Contender:
    def __init__(self, task):
        module, _, name = task.function.partition(":")
        self._measure = getattr(importlib.import_module(module), name)(**json.loads(json.dumps(task.arguments)))

    def wait_until_ready(self):
        pass

    def __call__(self):
        return json.loads(json.dumps(self._measure()))

    def close(self):
        pass

timing.Worker = Contender
sys.exit(__main__.main(sys.argv[1:]))
"""


def test_every_item_gives_a_number(tmp_path):
    path = tmp_path / "bench.json"
    # The training run would take as long as all others together, and the gigabytes longer. One shape of a step is
    # measured as the others are.
    left_out = {"quality", *BY_NAME_ONLY, *list(SHAPES)[1:]}
    names = [name for name in ITEMS if name not in left_out]
    code = BENCH_WITH_CONTENDERS_IN_ONE_PROCESS
    command = [sys.executable, "-c", code, "--quick", "--json", str(path), *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = json.loads(path.read_text())
    assert result["failed"] == {}
    for name in names:
        values = [row["ours"] for row in result["rows"] if row["item"] == name]
        assert values, name
        assert all(math.isfinite(value) and value > 0 for value in values), name
    assert done.stdout.count("\n| ") == len(result["rows"])


def test_a_file_of_a_text_over_and_over_has_the_size_that_is_asked_for(tmp_path):
    setting = Setting(ROOT / "corpora" / "marrowmere.txt", tmp_path, quick=True)
    path = tokenizing.large_file(setting, 1)
    assert abs(path.stat().st_size - 1e6) < 2e5
    assert path.read_bytes().startswith(setting.text.read_bytes())
