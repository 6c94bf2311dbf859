"""The old file or the new one is whole, whatever goes wrong."""

from __future__ import annotations

import errno
import os
import resource
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rnngen.errors import OutputError
from rnngen.storage.atomic import check_writable, open_new, write_atomically

Run = Callable[[Callable[[], None]], None]


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
    assert str(error.value) == f"{path} exists already and is not overwritten: name another file, or add --force"
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
    # An ordinary user cannot make the temporary file.
    with pytest.raises(OutputError, match=f"^({os.devnull} is a device|cannot write {os.devnull}: Permission denied)"):
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
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["precious", "stdout"]


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
    assert str(error.value) == f"{path} was made by another program meanwhile and is not overwritten: move it away"
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_may_not_be_written_is_named_before_any_work(as_ordinary_user: Run, shared_path: Path) -> None:
    path = shared_path / "locked" / "model"
    path.parent.mkdir(mode=0o555)

    def try_to_write() -> None:
        with pytest.raises(OutputError, match=f"^cannot write {path}: Permission denied; name another place$"):
            check_writable(path, force=False)
        with pytest.raises(OutputError, match=f"^cannot write {path}: Permission denied; free some space or name"):
            write_atomically(path, b"")
        with pytest.raises(OutputError, match=f"^cannot write {path}: Permission denied; name another place$"):
            open_new(path, force=True)

    as_ordinary_user(try_to_write)


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
