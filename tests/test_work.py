"""Long work tells how far it has come, in the numbers of its outermost items."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path

import numpy as np
import pytest

import rnngen
from rnngen import work
from rnngen.config import ModelOptions, TokenizerConfig, TrainConfig
from rnngen.evaluate.comparison import paired_bootstrap
from rnngen.evaluate.context_losses import measure_contexts
from rnngen.evaluate.interpolation import tune_weight
from rnngen.models import Model
from rnngen.text.corpus import FileText
from rnngen.text.streams import stream_lines
from rnngen.text.tokens import tokenizer_of
from rnngen.work import Progress


@pytest.fixture
def heard():
    """All that is told while a test runs."""
    told: list[Progress | None] = []
    with work.listening(told.append):
        yield told


def dones(heard: list[Progress | None]) -> list[float]:
    return [progress.done for progress in heard if progress]


def test_each_item_that_is_used_up_is_told_and_the_end_too(heard):
    assert list(work.follow("abc", "spelling", 3, "letters")) == ["a", "b", "c"]
    assert heard == [
        *(Progress(what="spelling", done=done, total=3, unit="letters") for done in (0, 1, 2, 3)),
        None,
    ]


def test_work_inside_an_item_is_a_part_of_that_item(heard):
    for item in work.follow([10, 30], "all", 40, "kg", size=float):
        list(work.follow(range(item // 5), "a part", item // 5))
    assert dones(heard) == sorted(dones(heard))
    assert {5.0, 15.0, 20.0, 40.0} <= set(dones(heard))
    assert {(progress.what, progress.total) for progress in heard if progress} == {("all", 40)}


def test_a_part_that_was_left_in_the_midst_is_no_part_of_the_next_item(heard):
    parts = []
    for _ in work.follow(range(2), "all", 2):
        parts.append(work.follow(range(2), "a part", 2))
        next(parts[-1])
        next(parts[-1])
    assert dones(heard) == [0, 0, 0.5, 1, 1, 1.5, 2]
    assert heard[-1] is None


def test_a_name_stands_for_the_work_within(heard):
    with work.named("both"):
        list(work.follow("ab", "letters", 2, "letters"))
    assert [progress.what for progress in heard if progress] == ["both"] * 5
    assert (heard[0], heard[-2], heard[-1]) == (Progress(what="both"), Progress(what="both"), None)


def test_an_error_ends_the_work(heard):
    with pytest.raises(ZeroDivisionError):
        [1 / number for number in work.follow([1, 0], "dividing", 2)]
    assert heard[-1] is None


def test_without_a_listener_the_items_are_not_touched():
    items = iter("ab")
    assert work.follow(items, "spelling") is items


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("read", [lambda path: FileText([path]).chunks(), lambda path: stream_lines([path])])
def test_a_text_is_read_in_bytes_of_its_file_up_to_its_size(heard, tmp_path, compressed, read):
    path = tmp_path / ("text.txt" + ".gz" * compressed)
    content = "".join(f"{number} ñandú\r\n" for number in range(120_000)).encode()
    path.write_bytes(gzip.compress(content) if compressed else content)
    size = path.stat().st_size
    assert len(list(read(str(path)))) > 3
    assert {(progress.what, progress.total, progress.unit) for progress in heard if progress} == {
        (path.name, size, "B")
    }
    assert dones(heard) == sorted(dones(heard))
    assert dones(heard)[-1] == pytest.approx(size, rel=0.02)


def test_several_files_are_one_work(heard, tmp_path):
    for name in "ab":
        (tmp_path / name).write_text("word\n" * 100)
    list(FileText([str(tmp_path / "a"), str(tmp_path / "b")]).chunks())
    assert heard[-2] == Progress(what="2 texts", done=1000, total=1000, unit="B")


def test_a_long_part_of_a_text_moves_while_it_is_measured(heard, hello: Model, tmp_path: Path):
    (tmp_path / "text").write_text("hello\n" * 5000)  # one chunk of 30,000 characters
    hello.measure(tmp_path / "text")
    assert dones(heard) == sorted(dones(heard))
    assert set(dones(heard)) >= {4096.0 * turn for turn in range(8)}


def test_the_contexts_the_bootstrap_and_em_tell_how_far_they_are(heard, hello: Model, tmp_path: Path):
    (tmp_path / "text").write_text("hello\n" * 200)
    measure_contexts(hello.network, hello.tokenizer, FileText([str(tmp_path / "text")]), 4)
    numbers = np.arange(40.0)
    paired_bootstrap(numbers, numbers + 1, numbers + 2, numbers + 1)
    tune_weight(np.log([0.5, 0.1]), np.log([0.1, 0.5]))
    ends = {}
    for before, after in itertools.pairwise(heard):
        if after is None and before is not None:
            ends[before.what] = (before.done, before.total)
    assert ends["all of the context"] == (1200, 1200)
    assert ends["short contexts"] == (7, 7)
    assert ends["paired bootstrap"] == (1000, 1000)
    assert ends["EM"][1] is None


def test_a_subword_vocabulary_says_that_it_is_being_learnt(heard, tmp_path: Path):
    (tmp_path / "text").write_text("the bell shall ring and the ferry shall wait\n" * 200)
    tokenizer_of(FileText([str(tmp_path / "text")]), TokenizerConfig("subword", vocab_size=280))
    assert "SentencePiece learns the subwords" in {progress.what for progress in heard if progress}


def test_the_validation_and_the_exact_pass_of_a_training_tell_how_far_they_are(heard):
    sizes, training = ModelOptions(hidden_size=8, ngram_order=0), TrainConfig(steps=2, threads=1)
    rnngen.train(text="hello\n" * 2000, model=sizes, training=training)
    for what in ("validation", "the exact pass"):
        furthest = max((one for one in heard if one and one.what == what), key=lambda one: one.done)
        assert (furthest.done, furthest.total, furthest.unit) == (1200, 1200, "tokens")
    assert heard[-1] is None
