"""Two processes on one name: the second is refused, and what killed ones left is cleared away."""

from __future__ import annotations

import errno
import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from rnngen.errors import OutputError
from rnngen.storage.locks import hold

Run = Callable[[Callable[[], None]], None]


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def number_in(path: Path) -> int:
    return int(path.with_name(f".{path.name}.lock").read_bytes())


@contextmanager
def another_process(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds `path` until it is killed or gets a line."""
    code = """if True:
        import sys; from pathlib import Path; from rnngen.storage.locks import hold
        with hold(Path(sys.argv[1])):
            print("held", flush=True); sys.stdin.readline()"""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code, str(path)], **pipes) as child:
        try:
            assert child.stdout is not None
            assert select.select([child.stdout], [], [], 60)[0]
            assert child.stdout.readline() == b"held\n"
            yield child
        finally:
            child.kill()


def test_the_second_process_on_a_name_is_refused_with_the_number_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "new" / "model"
    with another_process(path) as first:
        with pytest.raises(OutputError) as error, hold(path):
            pass
        assert str(error.value) == (
            f"{path} is being written by another rnngen, process {first.pid}: wait for it, or name another file"
        )
        with hold(tmp_path / "new" / "other"):
            pass
        first.communicate(b"\n", timeout=60)
    with hold(path) as locked:
        assert locked
        assert names(path.parent) == [".model.lock"]
    assert not path.parent.exists()  # it was made for the lock, and nothing came into it


def test_the_lock_of_a_killed_process_blocks_nobody(tmp_path: Path) -> None:
    path = tmp_path / "model"
    with another_process(path) as first:
        first.kill()
        first.wait()
        assert number_in(path) == first.pid
        with hold(path):
            assert number_in(tmp_path / "model") == os.getpid()
    assert names(tmp_path) == []


def test_a_lock_file_that_was_removed_by_hand_is_not_missed_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "model"
    with another_process(path) as first:
        (tmp_path / ".model.lock").unlink()
        with another_process(path) as second:
            first.communicate(b"\n", timeout=60)
            assert number_in(path) == second.pid
            with pytest.raises(OutputError, match=f"process {second.pid}:"), hold(path):
                pass


def test_a_lock_file_of_nulls_is_what_a_power_cut_left(tmp_path: Path) -> None:
    (tmp_path / ".model.lock").write_bytes(bytes(5))
    with hold(tmp_path / "model"):
        assert number_in(tmp_path / "model") == os.getpid()


def test_the_lock_that_another_user_s_killed_process_left_blocks_nobody(
    as_ordinary_user: Run, shared_path: Path
) -> None:
    path = shared_path / "model"
    with another_process(path) as first:
        first.kill()
        first.wait()

    def take() -> None:
        with hold(path) as locked:
            assert locked
            assert number_in(path) == os.getpid()

    as_ordinary_user(take)
    assert names(shared_path) == []


def test_the_lock_that_another_user_holds_is_respected(as_ordinary_user: Run, shared_path: Path) -> None:
    path = shared_path / "model"

    def try_to_take() -> None:
        with pytest.raises(OutputError, match=f"process {first.pid}:"), hold(path):
            pass

    with another_process(path) as first:
        as_ordinary_user(try_to_take)


def test_in_a_folder_that_may_not_be_written_the_reason_is_told(as_ordinary_user: Run, shared_path: Path) -> None:
    path = shared_path / "locked" / "model"
    path.parent.mkdir(mode=0o555)

    def try_to_take() -> None:
        with pytest.raises(OutputError) as error, hold(path):
            pass
        lock = path.with_name(".model.lock")
        assert str(error.value) == f"cannot write {lock}, which locks {path}: Permission denied; name another place"

    as_ordinary_user(try_to_take)


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    left = [".model.0123456789abcdef.tmp", ".model.resume.fedcba9876543210.tmp", ".model.01234567.tmp"]
    others = ["model", ".model.tmp", ".model.mine.tmp", ".models.0123456789abcdef.tmp", ".other.0123456789abcdef.tmp"]
    for name in left + others:
        (tmp_path / name).write_bytes(b"")
    with hold(tmp_path / "model", tmp_path / "model.resume"):
        assert names(tmp_path) == sorted([*others, ".model.lock"])


def test_of_many_that_hold_and_let_go_no_two_hold_at_once(tmp_path: Path) -> None:
    # A lock file that is removed while another waits for it has let two in, in many a program.
    code = """if True:
        import os, sys; from pathlib import Path
        from rnngen.errors import OutputError; from rnngen.storage.locks import hold
        path, held = Path(sys.argv[1]), 0
        for _ in range(100_000):
            try:
                with hold(path):
                    os.close(os.open(str(path) + ".alone", os.O_CREAT | os.O_EXCL))
                    os.unlink(str(path) + ".alone")
                    held += 1
            except OutputError as error:
                assert "is being written by another rnngen" in str(error), error
            if held == 200:
                sys.exit()
        sys.exit("never held often enough")"""
    command = [sys.executable, "-c", code, str(tmp_path / "model")]
    children = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    try:
        assert [(child.communicate(timeout=60)[1], child.returncode) for child in children] == [(b"", 0)] * 3
    finally:
        for child in children:
            with suppress(OSError):
                child.kill()
    assert names(tmp_path) == []


def test_a_file_in_the_place_of_the_lock_is_not_written_over(tmp_path: Path) -> None:
    path, lock = tmp_path / "model", tmp_path / ".model.lock"
    precious = tmp_path / "precious"
    precious.write_bytes(b"7\n")
    for make in (lambda: lock.write_bytes(b"mine"), lambda: os.link(precious, lock), lambda: os.mkfifo(lock)):
        make()
        with pytest.raises(OutputError, match=f"^{lock} stands where a lock has to be, .*: move it away$"), hold(path):
            pass
        lock.unlink()
    lock.symlink_to(precious)
    with pytest.raises(OutputError, match=f"^cannot write {lock}, which locks {path}: .*symbolic"), hold(path):
        pass
    assert precious.read_bytes() == b"7\n"


def test_where_there_are_no_locks_a_run_goes_on_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    (tmp_path / ".model.0123456789abcdef.tmp").write_bytes(b"another may be writing this")
    monkeypatch.setattr("fcntl.flock", refuse)
    with hold(tmp_path / "model") as locked:
        assert not locked
        assert names(tmp_path) == [".model.0123456789abcdef.tmp"]


def test_a_program_that_is_started_meanwhile_does_not_keep_the_lock(tmp_path: Path) -> None:
    with hold(tmp_path / "model"):
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
    try:
        with hold(tmp_path / "model") as locked:
            assert locked
    finally:
        child.communicate(b"\n", timeout=60)
