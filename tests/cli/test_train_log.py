"""Lines on their way at once, and a log that goes on only in a file that is that log."""

from __future__ import annotations

import hashlib
import json
import os
import resource
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rnngen.errors import OutputError
from rnngen.runs.event_log import Log


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def a_log(path: Path, steps: int) -> dict[str, Any]:
    """The position of a log with so many lines."""
    log = Log.new(path, force=False)
    for step in range(steps):
        log.write("step", {"step": step})
    position = log.position()
    log.close()
    assert position is not None
    return position


def of(content: bytes, path: Path, size: int | None = None) -> dict[str, Any]:
    """What a stranger would say of a file whose beginning he knows."""
    size = len(content) if size is None else size
    return {"path": str(path), "size": size, "sha256": hashlib.sha256(content[:size]).hexdigest()}


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
    log = Log.new(path, force=False)
    log.write("step", {"step": 1, "train_loss_nats": float("nan")})
    assert lines(path) == [{"event": "step", "step": 1, "train_loss_nats": None}]
    log.write("validation", {"step": 1})
    assert lines(path)[1] == {"event": "validation", "step": 1}
    assert log.error is None
    assert log.position() == of(path.read_bytes(), path)


def test_without_a_path_nothing_is_kept(tmp_path):
    for log in (Log.new(None, force=False), Log.go_on(None)):
        log.write("step", {})
        assert (log.position(), log.error) == (None, None)
        log.close()
    assert list(tmp_path.iterdir()) == []


def test_a_log_goes_on_after_its_whole_lines_and_forgets_those_that_come_again(tmp_path):
    path = tmp_path / "log.jsonl"
    log = Log.new(path, force=False)
    for step in range(3):
        log.write("step", {"step": step})
    position = json.loads(json.dumps(log.position()))
    log.write("step", {"step": 3})
    log.close()
    with path.open("ab") as file:
        file.write(b'{"event": "st')  # the machine stopped in the middle of a line
    for steps in ([3, 4], [7]):
        log = Log.go_on(position)
        for step in steps:
            log.write("step", {"step": step})
        assert [line["step"] for line in lines(path)] == [0, 1, 2, *steps]
        assert log.position() == of(path.read_bytes(), path)
        log.close()


def test_the_position_holds_in_another_folder(tmp_path, monkeypatch):
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path)
    position = a_log(Path("log.jsonl"), 2)
    monkeypatch.chdir(tmp_path / "else")
    log = Log.go_on(position)
    log.write("step", {"step": 2})
    log.close()
    assert len(lines(tmp_path / "log.jsonl")) == 3


def test_a_log_that_is_new_replaces_an_old_one_only_with_force(tmp_path):
    path = tmp_path / "log.jsonl"
    a_log(path, 3)
    with pytest.raises(OutputError, match="exists already and is not overwritten: add --force"):
        Log.new(path, force=False)
    assert len(lines(path)) == 3
    Log.new(path, force=True).close()
    assert path.read_bytes() == b""


SECRETS = b"#!/bin/sh\nexport KEY=1\n"
EVENT = b'{"event": "step", "step": 0}\n'


@pytest.mark.parametrize(
    ("content", "known", "why"),
    [
        (SECRETS, 0, "not the one that was written"),
        (SECRETS, 10, "no log of rnngen"),
        (SECRETS, len(SECRETS), "no log of rnngen"),
        (EVENT + SECRETS, len(EVENT), "no log of rnngen"),
        (EVENT * 3, 0, "not the one that was written"),
        (EVENT, 5, "changed since the run was stopped"),
        (EVENT, 1000, "not the one that was written"),
        (EVENT.rstrip() + b" " * 200_000, len(EVENT), "no log of rnngen"),
    ],
)
def test_a_stranger_who_knows_how_a_file_begins_cannot_have_it_written_to(tmp_path, content, known, why):
    path = tmp_path / "precious"
    path.write_bytes(content)
    with pytest.raises(OutputError, match=f"^cannot go on with the log {path}: it .*{why}; the rest of the run"):
        Log.go_on(of(content, path, known))
    assert path.read_bytes() == content


def test_a_log_that_was_changed_stays_as_it_is(tmp_path):
    path = tmp_path / "log.jsonl"
    position = a_log(path, 2)
    changed = path.read_bytes().replace(b"1}", b"2}")
    path.write_bytes(changed)
    with pytest.raises(OutputError, match="changed since the run was stopped"):
        Log.go_on(position)
    assert path.read_bytes() == changed


def test_a_log_behind_a_link_is_not_followed(tmp_path):
    position = a_log(tmp_path / "log.jsonl", 2)
    (tmp_path / "log.jsonl").rename(tmp_path / "other")
    (tmp_path / "log.jsonl").symlink_to("other")
    before = (tmp_path / "other").read_bytes()
    with pytest.raises(OutputError, match=r"^cannot go on with the log .*symbolic links"):
        Log.go_on(position)
    assert (tmp_path / "other").read_bytes() == before


@pytest.mark.parametrize("kind", ["nothing", "pipe", "folder"])
def test_what_is_no_file_any_more_is_refused_at_once(tmp_path, kind):
    path = tmp_path / "log.jsonl"
    position = a_log(path, 2)
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    with pytest.raises(OutputError, match=f"^cannot go on with the log {path}: .*; the rest of the run is not logged$"):
        Log.go_on(position)


@pytest.mark.parametrize(
    "damage", [{"path": 3}, {"path": "a\0b"}, {"size": -1}, {"size": "9"}, {"size": None}, {"sha256": []}]
)
def test_a_damaged_position_is_refused(tmp_path, damage):
    with pytest.raises(OutputError, match="damaged in the resume file"):
        Log.go_on(a_log(tmp_path / "log.jsonl", 2) | damage)


@pytest.mark.parametrize("position", [{}, [], 3, {"path": "x"}])
def test_what_is_no_position_is_refused(position):
    with pytest.raises(OutputError, match="damaged in the resume file"):
        Log.go_on(position)


def test_a_full_disk_ends_the_log_after_a_whole_line_and_not_the_run(tmp_path):
    path = tmp_path / "log.jsonl"
    log = Log.new(path, force=False)
    with no_file_beyond(1000):
        for step in range(100):
            log.write("step", {"step": step})
    assert str(log.error) == f"cannot write the log {path}: File too large; the rest of the run is not in it"
    log.write("step", {"step": 100})
    kept = [line["step"] for line in lines(path)]
    assert kept == list(range(len(kept)))
    assert 0 < len(kept) < 100
    assert log.position() == of(path.read_bytes(), path)


def test_a_pipe_whose_reader_has_gone_ends_the_log_and_not_the_run(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    log = Log.new(path, force=False)
    log.write("step", {"step": 1})
    assert os.read(reader, 100) == b'{"event": "step", "step": 1}\n'
    assert log.position() is None
    os.close(reader)
    log.write("step", {"step": 2})
    assert "Broken pipe" in str(log.error)
    log.close()
