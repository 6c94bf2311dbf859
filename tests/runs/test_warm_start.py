"""New runs that start with the weights of a trained model."""

from __future__ import annotations

import pytest
from small_runs import NAMES, PLAY, weights_of

from rnngen import checkpoint
from rnngen.errors import CheckpointError, ConfigError
from rnngen.runs.resume import resume


def test_a_run_starts_with_the_loss_of_the_old_model(run_of):
    old = run_of(steps=100, learning_rate=0.02, ngram_order=0)[-1]
    tiny = {"steps": 1, "learning_rate": 1e-6, "ngram_order": 0}
    new = run_of(output="new", **tiny)[-1]
    started, *_, warm = run_of(output="warm", init_from=old.output, **tiny)
    assert new.training["valid_loss_nats"] > 3.5
    assert abs(warm.training["valid_loss_nats"] - old.training["valid_loss_nats"]) < 0.01
    assert started.notes == (f"starts from {old.output}, with its vocabulary",)
    assert started.plan.model == checkpoint.load(old.output).config


def test_in_another_vocabulary_the_shared_symbols_keep_their_rows(run_of):
    old = run_of("abc\n" * 400, output="abc", ngram_order=3)[-1].output
    tiny = {"steps": 1, "learning_rate": 1e-12, "weight_decay": 0.0, "init_from": old}
    started, *_, ended = run_of("bcde\n" * 400, output="bcde", level="char", **tiny)
    assert started.notes[-1] == (
        f"starts from {old}: of 6 symbols 4 are in both vocabularies and keep their rows, 2 are new; "
        "the n-grams are counted anew, in the new text alone"
    )
    before, after = checkpoint.load(old), checkpoint.load(ended.output)
    for symbol in "\nbc":
        (old_id,), (new_id,) = (model.tokenizer.encode(symbol).tolist() for model in (before, after))
        for name in ("embedding.weight", "output.weight", "output.bias"):
            assert abs(before.weights[name][old_id] - after.weights[name][new_id]).max() < 1e-6
    started, *_, ended = run_of("bcde\n" * 400, output="kept", ngram_order=3, **tiny)
    assert started.notes[-1].startswith(f"starts from {old}, with its vocabulary; the n-grams are counted anew")
    assert checkpoint.load(ended.output).config == before.config


def test_the_n_grams_of_a_large_vocabulary_are_those_of_a_new_model(run_of):
    words = "".join(f"w{n} w{n // 2}\n" for n in range(1500))
    old = run_of()[-1].output
    options = {"init_from": old, "level": "word", "min_count": 1, "steps": 2}
    config = run_of(words, output="words", **options)[0].plan.model
    assert (config.vocab_size > 1024, config.ngram_order) == (True, 5)
    asked = run_of(words, output="asked", ngram_order=3, **options)[0]
    assert asked.notes[0].endswith("; the n-grams are counted anew, in the new text alone")
    assert asked.plan.model.ngram_order == 3


def test_a_run_from_old_weights_that_is_stopped_needs_them_no_more(run_of):
    old = run_of(output="old")[-1].output
    options = {"lines": True, "init_from": old}
    whole = run_of(NAMES, output="whole", **options)[-1].output
    stopped = run_of(NAMES, stop_after=20, **options)[-1].output
    old.unlink()
    list(resume(str(stopped), text=NAMES))
    assert weights_of(stopped) == weights_of(whole)


def test_a_run_does_not_overwrite_the_model_that_it_starts_from(run_of):
    old = run_of()[-1].output
    with pytest.raises(ConfigError, match="which this run reads"):
        run_of(PLAY, init_from=old, force=True)
    with pytest.raises(CheckpointError):
        run_of(PLAY, output="other", init_from=old.with_name("nothing.safetensors"))
