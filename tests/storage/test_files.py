"""The old file or the new one is whole, whatever goes wrong."""

from __future__ import annotations

import errno
import os
import resource
import select
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from rnngen.errors import OutputError
from rnngen.storage.files import check_writable, hold, open_new, write_atomically


@contextmanager
def disk_full_after(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes: the system refuses the write, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_writing_replaces_the_whole_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "model"
    for content in (b"old and long", b"new\0\xff", b""):
        write_atomically(path, content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_keeps_the_old_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"old")
    with disk_full_after(1000), pytest.raises(OutputError) as error:
        write_atomically(path, b"x" * 100_000)
    assert str(error.value) == f"cannot write {path}: File too large; free some space or name another place"
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_writing_makes_the_missing_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "model"
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"


def test_writing_below_a_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    path = tmp_path / "file" / "model"
    with pytest.raises(OutputError, match=f"^cannot write {path}: .*; "):
        write_atomically(path, b"")


def test_writing_onto_a_folder_leaves_it_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(OutputError, match="Is a directory"):
        write_atomically(tmp_path / "model", b"")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("force", [False, True])
def test_a_new_file_may_be_written_and_nothing_is_made_before(tmp_path: Path, force: bool) -> None:
    check_writable(tmp_path / "a" / "b" / "model", force=force)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_needs_force_and_stays_untouched(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"old")
    with pytest.raises(OutputError) as error:
        check_writable(path, force=False)
    assert str(error.value) == f"{path} exists already and is not overwritten: add --force, or name another file"
    with pytest.raises(OutputError, match=r"not overwritten: sing louder$"):
        check_writable(path, force=False, remedy="sing louder")
    check_writable(path, force=True)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("folder", "{path} is a folder: name a file"),
        ("file/model", "cannot write .*: (Not a directory|File exists); name another place"),
        ("x" * 300, "cannot write .*: File name too long; name another place"),
    ],
    ids=["folder", "below a file", "name too long"],
)
def test_a_place_that_cannot_be_written_is_refused_before_any_work(
    tmp_path: Path, name: str, message: str, force: bool
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    path = tmp_path / name
    with pytest.raises(OutputError, match=f"^{message.format(path=path)}$"):
        check_writable(path, force=force)


# Links, devices, permissions, races.


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    os.chdir(path.parent)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)


def make_link_to_device(path: Path) -> None:
    path.symlink_to(os.devnull)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("make", [make_fifo, make_socket, make_link_to_device])
def test_what_is_no_file_is_not_replaced_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None], force: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model"
    make(path)
    with pytest.raises(OutputError, match=f"^{path} is a device, a named pipe or a socket, and no file: name a file$"):
        check_writable(path, force=force)
    before = path.lstat()
    if not path.is_symlink():
        with pytest.raises(OutputError, match="no file: name a file"):
            write_atomically(path, b"new", replace=True)
    assert os.path.samestat(path.lstat(), before)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("force", [False, True])
def test_the_null_device_is_never_replaced(force: bool) -> None:
    with pytest.raises(OutputError, match=f"^{os.devnull} is a device"):
        check_writable(Path(os.devnull), force=force)
    with pytest.raises(OutputError, match=f"^{os.devnull} is a device"):
        write_atomically(Path(os.devnull), b"")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no descriptors as files here")
@pytest.mark.parametrize("write", [lambda path: open_new(path, force=True), lambda path: write_atomically(path, b"new"),
                                   lambda path: check_writable(path, force=True, stream=True)])  # fmt: skip
def test_the_name_of_a_standard_stream_is_not_replaced_when_it_leads_to_a_file(
    tmp_path: Path, write: Callable[[Path], object]
) -> None:
    path = tmp_path / "stdout"
    with (tmp_path / "precious").open("wb") as file:
        path.symlink_to(f"/proc/self/fd/{file.fileno()}")  # as /dev/stdout is, with > precious
        with pytest.raises(OutputError, match="no file: name a file"):
            write(path)
    assert path.is_symlink()
    assert names(tmp_path) == ["precious", "stdout"]


@pytest.mark.parametrize("target", ["precious", "nothing"])
def test_a_link_needs_force_and_is_replaced_and_not_followed(tmp_path: Path, target: str) -> None:
    (tmp_path / "precious").write_bytes(b"old")
    path = tmp_path / "model"
    path.symlink_to(target)
    with pytest.raises(OutputError, match="exists already"):
        check_writable(path, force=False)
    with pytest.raises(OutputError, match="was made by another program meanwhile"):
        write_atomically(path, b"new", replace=False)
    check_writable(path, force=True)
    write_atomically(path, b"new")
    assert not path.is_symlink()
    assert path.read_bytes() == b"new"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["model", "precious"]
    assert (tmp_path / "precious").read_bytes() == b"old"


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_are_as_the_umask_says(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "model", b"")
        open_new(tmp_path / "log", force=False).close()
    finally:
        os.umask(before)
    assert {entry.stat().st_mode & 0o777 for entry in tmp_path.iterdir()} == {mode}


def test_pieces_are_written_one_after_the_other(tmp_path: Path) -> None:
    write_atomically(tmp_path / "model", (bytes([n]) * n for n in range(4)))
    write_atomically(tmp_path / "view", [memoryview(b"abc")[1:], b"d"])
    assert [(tmp_path / name).read_bytes() for name in ("model", "view")] == [b"\1\2\2\3\3\3", b"bcd"]


def test_pieces_that_end_in_an_error_leave_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"old")

    def pieces() -> Iterator[bytes]:
        yield b"new"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, pieces())
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_came_meanwhile_is_kept_with_and_without_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def refuse(*names: object, **options: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    if not links:
        monkeypatch.setattr(os, "link", refuse)  # as on file systems of cameras and sticks
    path = tmp_path / "model"
    write_atomically(path, b"first", replace=False)
    with pytest.raises(OutputError) as error:
        write_atomically(path, b"second", replace=False)
    assert str(error.value) == f"{path} was made by another program meanwhile and is not overwritten: add --force"
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


# Files that grow.


def test_a_new_file_grows_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "log"
    with open_new(path, force=False) as file:
        file.write(b"one")
        assert path.read_bytes() == b"one"
    with pytest.raises(OutputError, match="exists already"):
        open_new(path, force=False)
    with open_new(path, force=True) as file:
        assert path.read_bytes() == b""


def test_a_link_in_the_way_of_a_new_file_is_removed_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"old")
    (tmp_path / "log").symlink_to("precious")
    with open_new(tmp_path / "log", force=True) as file:
        file.write(b"new")
    assert [(tmp_path / name).read_bytes() for name in ("log", "precious")] == [b"new", b"old"]


@pytest.mark.parametrize("force", [False, True])
def test_a_named_pipe_is_written_to_also_through_a_link(tmp_path: Path, force: bool) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        for path in (tmp_path / "pipe", tmp_path / "link"):
            check_writable(path, force=force, stream=True)
            with open_new(path, force=force) as file:
                file.write(b"line")
            assert os.read(reader, 10) == b"line"
    finally:
        os.close(reader)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["link", "pipe"]


# Two processes on one name.


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@contextmanager
def another_process(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds `path` until it is killed or gets a line."""
    code = """if True:
        import sys; from pathlib import Path; from rnngen.storage.files import hold
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


def test_the_lock_of_a_killed_process_holds_nobody_up(tmp_path: Path) -> None:
    path = tmp_path / "model"
    with another_process(path) as first:
        first.kill()
        first.wait()
        assert (tmp_path / ".model.lock").read_bytes() == b"%d\n" % first.pid
        with hold(path):
            assert (tmp_path / ".model.lock").read_bytes() == b"%d\n" % os.getpid()
    assert names(tmp_path) == []


def test_a_lock_file_that_was_removed_by_hand_is_not_missed_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "model"
    with another_process(path) as first:
        (tmp_path / ".model.lock").unlink()
        with another_process(path) as second:
            first.communicate(b"\n", timeout=60)
            assert (tmp_path / ".model.lock").read_bytes() == b"%d\n" % second.pid
            with pytest.raises(OutputError, match=f"process {second.pid}:"), hold(path):
                pass


def test_a_lock_file_of_nulls_is_what_a_power_cut_left(tmp_path: Path) -> None:
    (tmp_path / ".model.lock").write_bytes(bytes(5))
    with hold(tmp_path / "model"):
        assert (tmp_path / ".model.lock").read_bytes() == b"%d\n" % os.getpid()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be somebody else")
def test_the_lock_that_another_user_s_killed_process_left_holds_nobody_up(tmp_path: Path) -> None:
    folder = tmp_path / "ours"
    folder.mkdir()
    lock = folder / ".model.lock"
    lock.write_bytes(b"12345\n")
    lock.chmod(0o444)
    for place in (folder, *list(folder.parents)[:3]):
        place.chmod(0o777)
    code = """if True:
        import os, sys; from pathlib import Path
        from rnngen.storage.files import hold
        os.seteuid(65534)
        with hold(Path(sys.argv[1])) as locked:
            print(locked, (Path(sys.argv[1]).parent / ".model.lock").read_text() == f"{os.getpid()}\\n")"""
    done = subprocess.run([sys.executable, "-c", code, str(folder / "model")], capture_output=True, timeout=60)
    assert (done.stdout, done.stderr) == (b"True True\n", b"")


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
        from rnngen.errors import OutputError; from rnngen.storage.files import hold
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
