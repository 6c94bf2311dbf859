"""Too little memory is one clear line, whatever runs out of it and wherever."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from rnngen.cli.out_of_memory import MESSAGE, has_room, is_out_of_memory

MB = 1 << 20


def limited(megabytes, *arguments):
    """The command in a process that may have so much address space: its code, and what it said."""

    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (megabytes * MB, megabytes * MB))

    command = [sys.executable, "-m", "rnngen", *map(str, arguments)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, preexec_fn=limit)
    return done.returncode, done.stderr.splitlines()


COMMANDS = {
    "sample": ["sample", "--length", "5"],
    "score": ["score", "text.txt"],
    "perplexity": ["perplexity", "text.txt"],
    "tokenize": ["tokenize", "text.txt"],
    "info": ["info"],
    "train": ["train", "text.txt", "--steps", "2", "--hidden-size", "16", "--threads", "1", "--force"],
}


@pytest.mark.parametrize(
    ("megabytes", "command"),
    # With 30 MB it ends before the command is looked at.
    [(30, "train"), *((megabytes, command) for megabytes in (110, 245, 400) for command in COMMANDS)],
)
def test_a_limit_of_memory_is_met_or_refused_in_one_line(tmp_path, models, monkeypatch, command, megabytes):
    (tmp_path / "text.txt").write_text("the bell is slow to wake\n" * 200)
    monkeypatch.setenv("RNNGEN_MODEL", models["char"])
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    code, said = limited(megabytes, *COMMANDS[command])
    if code:
        assert code == 1
        assert [line.startswith("rnngen: out of memory") for line in said] == [False] * (len(said) - 1) + [True]
        assert megabytes < 400 or command == "train"
    assert not any("Traceback" in line or "OpenBLAS" in line for line in said)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["train", "--help"], ["nonsense"]])
def test_help_needs_little_memory(arguments):
    code, said = limited(60, *arguments)
    assert code == 2 * (arguments == ["nonsense"])
    assert not any("memory" in line for line in said)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        ImportError("libtorch.so: failed to map segment from shared object"),
        OSError(12, "Cannot allocate memory"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    ],
)
def test_memory_that_ran_out_is_known_by_what_is_said_of_it_and_behind_other_errors(error):
    assert is_out_of_memory(error)
    other = ValueError("the library could not start")
    other.__context__ = error
    assert is_out_of_memory(other)


def test_another_error_is_not_taken_for_it_while_there_is_memory():
    assert not is_out_of_memory(SystemError("error return without exception set"))


def test_an_error_with_nothing_left_is_taken_for_it():
    code = """if True:
        import mmap, resource
        from rnngen.cli.out_of_memory import has_room, is_out_of_memory
        used = int(open("/proc/self/statm").read().split()[0]) * mmap.PAGESIZE
        assert has_room(torch=True)
        resource.setrlimit(resource.RLIMIT_AS, (used + (32 << 20), used + (32 << 20)))
        assert not has_room(torch=False)
        assert is_out_of_memory(SystemError("error return without exception set"))"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_a_limit_there_is_room():
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY
    assert has_room(torch=True)


def test_the_line_says_what_to_do(rnngen, monkeypatch):
    def fail(*arguments):
        raise RuntimeError("std::bad_alloc")

    monkeypatch.setattr("rnngen.checkpoint.load", fail)
    monkeypatch.chdir("/")
    result = rnngen("info", "/dev/null")
    assert (result.code, result.out, result.err.splitlines()[-1]) == (1, "", f"rnngen: {MESSAGE}")
