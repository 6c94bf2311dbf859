"""Settings that are chosen automatically, and settings that are refused."""

from __future__ import annotations

from dataclasses import fields
from itertools import islice

import numpy as np
import pytest
import torch

from rnngen.config import ModelConfig, ModelOptions, TrainConfig
from rnngen.cores import available_cores
from rnngen.errors import ConfigError
from rnngen.training import plan as plan_module
from rnngen.training.bptt import line_windows
from rnngen.training.plan import (
    HIDDEN_SIZES,
    choose_dropouts,
    choose_hidden_size,
    default_learning_rate,
    flops_per_token,
    has_bfloat16,
    make_plan,
    measured_flops,
)

TEXT = "the quick brown fox jumps over the lazy dog\n" * 40


def config_of(**options) -> TrainConfig:
    budget = {} if "seconds" in options or "epochs" in options else {"steps": 10}
    return TrainConfig(**{"seconds": None, "threads": 1, **budget, **options})


def test_a_plan_leaves_nothing_open(make_dataset):
    plan = make_plan(config_of(), ModelOptions(), make_dataset(TEXT))
    open_fields = {field.name for field in fields(plan) if getattr(plan, field.name) is None}
    assert open_fields == {"seconds", "patience"}
    assert plan.steps == 10
    assert plan.model.hidden_size in HIDDEN_SIZES
    assert plan.model.vocab_size == 2 + 27  # the unknown symbol, the line break, a to z and the space


def test_a_plan_keeps_what_was_asked_for(make_dataset):
    asked = config_of(
        seconds=7.0, batch_size=3, bptt=5, learning_rate=0.5, optimizer="sgd", weight_decay=0.0, grad_clip=2.0,
        patience=4, seed=9, precision="bfloat16",
    )  # fmt: skip
    options = ModelOptions(cell="lstm", hidden_size=20, embedding_dim=10, num_layers=3, dropout=0.0, weight_drop=0.25)
    plan = make_plan(asked, options, make_dataset(TEXT))
    for name in ("seconds", "steps", "batch_size", "bptt", "learning_rate", "optimizer", "weight_decay", "grad_clip",
                 "patience", "seed", "precision", "threads", "device", "lines"):  # fmt: skip
        assert getattr(plan, name) == getattr(asked, name), name
    for name in ("cell", "hidden_size", "embedding_dim", "num_layers", "dropout", "weight_drop", "tie_weights",
                 "nonlinearity"):  # fmt: skip
        assert getattr(plan.model, name) == getattr(options, name), name


def test_auto_precision_is_what_the_processor_multiplies_itself(make_dataset):
    plan = make_plan(config_of(), ModelOptions(), make_dataset(TEXT))
    assert plan.precision == ("bfloat16" if has_bfloat16() else "float32")


def test_threads_are_the_cores_that_the_process_may_use(make_dataset):
    before = torch.get_num_threads()
    try:
        assert make_plan(config_of(threads=None), ModelOptions(), make_dataset(TEXT)).threads == available_cores() >= 1
    finally:
        torch.set_num_threads(before)


def test_a_text_of_a_few_characters_still_gets_a_plan(make_dataset):
    plan = make_plan(config_of(), ModelOptions(), make_dataset("abcdefghij"))
    assert plan.bptt * plan.batch_size <= 9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bptt": 1584}, "bptt is 1584: the text to train on has 1584 tokens; use --bptt 1583 or less"),
        ({"batch_size": 1585}, "batch_size is 1585: the text to train on has 1584 tokens; use --batch-size 1584"),
    ],
)
def test_a_window_or_batch_that_does_not_fit_the_text_is_refused_with_what_would(make_dataset, options, message):
    data = make_dataset(TEXT)
    assert len(data.train.ids) == 1584
    with pytest.raises(ConfigError, match=message):
        make_plan(config_of(**options), ModelOptions(), data)
    options = {name: value - 1 for name, value in options.items()}
    make_plan(config_of(**options), ModelOptions(), data)


def test_a_gpu_that_is_not_there_is_refused(make_dataset, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="finds no GPU"):
        make_plan(config_of(device="cuda"), ModelOptions(), make_dataset(TEXT))


@pytest.mark.parametrize(("epochs", "steps"), [(1.0, 40), (2.5, 99), (0.001, 1)])
def test_epochs_become_steps_that_see_every_token_so_often(make_dataset, epochs, steps):
    plan = make_plan(config_of(epochs=epochs, batch_size=5, bptt=8), ModelOptions(), make_dataset(TEXT))
    assert plan.steps == steps  # of 40 tokens each, from a text of 1584


@pytest.mark.parametrize(("length", "n_lines", "bptt"), [(5, 100, 64), (30, 100, 64), (70, 60, 64), (20, 100, 8)])
def test_epochs_of_lines_see_every_line_so_often(make_dataset, length, n_lines, bptt):
    generator = np.random.default_rng(0)
    text = "".join("x" * int(n) + "\n" for n in generator.integers(length // 2, length + length // 2, n_lines))
    data = make_dataset(text, lines=True)
    plan = make_plan(config_of(epochs=4.0, lines=True, batch_size=10, bptt=bptt), ModelOptions(), data)
    windows = line_windows(data.train.ids, data.tokenizer.newline_id, plan.batch_size, plan.bptt, generator)
    n_tokens = sum(window.n_tokens for window in islice(windows, plan.steps))
    assert n_tokens / len(data.train.ids) == pytest.approx(4.0, rel=0.1)


def test_tied_weights_get_equal_sizes(make_dataset):
    data = make_dataset(TEXT)
    plan = make_plan(config_of(), ModelOptions(tie_weights=True, hidden_size=20), data)
    assert plan.model.embedding_dim == 20
    plan = make_plan(config_of(), ModelOptions(tie_weights=True), data)
    assert plan.model.embedding_dim == plan.model.hidden_size


def test_tied_weights_with_an_embedding_of_given_size_take_that_for_the_hidden_size(make_dataset):
    plan = make_plan(config_of(), ModelOptions(tie_weights=True, embedding_dim=20), make_dataset(TEXT))
    assert plan.model.hidden_size == 20


def test_a_training_step_takes_six_operations_for_each_weight_that_a_token_meets():
    # One layer of 10: 3 gates of 10 x 10, and 5 x 10 of the softmax; a second one: 3 gates of 10 x 20 more.
    assert flops_per_token(ModelOptions(cell="gru"), 5, 10) == 6 * (300 + 50)
    assert flops_per_token(ModelOptions(cell="gru", num_layers=2), 5, 10) == 6 * (300 + 600 + 50)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_the_model_grows_with_the_text_and_with_the_budget(cell):
    options = ModelOptions(cell=cell)
    enough = {"n_train": 10**9, "n_tokens": 10**12}
    for grown, other in (("n_train", "n_tokens"), ("n_tokens", "n_train")):
        sizes = [choose_hidden_size(options, 60, **{grown: 10**k, other: enough[other]}, flops=None) for k in range(13)]
        assert sizes == sorted(sizes)
        assert sizes[0] == HIDDEN_SIZES[0]
        assert sizes[-1] == HIDDEN_SIZES[-1]
    sizes = [choose_hidden_size(options, 60, 10**9, None, flops=10.0 ** (k / 2)) for k in range(12, 40)]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) > 5


def test_a_larger_vocabulary_leaves_less_of_the_budget_to_the_layers():
    small, large = (choose_hidden_size(ModelOptions(), V, 10**8, None, flops=1e13) for V in (60, 30_000))
    assert large < small


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_speed_of_the_machine_is_a_number_of_operations(precision):
    assert 1e6 < measured_flops(precision) < 1e15


def test_a_plan_for_a_time_uses_the_measured_speed(make_dataset, monkeypatch):
    text = "".join(np.random.default_rng(0).choice(list("abcdefgh \n"), 100_000))
    data, sizes = make_dataset(text), []
    for flops in (1e8, 1e10, 1e12):
        monkeypatch.setattr(plan_module, "measured_flops", lambda precision, device, flops=flops: flops)
        sizes.append(make_plan(config_of(seconds=60.0), ModelOptions(), data).model.hidden_size)
    assert sizes[0] < sizes[1] < sizes[2]


@pytest.mark.parametrize("optimizer", ["adamw", "rmsprop", "sgd"])
def test_the_plain_rnn_gets_a_lower_rate(make_dataset, optimizer):
    rates = [
        make_plan(config_of(optimizer=optimizer), ModelOptions(cell=cell), make_dataset(TEXT)).learning_rate
        for cell in ("rnn", "gru", "lstm")
    ]
    assert rates[0] < rates[1] == rates[2]
    model = make_plan(config_of(), ModelOptions(cell="rnn"), make_dataset(TEXT)).model
    assert rates[0] == default_learning_rate(optimizer, model)


@pytest.mark.parametrize(("vocab_size", "order"), [(2, 10), (1024, 10), (1025, 5), (100_000, 5)])
def test_a_small_vocabulary_has_longer_ngrams(vocab_size, order):
    for asked, wanted in ((None, order), (0, 0), (3, 3)):
        options = ModelOptions(hidden_size=8, ngram_order=asked)
        assert plan_module._model_config(options, vocab_size, 1000, None, None).ngram_order == wanted


def test_counts_alone_have_no_sizes():
    config = plan_module._model_config(ModelOptions(cell="none"), 50, 1000, None, None)
    assert (config.hidden_size, config.num_layers, config.dropout, config.ngram_order) == (0, 0, 0.0, 10)


@pytest.mark.parametrize(
    ("options", "native", "reasons"),
    [
        ({}, True, []),
        ({"precision": "float32"}, True, ["products are in float32; --precision bfloat16 is faster"]),
        ({}, False, ["no bfloat16 products in this processor; products are in float32"]),
        ({"precision": "bfloat16"}, False, ["no bfloat16 products in this processor; --precision float32 is faster"]),
        ({"threads": 5}, True, ["5 threads share 2 cores and wait for one another; --threads 2 is faster"]),
    ],
)
def test_a_plan_says_why_it_is_slower_than_it_might_be(make_dataset, monkeypatch, options, native, reasons):
    monkeypatch.setattr(plan_module, "has_bfloat16", lambda: native)
    monkeypatch.setattr(plan_module, "available_cores", lambda: 2)
    threads = torch.get_num_threads()
    try:
        plan = make_plan(
            config_of(**{"precision": "auto", "threads": None, **options}), ModelOptions(), make_dataset(TEXT)
        )
    finally:
        torch.set_num_threads(threads)
    assert len(plan.slower) == len(reasons)
    for found, wanted in zip(plan.slower, reasons, strict=True):
        assert wanted in found


def test_a_short_budget_counts_less_of_the_text():
    assert plan_module._ngram_tokens(None) == plan_module._ngram_tokens(1e6) == plan_module.MOST_COUNTED
    assert plan_module._ngram_tokens(2.0) == 2 * plan_module.COUNTED_A_SECOND
    assert plan_module._ngram_tokens(1e-9) == 1


@pytest.mark.parametrize(
    ("epochs", "dropout", "weight_drop"),
    [(0.1, 0.1, 0), (4, 0.1, 0), (7, 0.18, 0.03), (50, 0.57, 0.42), (9e9, 0.6, 0.6)],
)
def test_a_text_that_is_read_often_drops_more(epochs, dropout, weight_drop):
    assert choose_dropouts(epochs, 1024) == (dropout, weight_drop)


def test_a_large_vocabulary_gets_a_lower_rate():
    small, large = (ModelConfig(vocab_size=size, embedding_dim=4, hidden_size=4) for size in (1024, 1025))
    assert default_learning_rate("adamw", small) == 2 * default_learning_rate("adamw", large)


def test_a_large_vocabulary_drops_more_units():
    assert choose_dropouts(7, 1025) == (0.33, 0.03)
    assert choose_dropouts(0.1, 1025) == (0.1, 0)


def test_what_is_dropped_follows_the_budget_unless_it_is_given(make_dataset):
    data = make_dataset(TEXT)

    def dropped(steps: int, **options: float) -> tuple[float, float]:
        model = make_plan(config_of(steps=steps), ModelOptions(hidden_size=32, **options), data).model
        return model.dropout, model.weight_drop

    assert dropped(1) == (0.1, 0)
    assert dropped(9999) == (0.6, 0.6)
    assert dropped(9999, dropout=0.2) == (0.2, 0.6)
    assert dropped(9999, weight_drop=0.0) == (0.6, 0.0)
