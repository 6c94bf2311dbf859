"""The old file or the new one is whole, whatever goes wrong."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rnngen.errors import OutputError
from rnngen.files import check_writable, write_atomically


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
