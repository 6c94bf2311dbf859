"""The recurrence in C beside the one in numpy, with vectors of every size; its threads."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import threading
from pathlib import Path

import numpy as np
import pytest
from cells import CELLS, VECTORS
from pairwise import every_pair

from rnngen import native
from rnngen.config import ModelConfig
from rnngen.engine import compiled
from rnngen.engine.cells import make_layer
from rnngen.engine.recurrence import NumpyRecurrence
from rnngen.native import load_library

T, N = 5, 9


def make_case(random_weights, cell_options, H, B):
    """A layer, the inputs' share of the gates, rows of it, and a state."""
    config = ModelConfig(vocab_size=3, embedding_dim=2, hidden_size=H, **cell_options)
    layer = make_layer(config, random_weights(config), 0)
    generator = np.random.default_rng(H * 100 + B)
    inputs = generator.normal(0, 1, (N, config.num_gates * H)).astype(np.float32)
    state = tuple(generator.uniform(-0.9, 0.9, (B, H)).astype(np.float32) for _ in range(layer.n_states))
    return layer, inputs, generator.integers(N, size=(T, B)), state


def assert_close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=2e-6)


COMPILER = (sysconfig.get_config_var("CC") or "cc").split()


def can_compile():
    """Whether what compiles extensions of this Python is there, with the C library's headers."""
    if not shutil.which(COMPILER[0]) or sys.platform != "linux":
        return False
    program = "#include <pthread.h>\n#include <string.h>\nint main(void) { return 0; }\n"
    return subprocess.run([*COMPILER, "-fsyntax-only", "-x", "c", "-"], input=program, text=True).returncode == 0


needs_compiler = pytest.mark.skipif(not can_compile(), reason="there is no C compiler")


@needs_compiler
def test_where_there_is_a_compiler_it_was_used():
    assert compiled.LIBRARY is not None, compiled.WHY_NOT


# 64 rows of 130 units, or one of 400, are work enough to be shared by threads.
SHAPES = [(1, 1), (5, 2), (16, 3), (31, 7), (33, 13), (400, 1), (130, 64)]


@pytest.mark.parametrize(
    ("compiled_recurrence", "cell_options", "shape"),
    every_pair(VECTORS, CELLS, {f"{H} units, {B} rows": (H, B) for H, B in SHAPES}),
    indirect=["compiled_recurrence"],
)
def test_a_window_is_what_it_is_in_numpy(compiled_recurrence, random_weights, cell_options, shape):
    H, B = shape
    layer, inputs, rows, state = make_case(random_weights, cell_options, H, B)
    outputs, after = compiled_recurrence(layer).run(inputs, rows, state)
    wanted, wanted_after = NumpyRecurrence(layer).run(inputs, rows, state)
    assert_close(outputs, wanted)
    for found, part in zip(after, wanted_after, strict=True):
        assert_close(found, part)
    np.testing.assert_array_equal(after[0], outputs[-1])


@pytest.mark.parametrize(
    ("compiled_recurrence", "cell_options", "B", "V"),
    every_pair(VECTORS, CELLS, {"a row": 1, "six rows": 6}, {"small vocabulary": 3, "large vocabulary": 1000}),
    indirect=["compiled_recurrence"],
)
def test_token_by_token_is_the_window_and_the_readout_its_product(
    compiled_recurrence, random_weights, cell_options, B, V
):
    layer, inputs, rows, state = make_case(random_weights, cell_options, 40, B)
    readout = np.random.default_rng(3).normal(0, 1, (40, V)).astype(np.float32)
    recurrence = compiled_recurrence(layer, readout)
    outputs, after = recurrence.run(inputs, rows, state)
    own = tuple(part.copy() for part in state)
    step, product = recurrence.stepper(inputs, own)
    for step_rows, output in zip(rows, outputs, strict=True):
        step(step_rows)
        np.testing.assert_array_equal(own[0], output)
        assert_close(product, output @ readout)
    for part, wanted in zip(own, after, strict=True):
        np.testing.assert_array_equal(part, wanted)


def test_inputs_may_be_written_anew_between_steps(compiled_recurrence, random_weights, cell_options):
    layer, inputs, rows, state = make_case(random_weights, cell_options, 20, 2)
    wanted, _ = compiled_recurrence(layer).run(inputs, rows, state)
    own, given = tuple(part.copy() for part in state), np.empty((2, inputs.shape[1]), np.float32)
    step, _ = compiled_recurrence(layer).stepper(given, own)
    for step_rows, output in zip(rows, wanted, strict=True):
        given[:] = inputs[step_rows]
        step(np.arange(2))
        np.testing.assert_array_equal(own[0], output)


@pytest.mark.parametrize(
    ("compiled_recurrence", "cell_options", "threads"),
    every_pair(VECTORS, CELLS, {"one thread": 1, "two threads": 2, "five threads": 5}),
    indirect=["compiled_recurrence"],
)
def test_a_row_is_the_same_to_the_bit_whatever_else_is_done(
    compiled_recurrence, library, random_weights, cell_options, threads
):
    layer, inputs, rows, state = make_case(random_weights, cell_options, 130, 64)
    whole, _ = compiled_recurrence(layer).run(inputs, rows, state)
    library.use(library.lanes, threads)
    for some in (slice(0, 1), slice(7, 9), slice(20, 33), slice(0, 64)):
        part, _ = compiled_recurrence(layer).run(inputs, rows[:, some], tuple(array[some] for array in state))
        np.testing.assert_array_equal(part, whole[:, some])


def test_tanh_is_off_by_few_roundings(compiled_recurrence):
    config = ModelConfig(vocab_size=1, embedding_dim=1, hidden_size=1, cell="rnn")
    layer = make_layer(config, {name: np.zeros(shape, np.float32) for name, shape in config.weight_shapes().items()}, 0)
    a = np.concatenate([np.linspace(-11, 11, 100_001), np.logspace(-30, 1, 10_001), [1e30, -1e30, np.inf, 0]])
    a = a.astype(np.float32)[:, None]
    found, _ = compiled_recurrence(layer).run(a, np.arange(len(a))[None], (np.zeros((len(a), 1), np.float32),))
    wanted = np.tanh(a.astype(np.float64))[None]
    np.testing.assert_allclose(found, wanted, rtol=4e-7, atol=0)
    assert (np.abs(found) <= 1).all()


def test_what_is_no_number_stays_so(compiled_recurrence, random_weights, cell_options):
    layer, inputs, rows, state = make_case(random_weights, cell_options, 20, 3)
    inputs[:] = np.nan
    outputs, _ = compiled_recurrence(layer).run(inputs, rows, state)
    assert np.isnan(outputs).all()


@pytest.mark.parametrize("id", [N, -N - 1])
def test_an_id_that_is_not_in_the_vocabulary_is_an_error(recurrence_of, random_weights, id):
    layer, inputs, rows, state = make_case(random_weights, {"cell": "gru"}, 20, 3)
    rows[2, 1] = id
    with pytest.raises(IndexError):
        recurrence_of(layer).run(inputs, rows, state)
    step, _ = recurrence_of(layer).stepper(inputs, state)
    with pytest.raises(IndexError):
        step(rows[2])


def a_state_of(shape, dtype=np.float32):
    return (np.zeros(shape, dtype),)


@pytest.mark.parametrize(
    "state",
    [a_state_of((2, 20)), a_state_of((3, 21)), a_state_of((3, 20), np.float64), a_state_of((3, 20), np.float16)],
    ids=["other rows", "other units", "float64", "float16"],
)
def test_a_state_that_is_not_the_layers_is_an_error(compiled_recurrence, random_weights, state):
    layer, inputs, rows, _ = make_case(random_weights, {"cell": "gru"}, 20, 3)
    with pytest.raises(ValueError, match=r"is needed, not"):
        compiled_recurrence(layer).run(inputs, rows, state)


def test_inputs_that_are_not_the_layers_are_an_error(compiled_recurrence, random_weights):
    layer, inputs, rows, state = make_case(random_weights, {"cell": "gru"}, 20, 3)
    for other in (inputs[:, 1:], inputs[:, ::-1], inputs.astype(np.float64), np.asfortranarray(inputs)):
        with pytest.raises(ValueError, match=r"is needed, not"):
            compiled_recurrence(layer).stepper(other, state)
    with pytest.raises(TypeError):
        compiled_recurrence(layer).run(inputs, rows + 0.5, state)


def test_weights_of_any_order_and_type_are_the_same_weights(compiled_recurrence, random_weights):
    config = ModelConfig(vocab_size=3, embedding_dim=2, hidden_size=20, cell="rnn")
    weights = random_weights(config)
    inputs, rows, state = np.ones((1, 20), np.float32), np.zeros((T, 1), np.int64), (np.zeros((1, 20), np.float32),)
    wanted, _ = compiled_recurrence(make_layer(config, weights, 0)).run(inputs, rows, state)
    strange = {name: np.asfortranarray(weight.astype(">f8")) for name, weight in weights.items()}
    found, _ = compiled_recurrence(make_layer(config, strange, 0)).run(inputs, rows, state)
    np.testing.assert_array_equal(found, wanted)


def test_a_row_that_is_no_number_spoils_no_other(compiled_recurrence, random_weights, cell_options):
    layer, inputs, rows, state = make_case(random_weights, cell_options, 130, 64)
    wanted, _ = compiled_recurrence(layer).run(inputs, rows, state)
    spoilt = tuple(part.copy() for part in state)
    spoilt[0][7] = np.nan
    found, _ = compiled_recurrence(layer).run(inputs, rows, spoilt)
    assert np.isnan(found[:, 7]).all()
    np.testing.assert_array_equal(np.delete(found, 7, axis=1), np.delete(wanted, 7, axis=1))


def test_no_rows_and_no_steps_are_no_work(recurrence_of, random_weights):
    layer, inputs, rows, state = make_case(random_weights, {"cell": "lstm"}, 20, 3)
    outputs, after = recurrence_of(layer).run(inputs, rows[:0], state)
    assert outputs.shape == (0, 3, 20)
    np.testing.assert_array_equal(after[1], state[1])
    outputs, _ = recurrence_of(layer).run(inputs, rows[:, :0], tuple(part[:0] for part in state))
    assert outputs.shape == (T, 0, 20)


def test_several_callers_at_once_have_their_own_results(library, random_weights):
    library.use(16, 3)
    cases = [make_case(random_weights, {"cell": "gru"}, 130, B) for B in (1, 17, 64)]
    recurrences = [compiled.CompiledRecurrence(library, layer) for layer, *_ in cases]
    wanted = [one.run(*case[1:])[0] for one, case in zip(recurrences, cases, strict=True)]
    wrong = []

    def work(number):
        for _ in range(100):
            if not np.array_equal(recurrences[number].run(*cases[number][1:])[0], wanted[number]):
                wrong.append(number)

    workers = [threading.Thread(target=work, args=(number % 3,)) for number in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []


@pytest.fixture(scope="module")
def sharing(tmp_path_factory):
    """A program that shares jobs among threads, compiled from sharing.c."""
    path = tmp_path_factory.mktemp("sharing") / "sharing"
    source = Path(__file__).with_name("sharing.c")
    sources = ["-I", Path(compiled.__file__).with_name("c"), source]
    subprocess.run([*COMPILER, "-std=gnu11", "-O2", "-Wall", "-Werror", "-pthread", *sources, "-o", path], check=True)
    return path


@needs_compiler
@pytest.mark.parametrize(
    "case",
    ["helpers work", "every part is done once", "a fork in the middle of a job", "helpers round as the caller"],
)
def test_sharing(sharing, case):
    assert subprocess.run([sharing, case], timeout=120, check=False).returncode == 0


def test_code_that_was_compiled_from_other_sources_is_not_used(library, monkeypatch):
    monkeypatch.setattr(compiled, "_VERSION", 0)
    found, why_not = load_library("rnngen.engine._recurrence", compiled.Library)
    assert found is None
    assert "install rnngen again" in why_not


def test_without_a_compiler_there_is_nothing_to_load(monkeypatch):
    monkeypatch.setattr(native, "find_spec", lambda name: None)
    assert load_library("rnngen.engine._recurrence", compiled.Library) == (None, "nothing was compiled at installation")
