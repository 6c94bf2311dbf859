"""Checks of single values name both bounds; numbers of numpy are taken as those of Python."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from rnngen.checks import check_number, check_whole
from rnngen.config import ModelConfig, ModelOptions, SampleConfig, TokenizerConfig, TrainConfig
from rnngen.errors import ConfigError


@pytest.mark.parametrize("settings", [TrainConfig, SampleConfig])
def test_the_bound_that_a_huge_seed_breaks_is_named(settings: Any) -> None:
    with pytest.raises(ConfigError) as error:
        settings(seed=18446744073709551616)
    assert str(error.value) == ("seed is 18446744073709551616: it must be a whole number from 0 to 9223372036854775807")
    assert settings(seed=9223372036854775807).seed == 9223372036854775807


@pytest.mark.parametrize("value", [-1, 4, 10**400, 1.0, math.nan, np.float32(2), np.int64(-1), True, "2", None])
def test_what_is_no_whole_number_in_the_range_is_refused_with_both_ends(value: object) -> None:
    with pytest.raises(ConfigError, match=r"^n is .*: it must be a whole number from 0 to 3$"):
        check_whole("n", value, 0, 3)


@pytest.mark.parametrize("value", [0.4, 10**400, -(10**400), math.nan, math.inf, np.float32(9), True, "1", None, 1j])
def test_what_is_no_number_in_the_range_is_refused_with_both_ends(value: object) -> None:
    with pytest.raises(ConfigError, match=r"^x is .*: it must be a number from 0\.5 to 3$"):
        check_number("x", value, 0.5, 3)


@pytest.mark.parametrize("value", [0, 3, np.int64(1), np.uint8(2)])
def test_the_ends_of_a_range_and_numbers_of_numpy_are_in_it(value: object) -> None:
    check_whole("n", value, 0, 3)
    check_number("x", value, 0, 3)
    check_number("x", np.float32(2.5), 0, 3)


@pytest.mark.parametrize(
    ("settings", "same"),
    [
        (SampleConfig(seed=np.int64(7), temperature=np.float32(0.5)), SampleConfig(seed=7, temperature=0.5)),
        (TrainConfig(steps=np.uint16(3), seed=np.int64(2)), TrainConfig(steps=3, seed=2)),
        (ModelOptions(ngram_order=np.int64(3)), ModelOptions(ngram_order=3)),
        (ModelOptions(hidden_size=np.int64(5)), ModelOptions(hidden_size=5)),
        (TokenizerConfig(vocab_size=np.int64(9)), TokenizerConfig(vocab_size=9)),
        (
            ModelConfig(vocab_size=np.int64(9), embedding_dim=2, hidden_size=2, dropout=np.float64(0.5)),
            ModelConfig(vocab_size=9, embedding_dim=2, hidden_size=2, dropout=0.5),
        ),
    ],
    ids=lambda settings: type(settings).__name__,
)
def test_settings_take_numbers_of_numpy_as_those_of_python(settings: Any, same: Any) -> None:
    assert json.dumps(settings.to_dict()) == json.dumps(same.to_dict())
