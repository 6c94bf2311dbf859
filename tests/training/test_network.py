"""The torch network: equal to the engine and to torch.nn, and able to learn four letters."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from cells import MODELS
from pairwise import every_pair
from torch.nn import functional

from rnngen.config import ModelConfig
from rnngen.counts.corrections import CountModel
from rnngen.counts.storage import from_arrays
from rnngen.engine import language_model
from rnngen.engine import stack as stack_module
from rnngen.engine.language_model import Engine
from rnngen.errors import ConfigError
from rnngen.training import softmax
from rnngen.training import stack as torch_stack
from rnngen.training.bptt import IGNORED
from rnngen.training.network import COUNTS_IN_TRAINING, RNNLM, check_device, to_weights
from rnngen.training.optimizers import Optimizer
from rnngen.training.stack import LOOKED_UP_VOCABULARY
from rnngen.training.torch_model import TorchModel, load_torch_model

B, T = 3, 11
LARGE = LOOKED_UP_VOCABULARY + 1
SIZES = {"small vocabulary": 9, "large vocabulary": LARGE}
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
TIED = {"untied": False, "tied": True}


def config_of(model_options, **options) -> ModelConfig:
    return ModelConfig(**{"vocab_size": 9, "embedding_dim": 6, "hidden_size": 8, **model_options, **options})


def ids_of(config: ModelConfig, rows: int = B, length: int = T) -> np.ndarray:
    return np.random.default_rng(0).integers(config.vocab_size, size=(rows, length))


def assert_close(found, wanted, atol=1e-5):
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=atol)


@pytest.mark.parametrize(
    ("model_options", "num_layers", "tie_weights", "tables"),
    every_pair(MODELS, {"1": 1, "2": 2, "3": 3}, TIED, {"gates looked up": True, "gates multiplied": False}),
)
def test_the_numpy_engine_computes_the_logits_of_the_torch_network(
    model_options, random_weights, monkeypatch, num_layers, tie_weights, tables
):
    if not tables:
        monkeypatch.setattr(stack_module, "LARGEST_TABLE", 0)
        monkeypatch.setattr(torch_stack, "LOOKED_UP_VOCABULARY", 0)
    config = config_of(model_options, num_layers=num_layers, tie_weights=tie_weights, embedding_dim=8)
    weights, ids = random_weights(config), ids_of(config)
    engine, twin = Engine(config, weights), load_torch_model(config, weights, "cpu")
    state, twin_state = engine.initial_state(B), twin.initial_state(B)
    for window in np.split(ids, [4, 5], axis=1):
        logits, state = engine.forward(window, state)
        twin_logits, twin_state = twin.forward(window, twin_state)
        assert_close(logits, twin_logits)
        assert logits.dtype == twin_logits.dtype == np.float32
    for found, wanted in zip(state, twin_state, strict=True):
        assert_close(found, wanted)
    step, twin_step = engine.stepper(state), twin.stepper(state)
    for column in ids[:, :3].T:
        assert_close(step(column), twin_step(column))


def test_engine_and_network_agree_on_a_large_vocabulary_and_a_text_of_many_windows(model_options, random_weights):
    config = config_of(model_options, vocab_size=LARGE)
    weights, ids = random_weights(config), ids_of(config, rows=4, length=1100)
    assert ids.size * LARGE > language_model.LOGITS_AT_A_TIME
    engine, twin = Engine(config, weights), load_torch_model(config, weights, "cpu")
    targets = np.roll(ids, -1, axis=1)
    logprobs, state = engine.logprobs(ids, targets, engine.initial_state(4))
    twin_logprobs, twin_state = twin.logprobs(ids, targets, twin.initial_state(4))
    assert_close(logprobs, twin_logprobs, atol=2e-5)
    assert_close(state[0], twin_state[0])


def network_of(config: ModelConfig, weights=None, low=torch.float32) -> RNNLM:
    """The network with these weights, and counts if they have some."""
    counts = CountModel(from_arrays(weights, config.vocab_size)) if config.ngram_order and weights else None
    network = RNNLM(config, low, counts)
    names = [name for name, _ in network.named_parameters()] if weights else []
    network.load_state_dict({name: torch.from_numpy(weights[name]) for name in names}, strict=False)
    return network


def before_of(network: RNNLM, rows: int = B):
    """The ids before a window: none."""
    return None if network.counts is None else network.counts.initial_history(rows)


def through_torch_nn(network: RNNLM, ids, state):
    outputs, _ = network.rnn(network.embedding(ids), state if len(state) > 1 else state[0])
    logits = network.output(outputs)
    if network.counts is None:
        return logits
    nodes = network.counts.nodes(np.concatenate([before_of(network), ids.numpy()]))
    counts = np.tile(network.counts.unigram_logprobs.astype(np.float32), (ids.numel(), 1))
    network.counts.add(counts, nodes.reshape(ids.numel(), -1), 1.0)
    return logits + COUNTS_IN_TRAINING * torch.from_numpy(counts).view(logits.shape)


def gradients(network: RNNLM, logits, ids) -> dict[str, torch.Tensor]:
    network.zero_grad()
    functional.cross_entropy(logits.flatten(0, 1), ids.roll(-1, 0).flatten()).backward()
    return {name: parameter.grad.to_dense().clone() for name, parameter in network.named_parameters()}


@pytest.mark.parametrize(
    ("model_options", "low", "num_layers", "vocab_size"), every_pair(MODELS, PRECISIONS, {"1": 1, "3": 3}, SIZES)
)
def test_logits_and_all_gradients_are_those_of_torch_nn(model_options, random_weights, low, num_layers, vocab_size):
    config = config_of(model_options, num_layers=num_layers, vocab_size=vocab_size)
    network = network_of(config, random_weights(config), low).train()
    ids = torch.from_numpy(ids_of(config).T)
    torch.manual_seed(0)
    state = tuple(torch.randn_like(part) for part in network.initial_state(B))
    found, wanted = network(ids, state, before_of(network))[0], through_torch_nn(network, ids, state)
    tolerance = 1e-5 if low == torch.float32 else 1e-2
    assert (found - wanted).norm() < tolerance * wanted.norm()
    if low == torch.bfloat16:
        # Three roundings more; and a relu near its kink passes a gradient or none, whatever the rounding.
        tolerance = 0.2 if config.nonlinearity == "relu" else 0.03
    wanted_gradients = gradients(network, wanted, ids)
    for name, gradient in gradients(network, found, ids).items():
        assert (gradient - wanted_gradients[name]).norm() < tolerance * wanted_gradients[name].norm(), name


def loss_through_logits(network: RNNLM, ids, targets, state):
    logits, after = network(ids, state, before_of(network), targets.numpy())
    return functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED), after


def gradients_of(network: RNNLM, loss) -> dict[str, torch.Tensor]:
    network.zero_grad()
    loss.backward()
    return {name: parameter.grad.to_dense().clone() for name, parameter in network.named_parameters()}


@pytest.mark.parametrize(
    ("model_options", "low", "vocab_size", "tie_weights"), every_pair(MODELS, PRECISIONS, SIZES, TIED)
)
def test_the_loss_is_the_cross_entropy_of_the_logits(
    model_options, random_weights, monkeypatch, low, vocab_size, tie_weights
):
    monkeypatch.setattr(softmax, "LOGITS_AT_A_TIME", 7 * LARGE)
    config = config_of(model_options, vocab_size=vocab_size, embedding_dim=8, tie_weights=tie_weights)
    network = network_of(config, random_weights(config), low).train()
    ids = torch.from_numpy(ids_of(config).T)
    targets = ids.roll(-1, 0)
    targets[3:, 1] = IGNORED
    wanted, wanted_state = loss_through_logits(network, ids, targets, network.initial_state(B))
    found, losses, state = network.loss(ids, targets, network.initial_state(B), before_of(network), targets.numpy())
    assert losses.shape == targets.shape
    assert not losses[targets == IGNORED].any()
    torch.testing.assert_close(losses[targets != IGNORED].mean(), found.detach())
    for part, twin in zip(state, wanted_state, strict=True):
        assert torch.equal(part, twin)
    wanted_gradients, found_gradients = gradients_of(network, wanted), gradients_of(network, found)
    if network.in_chunks:
        # In bfloat16 both round the same numbers, but not in sums of as many.
        tolerance = 1e-5 if low == torch.float32 else 1e-2
        torch.testing.assert_close(found, wanted, rtol=1e-6, atol=0)
        for name, gradient in found_gradients.items():
            assert (gradient - wanted_gradients[name]).norm() < tolerance * wanted_gradients[name].norm(), name
    else:
        assert torch.equal(found, wanted)
        for name, gradient in found_gradients.items():
            assert torch.equal(gradient, wanted_gradients[name]), name


def test_the_softmax_works_in_chunks_for_a_large_vocabulary(model_options):
    assert not RNNLM(config_of(model_options)).in_chunks
    assert RNNLM(config_of(model_options, vocab_size=LARGE)).in_chunks


def test_windows_of_a_large_vocabulary_are_bounded_by_the_hidden_size_alone(monkeypatch):
    network = RNNLM(config_of({"cell": "gru"}, vocab_size=LARGE, hidden_size=64))
    lengths = []
    run = network._stack.run
    monkeypatch.setattr(network._stack, "run", lambda ids, state: lengths.append(len(ids)) or run(ids, state))
    model, ids = TorchModel(network), ids_of(network.config, rows=32, length=1100)
    model.logprobs(ids, ids, model.initial_state(32))
    assert lengths == [512, 512, 76]


@pytest.mark.parametrize(("model_options", "low", "vocab_size"), every_pair(MODELS, PRECISIONS, SIZES))
def test_a_window_of_one_token_of_one_row_has_a_gradient_too(model_options, low, vocab_size):
    network = RNNLM(config_of(model_options, num_layers=2, vocab_size=vocab_size), low).train()
    ids = torch.zeros(1, 1, dtype=torch.int64)
    logits, _ = network(ids, network.initial_state(1))
    assert all(gradient.isfinite().all() for gradient in gradients(network, logits, ids).values())


def test_precision_is_for_training_only(model_options, random_weights):
    config = config_of(model_options, vocab_size=LARGE, num_layers=2)
    network = network_of(config, random_weights(config), torch.bfloat16)
    ids = ids_of(config)
    model, exact = TorchModel(network), load_torch_model(config, to_weights(network), "cpu")
    found, wanted = (each.forward(ids, each.initial_state(B))[0] for each in (model, exact))
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("tie_weights", [False, True])
def test_a_new_network_finds_all_tokens_about_equally_likely(model_options, tie_weights):
    torch.manual_seed(0)
    config = config_of(model_options, vocab_size=50, embedding_dim=64, hidden_size=64, tie_weights=tie_weights)
    model, ids = TorchModel(RNNLM(config)), ids_of(config)
    logprobs, _ = model.logprobs(ids, np.roll(ids, -1, axis=1), model.initial_state(B))
    assert -logprobs.mean() == pytest.approx(math.log(50), abs=0.2)


def test_recurrent_matrices_start_orthogonal_and_forget_gates_open():
    network = RNNLM(config_of({"cell": "lstm"}, num_layers=2))
    for layer in range(2):
        for block in getattr(network.rnn, f"weight_hh_l{layer}").split(8):
            torch.testing.assert_close(block @ block.t(), torch.eye(8), atol=1e-5, rtol=0)
        bias = getattr(network.rnn, f"bias_ih_l{layer}") + getattr(network.rnn, f"bias_hh_l{layer}")
        assert bias.tolist() == [0.0] * 8 + [1.0] * 8 + [0.0] * 16


@pytest.mark.parametrize("tie_weights", [False, True])
def test_weights_are_those_of_a_checkpoint_and_a_copy(model_options, random_weights, tie_weights):
    config = config_of(model_options, num_layers=2, embedding_dim=8, tie_weights=tie_weights)
    wanted = random_weights(config)
    network = network_of(config, wanted)
    if config.ngram_order:
        network.mix = tuple(wanted["mix"].tolist())
    weights = to_weights(network)
    assert weights.keys() == wanted.keys()
    with torch.no_grad():
        network.output.bias.fill_(9)
    for name, weight in weights.items():
        np.testing.assert_array_equal(weight, wanted[name])
        assert weight.dtype == wanted[name].dtype


def test_a_target_that_was_counted_is_left_out_of_the_counts(random_weights):
    config = config_of({"cell": "gru", "ngram_order": 4})
    network = network_of(config, random_weights(config)).train()
    ids, state, before = torch.from_numpy(ids_of(config).T), network.initial_state(B), before_of(network)
    targets = ids.roll(-1, 0)
    with_all, _ = network(ids, state, before)
    without, _ = network(ids, state, before, targets.numpy())
    some = targets.numpy().copy()
    some[::2] = -1
    mixed, _ = network(ids, state, before, some)
    assert not torch.allclose(with_all, without)
    assert torch.equal(mixed[::2], with_all[::2])
    assert torch.equal(mixed[1::2], without[1::2])


def test_dropout_drops_units_for_a_whole_window_and_scales_the_others():
    config = config_of({"cell": "gru"}, vocab_size=64, hidden_size=64, dropout=0.25)
    network = RNNLM(config)
    with torch.no_grad():
        network.output.weight.copy_(torch.eye(64))  # the logits are the outputs of the recurrent layer
    ids = torch.from_numpy(ids_of(config).T)
    exact = network.eval()(ids, network.initial_state(B))[0]
    torch.manual_seed(0)
    ratio = (network.train()(ids, network.initial_state(B))[0] / exact).detach()
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio), atol=1e-4, rtol=0)
    torch.testing.assert_close(ratio[0].unique().round(decimals=3).unique(), torch.tensor([0.0, 1.333]))
    assert 0.15 < (ratio[0] == 0).float().mean() < 0.35


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("name", ["dropout", "weight_drop"])
def test_dropout_acts_in_training_only(model_options, num_layers, name):
    network = RNNLM(config_of(model_options, **{name: 0.5}, num_layers=num_layers)).train()
    ids = torch.from_numpy(ids_of(network.config).T)
    once, twice = (network(ids, network.initial_state(B))[0] for _ in range(2))
    assert not torch.equal(once, twice)
    network.eval()
    once, twice = (network(ids, network.initial_state(B))[0] for _ in range(2))
    assert torch.equal(once, twice)
    network._stack._config = replace(network.config, **{name: 0.0})
    assert torch.equal(network.train()(ids, network.initial_state(B))[0], once)


@pytest.mark.parametrize("p", [0.25, 0.5, 0.999])
def test_weight_drop_drops_single_weights_and_scales_the_others(p):
    network = RNNLM(config_of({"cell": "gru"}, hidden_size=300, weight_drop=p)).train()
    weight = network.rnn.weight_hh_l0
    torch.manual_seed(0)
    dropped, again = network._stack._drop_weights(weight), network._stack._drop_weights(weight)
    gone = dropped == 0
    assert gone.float().mean().item() == pytest.approx(p, abs=0.005)
    assert not torch.equal(dropped, again)
    torch.testing.assert_close(
        dropped[~gone], weight[~gone] / (~gone).float().mean(), rtol=0.2 if p > 0.9 else 0.01, atol=0
    )
    dropped.sum().backward()
    assert torch.equal(weight.grad == 0, gone)


def test_the_layers_of_torch_drop_the_same_weights(model_options):
    network = RNNLM(config_of(model_options, num_layers=2, weight_drop=0.4)).train()
    ids = torch.from_numpy(ids_of(network.config).T)
    found = []
    for run in (network._stack._run, network._stack._run_torch):
        torch.manual_seed(0)
        network.zero_grad()
        outputs, after = run(ids, network.initial_state(B))
        outputs.square().sum().backward()
        found.append((outputs.detach(), *after, *(weight.grad.clone() for weight in network.rnn.parameters())))
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(one, two, atol=1e-4, rtol=1e-4)


def test_a_gpu_that_is_not_there_is_a_config_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    check_device("cpu")
    with pytest.raises(ConfigError, match="device is 'cuda': torch finds no GPU"):
        check_device("cuda")


LETTERS = "helo"
INPUTS, TARGETS = ([LETTERS.index(letter) for letter in word] for word in ("hell", "ello"))


def learn_hello(cell_options, shape: tuple[int, int]) -> np.ndarray:
    """Train on h -> e, e -> l, l -> l, l -> o; the engine's probabilities of the letter after each, [4, V].

    Args:
        shape: of the window, [T, B]: (4, 1) reads the four letters one after another, (1, 4) each from a zero state.
    """
    torch.manual_seed(0)
    network = RNNLM(ModelConfig(vocab_size=4, embedding_dim=4, hidden_size=8, **cell_options)).train()
    optimizer = Optimizer("adamw", network.parameters(), 0.05, 0.0)
    inputs, targets = torch.tensor(INPUTS).view(shape), torch.tensor(TARGETS)
    for _ in range(35):
        logits, _ = network(inputs, network.initial_state(shape[1]))
        network.zero_grad()
        functional.cross_entropy(logits.flatten(0, 1), targets).backward()
        optimizer.step()
    engine = Engine(network.config, to_weights(network))
    logits, _ = engine.forward(inputs.numpy().T, engine.initial_state(shape[1]))
    return np.exp(logits.reshape(4, 4)) / np.exp(logits.reshape(4, 4)).sum(axis=1, keepdims=True)


def test_hello_is_learned_until_each_next_letter_is_the_likely_one(cell_options):
    probs = learn_hello(cell_options, (4, 1))
    assert "".join(LETTERS[id] for id in probs.argmax(axis=1)) == "ello"
    assert (probs.max(axis=1) > 0.9).all()


def test_without_the_recurrent_state_the_letter_after_l_is_a_coin_toss(cell_options):
    probs = learn_hello(cell_options, (1, 4))
    assert (probs[[0, 1], TARGETS[:2]] > 0.9).all()
    assert probs[2:, TARGETS[2:]] == pytest.approx(np.full((2, 2), 0.5), abs=0.05)
