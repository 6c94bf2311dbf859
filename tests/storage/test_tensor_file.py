"""A safetensors file of arrays and records; what does not fit its header is refused before memory is taken."""

from __future__ import annotations

import json
import math
import os
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from rnngen.errors import CheckpointError, OutputError
from rnngen.storage import tensor_file, untrusted_json
from rnngen.storage.tensor_file import open_tensor_file

ARRAYS: dict[str, Any] = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.array([True, False]),
    "c": np.array(-5, np.int64),
    "d": np.zeros((0, 3), np.float64),
    "e": np.array([1.5], np.float16),
    "f": np.frombuffer(b"\0\xff", np.uint8),
}
ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A good file."""
    tensor_file.write(tmp_path / "file", "ours", 1, {"numbers": [1, 2]}, ARRAYS)
    return tmp_path / "file"


def write_raw(path: Path, header: object, data: bytes) -> None:
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def refusal(path: Path, read: Any = lambda file: None) -> str:
    with pytest.raises(CheckpointError) as error, open_tensor_file(path, "ours", 1, "file") as file:
        read(file)
    assert str(error.value).isprintable()
    return str(error.value)


def test_arrays_of_every_type_and_records_come_back(path: Path) -> None:
    with open_tensor_file(path, "ours", 1, "file") as file:
        assert file.names == set(ARRAYS)
        assert file.record("numbers") == [1, 2]
        for name, array in ARRAYS.items():
            read = file.array(name, array.shape, array.dtype.name)
            assert (read.dtype, read.shape, read.tobytes()) == (array.dtype, array.shape, array.tobytes())
            assert file.array(name, None, array.dtype.name).shape == array.shape


def test_the_library_reads_the_same(path: Path) -> None:
    assert {name: array.tolist() for name, array in load_file(path).items()} == {
        name: array.tolist() for name, array in ARRAYS.items()
    }


def test_reading_takes_the_memory_of_the_array_and_little_more(tmp_path: Path) -> None:
    array = np.ones((2048, 2048), np.float32)
    tensor_file.write(tmp_path / "file", "ours", 1, {}, {"a": array})
    with open_tensor_file(tmp_path / "file", "ours", 1, "file") as file:
        tracemalloc.start()
        file.array("a", array.shape, "float32")
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert most < 1.1 * array.nbytes


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"a": {**ENTRY, "data_offsets": [0, 1 << 40], "shape": [1 << 38]}}, "it has 8 bytes of arrays where"),
        ({"a": {**ENTRY, "shape": [3]}}, "a has another size than its shape"),
        ({"a": {**ENTRY, "shape": [-1, -2]}}, "a has an invalid size"),
        ({"a": {**ENTRY, "shape": [True, 2]}}, "a has an invalid size"),
        ({"a": {**ENTRY, "shape": [1] * 9}}, "a has an invalid size"),
        ({"a": {**ENTRY, "shape": [0, 1 << 58, 4], "data_offsets": [0, 0]}}, "a has an invalid size"),
        ({"a": {**ENTRY, "data_offsets": [8, 0]}}, "a has another size than its shape"),
        ({"a": {**ENTRY, "dtype": 5}}, "a is no description of an array"),
        ({"a": {**ENTRY, "more": 5}}, "a is no description of an array"),
        ({"a\x1b": 5}, r"a\x1b is no description of an array"),
        ({"a": {**ENTRY, "shape": [1], "data_offsets": [4, 8]}}, "a does not start where the array before it ends"),
        ({"a": ENTRY, "b": ENTRY}, "b does not start where the array before it ends"),
        ({"__metadata__": {"x": 1}}, "its metadata are not strings"),
        ({"__metadata__": []}, "its metadata are not strings"),
        ('{"a": 1, "a": 2}', "its header is no usable JSON: a name twice in one object"),
        ("[" * 1000, "its header is no usable JSON: "),
        ([], "its header is no JSON object"),
    ],
    ids=range(17),
)  # fmt: skip
def test_a_header_that_does_not_fit_is_refused(tmp_path: Path, header: object, reason: str) -> None:
    write_raw(tmp_path / "file", header, bytes(8))
    message = refusal(tmp_path / "file")
    assert message.startswith(f"{tmp_path / 'file'} is not a whole safetensors file (")
    assert reason in message


def test_a_record_that_is_too_long_is_neither_written_nor_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = "x" * 999_999  # with its quotes one more than 1 MB
    with pytest.raises(OutputError, match="its long record has 1,000,001 characters, and 1,000,000 are the most"):
        tensor_file.write(tmp_path / "file", "ours", 1, {"long": long}, ARRAYS)
    assert not (tmp_path / "file").exists()
    monkeypatch.setattr(untrusted_json, "MOST_CHARS", 1_000_001)
    tensor_file.write(tmp_path / "file", "ours", 1, {"long": long}, ARRAYS)
    monkeypatch.undo()
    assert refusal(tmp_path / "file", lambda file: file.record("long")) == (
        f"{tmp_path / 'file'} has a long record of 1,000,001 characters, and this rnngen reads 1,000,000 at most: "
        "use the rnngen that made it, or train again"
    )


def test_too_many_arrays_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensor_file, "MOST_TENSORS", len(ARRAYS) - 1)
    assert refusal(path).endswith("(6 arrays): copy it or train it again")


def test_a_header_longer_than_the_file_takes_no_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(struct.pack("<Q", 1 << 20) + b"{}")
    assert "it has 10 bytes where its header alone takes 1,048,584" in refusal(tmp_path / "file")
    (tmp_path / "file").write_bytes(struct.pack("<Q", (1 << 64) - 1) + b"{}")
    assert "it does not start with the length of a header" in refusal(tmp_path / "file")


def test_a_header_beyond_the_bound_is_refused_although_the_file_has_it(tmp_path: Path) -> None:
    with open(tmp_path / "file", "wb") as file:
        file.write(struct.pack("<Q", 1 << 30))
        file.truncate((1 << 30) + 8)  # a hole: nothing is on the disk
    assert "a header of 1,073,741,824 bytes" in refusal(tmp_path / "file")


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "reason"),
    [
        ("z", None, "float32", "it lacks z"),
        ("a", (3, 2), "float32", "a has the shape (2, 3), its model needs (3, 2)"),
        ("a", None, "float64", "a has the type F32, not float64"),
    ],
)
def test_an_array_that_is_another_is_named(path: Path, name: str, shape: Any, dtype: str, reason: str) -> None:
    assert refusal(path, lambda file: file.array(name, shape, dtype)) == f"{path} is broken: {reason}"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_number_that_is_not_finite_is_found_wherever_it_stands(tmp_path: Path, value: float, dtype: str) -> None:
    array = np.zeros((1 << 20) + 3, dtype)
    array[-1] = value
    tensor_file.write(tmp_path / "file", "ours", 1, {}, {"a": array})
    message = refusal(tmp_path / "file", lambda file: file.array("a", None, dtype))
    assert message.endswith("a holds numbers that are not finite")


def test_a_truth_value_that_is_neither_is_refused(tmp_path: Path) -> None:
    header = {"__metadata__": {"format": "ours", "format_version": "1"}}
    write_raw(tmp_path / "file", {**header, "a": {"dtype": "BOOL", "shape": [2], "data_offsets": [0, 2]}}, b"\1\2")
    assert refusal(tmp_path / "file", lambda file: file.array("a", None, "bool")).endswith("a is not bool")


def test_a_file_that_is_cut_while_it_is_open_is_refused(path: Path) -> None:
    def cut_and_read(file: Any) -> None:
        os.truncate(path, path.stat().st_size - 40)
        for name, array in ARRAYS.items():
            file.array(name, None, array.dtype.name)

    assert "it ended while it was read" in refusal(path, cut_and_read)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe") == f"{tmp_path / 'pipe'} is a pipe or a device: name a .safetensors file"


def test_an_error_of_the_caller_is_not_taken_for_one_of_the_file(path: Path) -> None:
    with pytest.raises(OSError, match="of the caller"), open_tensor_file(path, "ours", 1, "file"):
        raise OSError("of the caller")
