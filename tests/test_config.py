"""Settings refuse what no run could use, and say which value and what instead."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest

from rnngen.config import ModelConfig, ModelOptions, SampleConfig, TokenizerConfig, TrainConfig
from rnngen.errors import ConfigError

SMALL: dict[str, Any] = {"vocab_size": 4, "embedding_dim": 3, "hidden_size": 2}


def test_the_weights_of_a_two_layer_gru_have_torchs_names_and_shapes() -> None:
    config = ModelConfig(**SMALL, num_layers=2, cell="gru")
    assert config.weight_shapes() == {
        "embedding.weight": (4, 3),
        "rnn.weight_ih_l0": (6, 3),
        "rnn.weight_hh_l0": (6, 2),
        "rnn.bias_ih_l0": (6,),
        "rnn.bias_hh_l0": (6,),
        "rnn.weight_ih_l1": (6, 2),
        "rnn.weight_hh_l1": (6, 2),
        "rnn.bias_ih_l1": (6,),
        "rnn.bias_hh_l1": (6,),
        "output.weight": (4, 2),
        "output.bias": (4,),
    }
    assert config.n_parameters == 12 + (18 + 12 + 6 + 6) + (12 + 12 + 6 + 6) + 8 + 4


@pytest.mark.parametrize(("cell", "gates"), [("rnn", 1), ("gru", 3), ("lstm", 4)])
def test_a_cell_has_one_block_of_rows_for_each_gate(cell: Any, gates: int) -> None:
    config = ModelConfig(**SMALL, cell=cell)
    assert config.num_gates == gates
    assert config.weight_shapes()["rnn.weight_hh_l0"] == (gates * 2, 2)


def test_tied_weights_are_counted_once() -> None:
    config = ModelConfig(vocab_size=4, embedding_dim=2, hidden_size=2, cell="rnn", tie_weights=True)
    assert "output.weight" not in config.weight_shapes()
    assert config.n_parameters == 8 + (4 + 4 + 2 + 2) + 4


@pytest.mark.parametrize(
    "config",
    [
        ModelConfig(
            vocab_size=7,
            embedding_dim=3,
            hidden_size=3,
            num_layers=2,
            cell="lstm",
            nonlinearity="relu",
            dropout=0.25,
            weight_drop=0.5,
            tie_weights=True,
        ),
        ModelConfig(vocab_size=7, embedding_dim=3, hidden_size=3, ngram_order=3),
        ModelOptions(cell="rnn", hidden_size=5, dropout=0.5),
        ModelOptions(ngram_order=4),
        SampleConfig(stop=("a", "bc")),
        TokenizerConfig("word", vocab_size=100, min_count=2, split="whitespace"),
        TokenizerConfig("subword", vocab_size=300, subword_model="bpe"),
        TrainConfig(seconds=None, epochs=1.5, patience=3, lines=True),
    ],
    ids=lambda config: type(config).__name__,
)
def test_settings_are_the_same_after_a_trip_through_json(config: Any) -> None:
    assert type(config).from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, 2], "ModelConfig is list: it must be a JSON object"),
        ({**SMALL, "colour": 1, "age": 2}, "ModelConfig field is 'age, colour': it must be a known one"),
        ({"vocab_size": 4}, "embedding_dim"),
    ],
)
def test_settings_from_elsewhere_with_missing_or_unknown_fields_are_refused(values: object, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        ModelConfig.from_dict(values)
    assert message in str(error.value)


def test_settings_cannot_be_changed_behind_their_check() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ModelConfig(**SMALL).hidden_size = -1  # type: ignore[misc]


COUNT = "a whole number from 1 to 9223372036854775807"
NATURAL = "a whole number from 0 to 9223372036854775807"
UNITS = "a whole number from 1 to 16777216"
ABOVE_0 = "a number from 1e-30 to 1e+30"
CELLS = "one of lstm, gru, rnn, none"
BELOW_1 = "at least 0 and below 1"


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (TokenizerConfig, {"level": "letter"}, "level is 'letter': it must be one of char, byte, word, subword"),
        (TokenizerConfig, {"split": "comma"}, "split is 'comma': it must be one of punctuation, whitespace"),
        (TokenizerConfig, {"subword_model": "wp"}, "subword_model is 'wp': it must be one of unigram, bpe"),
        (
            TokenizerConfig,
            {"vocab_size": 2},
            "it must be a whole number from 3 to 9223372036854775807",
        ),
        (TokenizerConfig, {"min_count": 0}, f"min_count is 0: it must be {COUNT}"),
        (ModelConfig, {**SMALL, "vocab_size": 0}, "vocab_size is 0: it must be a whole number from 1 to 2147483647"),
        (ModelConfig, {**SMALL, "hidden_size": 2.0}, f"hidden_size is 2.0: it must be {UNITS}"),
        (ModelConfig, {**SMALL, "embedding_dim": "3"}, f"embedding_dim is '3': it must be {UNITS}"),
        (ModelConfig, {**SMALL, "num_layers": True}, "num_layers is True: it must be a whole number from 1 to 1024"),
        (ModelConfig, {**SMALL, "cell": "LSTM"}, f"cell is 'LSTM': it must be {CELLS}"),
        (ModelConfig, {**SMALL, "nonlinearity": "elu"}, "nonlinearity is 'elu': it must be one of tanh, relu"),
        (ModelConfig, {**SMALL, "dropout": 1.0}, f"dropout is 1.0: it must be {BELOW_1}"),
        (ModelConfig, {**SMALL, "dropout": math.nan}, f"dropout is nan: it must be {BELOW_1}"),
        (ModelConfig, {**SMALL, "dropout": 10**400}, f"it must be {BELOW_1}"),
        (ModelConfig, {**SMALL, "tie_weights": 1}, "tie_weights is 1: it must be true or false"),
        (ModelOptions, {"cell": "mlp"}, f"cell is 'mlp': it must be {CELLS}"),
        (ModelOptions, {"hidden_size": 0}, f"hidden_size is 0: it must be {UNITS}"),
        (ModelOptions, {"dropout": -0.1}, f"dropout is -0.1: it must be {BELOW_1}"),
        (ModelConfig, {**SMALL, "weight_drop": 1.0}, f"weight_drop is 1.0: it must be {BELOW_1}"),
        (ModelOptions, {"tie_weights": True, "embedding_dim": -5}, f"embedding_dim is -5: it must be {UNITS}"),
        (TrainConfig, {"seconds": 0.0}, f"seconds is 0.0: it must be {ABOVE_0}"),
        (TrainConfig, {"seconds": math.inf}, f"seconds is inf: it must be {ABOVE_0}"),
        (TrainConfig, {"batch_size": 0}, f"batch_size is 0: it must be {COUNT}"),
        (TrainConfig, {"bptt": -1}, f"bptt is -1: it must be {COUNT}"),
        (TrainConfig, {"patience": 0}, f"patience is 0: it must be {COUNT}"),
        (TrainConfig, {"threads": 0}, "threads is 0: it must be a whole number from 1 to 1024"),
        (TrainConfig, {"learning_rate": -1.0}, f"learning_rate is -1.0: it must be {ABOVE_0}"),
        (TrainConfig, {"grad_clip": 0}, f"grad_clip is 0: it must be {ABOVE_0}"),
        (TrainConfig, {"optimizer": "adam"}, "optimizer is 'adam': it must be one of adamw, rmsprop, sgd"),
        (TrainConfig, {"device": "tpu"}, "device is 'tpu': it must be one of cpu, cuda"),
        (TrainConfig, {"precision": "int8"}, "precision is 'int8': it must be one of auto, float32, bfloat16"),
        (TrainConfig, {"weight_decay": -0.1}, "weight_decay is -0.1: it must be a number from 0 to 1e+30"),
        (TrainConfig, {"valid_fraction": 1.0}, "valid_fraction is 1.0: it must be above 0 and below 1"),
        (TrainConfig, {"seed": -1}, f"seed is -1: it must be {NATURAL}"),
        (SampleConfig, {"temperature": -1}, "temp is -1: it must be a number from 0 to 1e+30"),
        (SampleConfig, {"temperature": math.nan}, "temp is nan: it must be a number from 0 to 1e+30"),
        (SampleConfig, {"top_k": -1}, f"top_k is -1: it must be {NATURAL}"),
        (SampleConfig, {"top_p": 0.0}, "top_p is 0.0: it must be above 0 and at most 1"),
        (SampleConfig, {"top_p": 1.1}, "top_p is 1.1: it must be above 0 and at most 1"),
        (SampleConfig, {"min_p": 1.1}, "min_p is 1.1: it must be a number from 0 to 1"),
        (SampleConfig, {"repetition_penalty": 0}, f"repetition_penalty is 0: it must be {ABOVE_0}"),
        (SampleConfig, {"length": -1}, f"length is -1: it must be {NATURAL}"),
        (SampleConfig, {"num_samples": -1}, f"num_samples is -1: it must be {NATURAL}"),
        (SampleConfig, {"min_length": 5, "length": 4}, "min_length is 5: it must be at most the length, 4"),
        (SampleConfig, {"keep_stop": 1}, "keep_stop is 1: it must be true or false"),
        (SampleConfig, {"stop": "end"}, "stop is 'end': it must be a tuple of strings"),
        (SampleConfig, {"stop": (5,)}, "stop is (5,): it must be a tuple of strings"),
        (SampleConfig, {"seed": 1.5}, f"seed is 1.5: it must be {NATURAL}"),
        (SampleConfig, {"stop": ("end", "")}, "stop is '': it must be a string of one character or more"),
    ],
)
def test_a_value_out_of_range_is_named_with_what_it_must_be(kind: Any, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        kind(**values)
    assert str(error.value).endswith(message)
    assert error.value.exit_code == 2


@pytest.mark.parametrize(
    ("kind", "values", "remedy"),
    [
        (TokenizerConfig, {"level": "byte", "vocab_size": 300}, "leave out --vocab-size and --min-count"),
        (TokenizerConfig, {"level": "byte", "min_count": 2}, "leave out --vocab-size and --min-count"),
        (TokenizerConfig, {"level": "subword", "min_count": 2}, "leave out --min-count"),
        (TokenizerConfig, {"split": "whitespace"}, "add --level word (level is 'char')"),
        (ModelConfig, {**SMALL, "tie_weights": True}, "embedding_dim is 3, hidden_size is 2; set both alike"),
        (ModelOptions, {"tie_weights": True, "embedding_dim": 3, "hidden_size": 2}, "set both alike"),
        (
            TrainConfig,
            {"steps": 10, "seconds": 1.0},
            "budget is '--time and --steps': it must be one of --time, --steps and --epochs",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused_with_a_remedy(
    kind: Any, values: dict[str, Any], remedy: str
) -> None:
    with pytest.raises(ConfigError) as error:
        kind(**values)
    assert str(error.value).endswith(remedy)


def test_the_edges_of_the_ranges_are_allowed() -> None:
    SampleConfig(temperature=0, top_k=0, top_p=1, min_p=1, length=0, seed=0)
    TokenizerConfig(vocab_size=3, min_count=1)
    ModelConfig(vocab_size=1, embedding_dim=1, hidden_size=1, num_layers=1, dropout=0)
    ModelOptions(tie_weights=True, embedding_dim=8)


@pytest.mark.parametrize("seed", ["1", 1.0, True, None, -1])
def test_a_seed_that_is_no_whole_number_is_refused(seed: Any) -> None:
    with pytest.raises(ConfigError, match=r"^seed is .*: it must be a whole number from 0 to 9223372036854775807$"):
        TrainConfig(seed=seed)


def test_grad_clip_is_never_open() -> None:
    with pytest.raises(ConfigError, match=r"^grad_clip is None: it must be a number from 1e-30 to 1e\+30$"):
        TrainConfig(grad_clip=None)  # type: ignore[arg-type]


def test_a_run_without_a_budget_takes_three_minutes() -> None:
    assert TrainConfig().time_budget == 180
    assert TrainConfig(seconds=7.0).time_budget == 7
    assert TrainConfig(steps=300).time_budget is None
    assert TrainConfig(epochs=1.5).time_budget is None


@pytest.mark.parametrize("settings", [ModelConfig, ModelOptions, SampleConfig, TrainConfig])
def test_many_settings_are_given_by_name_only(settings) -> None:
    with pytest.raises(TypeError, match="positional argument"):
        settings(1)
