"""Small trained checkpoints, and the command run in this process or in one of its own."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rnngen.cli.app import run

CORPORA = Path(__file__).parents[2] / "corpora"
PLAY, NAMES = (
    (CORPORA / name).read_text("utf-8")[:size] for name, size in (("marrowmere.txt", 6000), ("names.txt", 3000))
)
# text, steps, options
MODELS = {
    "char": (PLAY, 30, ["--num-layers", "2"]),
    "lstm": (PLAY, 30, ["--cell", "lstm", "--tie-weights"]),
    "lines": (NAMES, 60, ["--lines"]),
    "word": (PLAY, 30, ["--level", "word"]),
    "subword": (PLAY, 30, ["--level", "subword", "--vocab-size", "320"]),
    "byte": ("😀漢ñ\n" * 200, 150, ["--level", "byte", "--batch-size", "8", "--bptt", "20"]),
}


@dataclass(frozen=True)
class Result:
    """What a command gave."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[list[str]]:
        return [line.split("\t") for line in self.out.split("\n")[:-1]]

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.split("\n")[:-1]]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Paths of checkpoints by name: char (two GRU layers), lstm, lines, word, subword, byte."""
    folder = tmp_path_factory.mktemp("models")
    paths = {}
    for name, (text, steps, options) in MODELS.items():
        (folder / f"{name}.txt").write_text(text, "utf-8")
        paths[name] = str(folder / f"{name}.safetensors")
        code = run(["train", str(folder / f"{name}.txt"), "-o", paths[name], "--steps", str(steps), "-q",
                    "--hidden-size", "24", "--lr", "0.02", "--threads", "1", *options])  # fmt: skip
        assert code == 0
    return paths


@pytest.fixture(autouse=True)
def _clean_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working folder, and none of the variables that change what the command does."""
    monkeypatch.chdir(tmp_path)
    for name in ("RNNGEN_MODEL", "RNNGEN_DEBUG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def rnngen(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run the command line in this process: fast."""

    def call(*arguments: object, stdin: bytes = b"") -> Result:
        capsys.readouterr()
        pipe = signal.getsignal(signal.SIGPIPE)
        with io.TextIOWrapper(tempfile.TemporaryFile()) as file, monkeypatch.context() as patch:
            file.buffer.write(stdin)
            file.seek(0)
            patch.setattr(sys, "stdin", file)
            try:
                code = run([str(argument) for argument in arguments])
            finally:
                signal.signal(signal.SIGPIPE, pipe)
        return Result(code, *capsys.readouterr())

    return call


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start the command in a process of its own; one that still runs after the test is ended."""
    started: list[subprocess.Popen[bytes]] = []

    def start_process(*arguments: object, **options: Any) -> subprocess.Popen[bytes]:
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE) | options
        started.append(subprocess.Popen([sys.executable, "-m", "rnngen", *map(str, arguments)], **pipes))
        return started[-1]

    yield start_process
    for process in started:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream and not stream.closed:
                stream.close()


@pytest.fixture
def process(start: Callable[..., subprocess.Popen[bytes]]) -> Callable[..., Result]:
    """Run the command line in a process of its own, to its end."""

    def call(*arguments: object, stdin: bytes = b"", **options: Any) -> Result:
        child = start(*arguments, **options)
        out, err = child.communicate(stdin if child.stdin else None, timeout=120)
        return Result(child.returncode, (out or b"").decode(), (err or b"").decode())

    return call


@pytest.fixture
def shell() -> Callable[..., Result]:
    """Run a shell command in which `rnngen` is the command."""

    def call(command: str, stdin: bytes = b"") -> Result:
        python = f'rnngen() {{ "{sys.executable}" -m rnngen "$@"; }}\n'
        done = subprocess.run(["sh", "-c", python + command], input=stdin, capture_output=True, timeout=120)
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    return call


@pytest.fixture
def contents(tmp_path: Path) -> Callable[[], dict[str, bytes | None]]:
    """Everything in the working folder: a file's bytes by its path, None for a folder."""

    def look() -> dict[str, bytes | None]:
        return {
            os.path.relpath(path, tmp_path): path.read_bytes() if path.is_file() else None
            for path in tmp_path.rglob("*")
        }

    return look
