"""Small models and data sets that many tests share."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# The models of the tests are so small that a second thread only waits; libraries read this when they are loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# The cores are shared with other tests. A thread of torch that waits for the next product must not keep one busy.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import pytest
from cells import CELLS, MODELS
from random_models import random_weights as make_random_weights

import rnngen
from rnngen.config import ModelConfig, ModelOptions, TokenizerConfig, TrainConfig
from rnngen.engine.language_model import Engine
from rnngen.models import Model
from rnngen.text.corpus import FileText
from rnngen.text.dataset import Dataset, prepare

NOBODY = 65534  # the user and the group without rights


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A cache of tokens that only the tests use, in processes that they start too."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session", autouse=True)
def _signals_are_taken() -> None:
    """In the background of a script, signals are ignored from the start, here and in child processes."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL),
                            (getattr(signal, "SIGHUP", signal.SIGTERM), signal.SIG_DFL)):  # fmt: skip
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """A run sets torch's threads for the whole process. The next test must not inherit them."""
    yield
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _a_closed_pipe_is_an_error() -> Iterator[None]:
    """As Python has it: a command that is run in this process asks to be ended by one."""
    yield
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)


@pytest.fixture(scope="session")
def hello_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that has learnt to write hello: characters, a GRU of 24."""
    return rnngen.train(
        text="hello\n" * 100,
        output=tmp_path_factory.mktemp("hello") / "hello",
        model=ModelOptions(hidden_size=24, ngram_order=0),
        training=TrainConfig(steps=80, learning_rate=0.02, threads=1),
    ).path


@pytest.fixture
def hello(hello_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    """The same, loaded, in a new working folder that has it as ./checkpoints/hello.safetensors."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    shutil.copy(hello_file, tmp_path / "checkpoints")
    return rnngen.load("hello")


@pytest.fixture
def shared_path() -> Iterator[Path]:
    """A new folder that every user may write to; a `tmp_path` is closed to all but the one who made it."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def as_ordinary_user() -> Callable[[Callable[[], None]], None]:
    """A function: calls another in a child process, which as root gives up its privileges, and fails if that fails."""

    def run(function: Callable[[], None]) -> None:
        child = os.fork()
        if not child:
            try:
                if os.geteuid() == 0:
                    os.setgroups([])
                    os.setgid(NOBODY)
                    os.setuid(NOBODY)
                function()
            except BaseException:
                os.write(2, traceback.format_exc().encode())
                os._exit(1)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0, "the child process failed"

    return run


@pytest.fixture(params=CELLS.values(), ids=CELLS.keys())
def cell_options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The options of a ModelConfig for every cell and nonlinearity, one after another."""
    return dict(request.param)


@pytest.fixture(params=MODELS.values(), ids=MODELS.keys())
def model_options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The options of a ModelConfig for every cell and nonlinearity, and with counts."""
    return dict(request.param)


@pytest.fixture
def random_weights():
    """A function: config to random weights."""
    return make_random_weights


@pytest.fixture
def make_engine(random_weights):
    """A function: options of a ModelConfig to an Engine with random weights; `changes` replace some of them."""

    def make(changes: dict[str, np.ndarray] | None = None, **options: Any) -> Engine:
        config = ModelConfig(**{"vocab_size": 7, "embedding_dim": 4, "hidden_size": 6, **options})
        return Engine(config, random_weights(config) | (changes or {}))

    return make


@pytest.fixture
def uniform_engine(make_engine):
    """A function: vocabulary size to an Engine that finds every token equally likely."""

    def make(vocab_size: int) -> Engine:
        shapes = {"output.weight": (vocab_size, 6), "output.bias": (vocab_size,)}
        zeros = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
        return make_engine(zeros, vocab_size=vocab_size)

    return make


@pytest.fixture
def make_dataset(tmp_path: Path):
    """A function: text, and perhaps one to validate on, to a Dataset of characters."""

    def make(text: str, valid: str | None = None, lines: bool = False) -> Dataset:
        texts = []
        for name, content in (("text", text), ("valid", valid)):
            if content is not None:
                (tmp_path / name).write_text(content, encoding="utf-8")
                texts.append(FileText([str(tmp_path / name)]))
        config = TrainConfig(lines=lines)
        return prepare(texts[0], texts[1] if valid is not None else None, config, None, TokenizerConfig())

    return make
