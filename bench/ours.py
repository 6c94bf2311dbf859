"""rnngen itself, through its public functions. Contenders for `worker.py`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.make_checkpoint import NGRAM_ORDER, model_config, random_weights
from bench.repeating import Round, repeat
from rnngen.config import ModelOptions, SampleConfig, TokenizerConfig, TrainConfig

if TYPE_CHECKING:
    from rnngen.text.dataset import Dataset
    from rnngen.training.plan import Plan

LONGEST_SAMPLE = 10**6  # more than is drawn in a round
MOST_STEPS = 10**6


def drawing(seconds: float, cell: str = "gru", streams: int = 1, counted: str | None = None) -> Round:
    """Draw from one layer of 512; seconds a token of all streams.

    Args:
        counted: the text whose n-grams stand beside it; None for a network alone.
    """
    from rnngen.engine.language_model import Engine
    from rnngen.engine.sampling import generate

    config = model_config(cell=cell, ngram_order=NGRAM_ORDER if counted else 0)
    model = Engine(config, random_weights(config, counted))
    sampling = SampleConfig(length=LONGEST_SAMPLE, seed=1)
    context = np.array([1])

    def measure() -> float:
        ids: list[list[int]] = []
        drawn = generate(model, context, sampling, streams=range(streams))
        return repeat(seconds, lambda: ids.append(next(drawn).ids.tolist())) / streams

    return measure


def make_plan(
    text: str,
    cell: str,
    hidden_size: int,
    num_layers: int,
    precision: str,
    bare: bool = True,
    words: int | None = None,
) -> tuple[Plan, Dataset]:
    """The plan of a run, and its data.

    Args:
        bare: without dropout and n-grams, which torch.nn's module does not have.
        words: as in `token_ids`.
    """
    from bench.data import BATCH_SIZE, BPTT, token_ids
    from rnngen.training import plan

    data = token_ids(text, words)
    config = TrainConfig.from_dict(
        {"seconds": None, "steps": MOST_STEPS, "batch_size": BATCH_SIZE, "bptt": BPTT, "precision": precision}
    )
    options = ModelOptions.from_dict(
        {"cell": cell, "hidden_size": hidden_size, "embedding_dim": 128, "num_layers": num_layers}
        | ({"dropout": 0.0, "weight_drop": 0.0, "ngram_order": 0} if bare else {})
    )  # fmt: skip
    return plan.make_plan(config, options, data), data


def training(
    text: str,
    cell: str,
    hidden_size: int,
    num_layers: int,
    precision: str,
    seconds: float,
    bare: bool = True,
    words: int | None = None,
) -> Round:
    """The steps of `rnngen train`, everything in them but the validations between them; seconds a token."""
    plan, data = make_plan(text, cell, hidden_size, num_layers, precision, bare, words)
    from rnngen.training.events import Stepped
    from rnngen.training.loop import train

    events = train(plan, data)

    def measure() -> float:
        spent, done = 0.0, 0
        while not done or spent < seconds:
            start = time.perf_counter()
            event = next(events)
            if isinstance(event, Stepped):
                spent += time.perf_counter() - start
                done += 1
        return spent / (done * plan.batch_size * plan.bptt)

    return measure


def gradients(text: str, cell: str, hidden_size: int, num_layers: int) -> Callable[[], dict[str, Any]]:
    """How far the gradients are from those of torch.nn in float32, by the norm of these; and what `auto` picks."""
    plan, data = make_plan(text, cell, hidden_size, num_layers, "auto")
    import torch
    from torch.nn import functional

    from bench.data import BATCH_SIZE, BPTT, streams
    from bench.plain import PlainModel
    from rnngen.training.network import RNNLM

    torch.manual_seed(1)
    model = plan.model
    plain = PlainModel(cell, model.vocab_size, model.embedding_dim, hidden_size, num_layers)
    inputs, targets = (torch.from_numpy(streams(data)[start : start + BPTT]) for start in (0, 1))
    shape = (num_layers, BATCH_SIZE, hidden_size)
    state = tuple(torch.empty(shape).uniform_(-0.5, 0.5) for _ in range(2 if cell == "lstm" else 1))

    def gradient(network: torch.nn.Module, before: Any) -> torch.Tensor:
        logits, _ = network(inputs, before)
        functional.cross_entropy(logits.flatten(0, 1), targets.flatten()).backward()
        found = dict(network.named_parameters())
        return torch.cat([found[name].grad.flatten() for name in model.weight_shapes()])  # type: ignore[union-attr]

    def error(low: torch.dtype) -> float:
        plain.zero_grad()
        wanted = gradient(plain, state if cell == "lstm" else state[0])
        network = RNNLM(model, low).train()
        network.load_state_dict(plain.state_dict())
        return float((gradient(network, state) - wanted).norm() / wanted.norm())

    def measure() -> dict[str, Any]:
        precisions = {"float32", plan.precision}
        return {
            "precision": plan.precision,
            "vocab_size": model.vocab_size,
            "gradient_errors": {name: error(getattr(torch, name)) for name in sorted(precisions)},
        }

    return measure


def choices(text: str) -> Callable[[], dict[str, Any]]:
    """The precision that `auto` picks for a GRU of 512, and its operations a token in training."""
    plan, _ = make_plan(text, "gru", 512, 1, "auto")
    from rnngen.training.plan import flops_per_token

    flops = flops_per_token(ModelOptions(cell="gru"), plan.model.vocab_size, plan.model.hidden_size)
    return lambda: {"precision": plan.precision, "flops_per_token": flops}


def save_tokenizer(text: str, path: str, level: str) -> Callable[[], int]:
    """Build a tokenizer out of a text and write it to a file; the size of its vocabulary."""
    from pathlib import Path

    from rnngen.text.corpus import FileText
    from rnngen.tokenizers import levels

    def measure() -> int:
        made = levels.build(TokenizerConfig.from_dict({"level": level}), FileText([text]))
        levels.save(made, Path(path))
        return made.vocab_size

    return measure


def tokenizing(path: str, tokenizer: str) -> Round:
    """A file's ids, to the disk; seconds."""
    from pathlib import Path

    from rnngen.text.corpus import FileText
    from rnngen.text.ids_on_disk import write_ids
    from rnngen.tokenizers import levels

    loaded = levels.load(Path(tokenizer))

    def measure() -> float:
        start = time.perf_counter()
        tokens = write_ids(FileText([path]), loaded)
        spent = time.perf_counter() - start
        assert len(tokens.ids)
        return spent

    return measure
