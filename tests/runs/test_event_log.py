"""The log of a run: lines reach the file at once, and a log goes on only in a file that is the log of this run."""

from __future__ import annotations

import json
import os
import resource
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rnngen.errors import OutputError
from rnngen.runs.event_log import EventLog

RUN = "0123456789abcdef"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def write_log(path: Path, *steps: int, run: str = RUN) -> None:
    log = EventLog.new(path, force=False)
    log.write("start", {"run": run, "seed": 1})
    for step in steps:
        log.write("step", {"step": step})
    log.close()


@contextmanager
def no_file_beyond(size: int):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_line_is_in_the_file_as_soon_as_it_is_written(tmp_path):
    path = tmp_path / "new" / "log.jsonl"
    log = EventLog.new(path, force=False)
    log.write("step", {"step": 1, "train_loss_nats": float("nan")})
    assert lines(path) == [{"event": "step", "step": 1, "train_loss_nats": None}]
    log.write("validation", {"step": 1})
    assert lines(path)[1] == {"event": "validation", "step": 1}
    assert log.error is None
    log.close()


def test_without_a_path_nothing_is_kept(tmp_path):
    log = EventLog.new(None, force=False)
    log.write("step", {})
    assert log.error is None
    log.close()
    assert list(tmp_path.iterdir()) == []


def test_a_new_log_replaces_an_old_one_only_with_force(tmp_path):
    path = tmp_path / "log.jsonl"
    write_log(path, 1, 2)
    with pytest.raises(OutputError, match="exists already and is not overwritten: name another file, or add --force"):
        EventLog.new(path, force=False)
    assert len(lines(path)) == 3
    EventLog.new(path, force=True).close()
    assert path.read_bytes() == b""


@pytest.mark.parametrize(
    ("step", "kept"), [(0, []), (2, [1, 2]), (3, [1, 2, 3]), (9, [1, 2, 3])], ids=["none", "some", "all", "none after"]
)
def test_a_log_goes_on_after_the_lines_of_the_steps_that_are_done(tmp_path, step, kept):
    path = tmp_path / "log.jsonl"
    write_log(path, 1, 2, 3)
    with path.open("ab") as file:
        file.write(b'{"event": "st')  # the machine stopped in the middle of a line
    log = EventLog.go_on(path, RUN, step)
    log.write("step", {"step": step + 1})
    log.close()
    assert [line["event"] for line in lines(path)] == ["start"] + ["step"] * (len(kept) + 1)
    assert [line["step"] for line in lines(path)[1:]] == [*kept, step + 1]


def test_of_a_run_that_went_back_the_lines_before_that_stay(tmp_path):
    path = tmp_path / "log.jsonl"
    write_log(path, 1, 2, 3)
    log = EventLog.go_on(path, RUN, 3)
    log.write("diverged", {"step": 4, "back_to": 0, "learning_rate": 0.1})
    for step in (1, 2):
        log.write("step", {"step": step})
    log.close()
    EventLog.go_on(path, RUN, 1).close()
    assert [line.get("step") for line in lines(path)] == [None, 1, 2, 3, 4, 1]
    EventLog.go_on(path, RUN, 0).close()
    assert [line.get("step") for line in lines(path)] == [None, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"#!/bin/sh\nexport KEY=1\n",
        b'{"event": "step", "step": 0}\n',
        b'{"event": "start", "run": "another"}\n{"event": "step", "step": 1}\n',
        b'{"event": "start", "run": "0123456789abcdef"}',
        b'{"event": "start", "run": "0123456789abcdef"' + b" " * 200_000 + b"}\n",
        b"[" * 100_000 + b"\n",
    ],
    ids=["empty", "a script", "no first line", "another run", "no whole line", "a line too long", "nested deeply"],
)
def test_a_file_that_is_not_the_log_of_this_run_is_left_alone(tmp_path, content):
    path = tmp_path / "precious"
    path.write_bytes(content)
    with pytest.raises(OutputError) as error:
        EventLog.go_on(path, RUN, 5)
    assert str(error.value) == f"{path} exists already and is not the log of this run: name another file"
    assert path.read_bytes() == content


def test_a_log_that_cannot_be_opened_is_an_error_with_a_reason(tmp_path):
    with pytest.raises(OutputError) as error:
        EventLog.go_on(tmp_path / "gone", RUN, 5)
    assert str(error.value) == (
        f"cannot write the log {tmp_path / 'gone'}: No such file or directory; name another file"
    )


def test_a_full_disk_ends_the_log_after_a_whole_line_and_not_the_run(tmp_path):
    path = tmp_path / "log.jsonl"
    log = EventLog.new(path, force=False)
    with no_file_beyond(1000):
        for step in range(100):
            log.write("step", {"step": step})
    assert str(log.error) == f"cannot write the log {path}: File too large; the rest of the run is not in it"
    log.write("step", {"step": 100})
    log.close()
    kept = [line["step"] for line in lines(path)]
    assert kept == list(range(len(kept)))
    assert 0 < len(kept) < 100


def test_a_pipe_whose_reader_has_gone_ends_the_log_and_not_the_run(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    log = EventLog.new(path, force=False)
    log.write("step", {"step": 1})
    assert os.read(reader, 100) == b'{"event": "step", "step": 1}\n'
    os.close(reader)
    log.write("step", {"step": 2})
    assert "Broken pipe" in str(log.error)
    log.close()
