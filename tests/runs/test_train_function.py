"""Training from Python, in one call and as events."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import rnngen
from rnngen.runs.events import Ended, Started, Stepped

TEXT = "hello\n" * 100
SMALL = rnngen.ModelOptions(hidden_size=8, ngram_order=0)
TWO_STEPS = rnngen.TrainConfig(steps=2, threads=1)


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def train(**options):
    return rnngen.train(**{"text": TEXT, "model": SMALL, "training": TWO_STEPS, **options})


def weights_of(model):
    return {name: weight.tobytes() for name, weight in model.checkpoint.weights.items()}


def test_a_model_without_an_output_leaves_no_file():
    model = train()
    assert model.path is None
    assert model.training["steps"] == 2
    assert list(Path().iterdir()) == []
    assert model.save("kept") == Path("checkpoints/kept.safetensors")


def test_files_and_a_string_make_the_same_model():
    Path("a.txt").write_text(TEXT[:300])
    Path("b.txt").write_text(TEXT[300:])
    whole = train()
    assert weights_of(train(paths=["a.txt", Path("b.txt")], text=None)) == weights_of(whole)
    Path("whole.txt").write_text(TEXT)
    assert weights_of(train(paths="whole.txt", text=None, output="named")) == weights_of(whole)
    assert Path("checkpoints/named.safetensors").exists()


def test_a_checkpoint_is_overwritten_with_force_only():
    train(output="a")
    with pytest.raises(rnngen.OutputError, match=r"a\.safetensors"):
        train(output="a")
    assert train(output="a", force=True).path == Path("checkpoints/a.safetensors")


def test_the_tokenizer_is_built_as_asked_or_taken_from_a_file():
    assert train(tokenizer=rnngen.TokenizerConfig("byte")).tokenizer.level == "byte"
    rnngen.save_tokenizer(rnngen.build_tokenizer(text=TEXT + "xyz"), "letters.json")
    for path in ("letters.json", Path("letters.json")):
        assert train(tokenizer=path).tokenizer.vocab_size == 9


def test_training_starts_from_another_model_and_its_tokenizer():
    first = train(output="first")
    tuned = train(text=TEXT + "x", init_from="first")
    assert tuned.tokenizer.to_dict() == first.tokenizer.to_dict()
    assert tuned.config == first.config


def test_a_validation_file_is_used():
    Path("valid.txt").write_text("hello\n" * 7)
    assert train(valid="valid.txt").training["n_valid_tokens"] == 42


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"text": None}, rnngen.ConfigError, "a run needs a text"),
        ({"text": None, "paths": "none.txt"}, rnngen.DataError, "none.txt"),
        ({"text": ""}, rnngen.DataError, "empty"),
        ({"tokenizer": "none.json"}, rnngen.TokenizerError, "none.json"),
        ({"init_from": "none"}, rnngen.CheckpointError, "none"),
    ],
)
def test_what_cannot_be_trained_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        train(**options)


def test_events_tell_of_every_step_and_name_the_checkpoint():
    events = list(rnngen.training_events(text=TEXT, output="a", model=SMALL, training=TWO_STEPS, log="log.jsonl"))
    assert isinstance(events[0], Started)
    assert [event.step for event in events if isinstance(event, Stepped)] == [1, 2]
    assert isinstance(events[-1], Ended)
    assert events[-1].output == Path("checkpoints/a.safetensors")
    assert Path("log.jsonl").read_text().count('"step"') >= 2
    assert np.isfinite(events[-1].training["valid_loss_nats"])


def test_nothing_happens_before_the_first_event_is_asked_for():
    events = rnngen.training_events(text=TEXT, output="a", model=SMALL, training=TWO_STEPS)
    assert list(Path().iterdir()) == []
    events.close()
    assert list(Path().iterdir()) == []
