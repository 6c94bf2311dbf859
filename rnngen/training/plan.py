"""Chooses every setting that a person left open: sizes that fit the text, the budget and the machine."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Literal

import torch

from rnngen.config import Device, ModelConfig, ModelOptions, Optimizer, TrainConfig
from rnngen.cores import available_cores
from rnngen.errors import ConfigError
from rnngen.text.dataset import Dataset
from rnngen.training.bptt import count_line_windows
from rnngen.training.network import check_device
from rnngen.training.products import product
from rnngen.training.tagger_plan import SENTENCES, TAGGER_RATE, sentences_an_epoch, tagger_config

BATCH_SIZE = 32
BPTT = 64
# Measured (docs/defaults.md): the more often a text is read, the sooner it is learnt by heart.
DROPPED_FROM, DROPPED_MORE = 6.0, 0.2  # epochs, and for e times as many
UNITS_AHEAD, UNITS_AHEAD_OF_LARGE = 0.15, 0.3  # of the dropped weights; of a large vocabulary
LEAST_DROPOUT, MOST_DROPPED = 0.1, 0.6
WEIGHT_DECAY: dict[Optimizer, float] = {"adamw": 0.3, "rmsprop": 0.01, "sgd": 0.01}
SMALL_VOCABULARY = 1024  # up to this one, a model has long n-grams and a narrow embedding by default
NGRAM_ORDER, NGRAM_ORDER_OF_LARGE = 10, 5
NGRAM_BYTES = 4_000_000
MOST_COUNTED = 1 << 22  # tokens; the sorting takes about 100 bytes for each
COUNTED_A_SECOND = 100_000  # of a time budget: they take about a tenth of it
NARROW_EMBEDDING = 128  # of a small vocabulary
VALIDATE_AFTER = 15  # tokens trained on for each token of the validation text: a tenth of the time or less
FEWEST_BETWEEN = 25  # steps between two validations
HIDDEN_SIZES = (32, 48, 64, 96, 128, 192, 256, 320, 384, 448, 512, 640, 768, 896, 1024)

# Measured (docs/defaults.md): with fewer tokens a weight, a smaller model ends better.
TOKENS_PER_WEIGHT = 7.0
# With more weights a token of text, a model learns the text by heart before it has learnt the language.
WEIGHTS_PER_TRAINING_TOKEN = 8.0
# The part of the bare product's speed that a step's products reach; and what else a step does for a token, in floating
# point operations that take as long. Measured with GRU 128 to 768: within a fifth of the tokens a second.
EFFICIENCY, BESIDE_PRODUCTS = 0.7, 5e6


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Every setting of a run. One of `seconds` and `steps` is set.

    Attributes:
        ngram_bytes: what the counts take in a checkpoint at most.
        ngram_tokens: how much of the text is counted at most.
        slower: reasons why the run is slower than it could be, as sentences for a person.
    """

    model: ModelConfig
    seconds: float | None
    steps: int | None
    batch_size: int
    bptt: int
    learning_rate: float
    optimizer: Optimizer
    weight_decay: float
    grad_clip: float
    patience: int | None
    validate_every: int
    seed: int
    threads: int
    precision: Literal["float32", "bfloat16"]
    device: Device
    lines: bool
    ngram_bytes: int
    ngram_tokens: int
    slower: tuple[str, ...] = ()


def make_plan(config: TrainConfig, options: ModelOptions, data: Dataset) -> Plan:
    """Choose every setting that was left open.

    Raises:
        ConfigError: bptt or the batch does not fit the text, or the device is not there.
    """
    check_device(config.device)
    threads = config.threads or available_cores()
    torch.set_num_threads(threads)
    precision = _precision(config)
    batch_size, bptt = _window_shape(config, data, options.tags)
    n_windows = (
        sentences_an_epoch(data) / batch_size if options.tags else _windows_an_epoch(config, data, batch_size, bptt)
    )
    steps = config.steps
    if config.epochs is not None:
        steps = max(1, math.ceil(config.epochs * n_windows))
    n_train = len(data.train.ids)
    model = tagger_config(options, data) if options.tags else _model_config(
        options, data.tokenizer.vocab_size, n_train,
        n_tokens=None if steps is None else steps * n_train / n_windows,
        flops=None if config.time_budget is None else config.time_budget * measured_flops(precision, config.device),
    )  # fmt: skip
    return Plan(
        model=model,
        seconds=config.time_budget,
        steps=steps,
        batch_size=batch_size,
        bptt=bptt,
        learning_rate=config.learning_rate or default_learning_rate(config.optimizer, model),
        optimizer=config.optimizer,
        weight_decay=WEIGHT_DECAY[config.optimizer] if config.weight_decay is None else config.weight_decay,
        grad_clip=config.grad_clip,
        patience=config.patience,
        validate_every=max(FEWEST_BETWEEN, round(VALIDATE_AFTER * len(data.valid.ids) * n_windows / n_train)),
        seed=config.seed,
        threads=threads,
        precision=precision,
        device=config.device,
        lines=config.lines,
        ngram_bytes=NGRAM_BYTES if options.ngram_size is None else max(1, round(1e6 * options.ngram_size)),
        ngram_tokens=_ngram_tokens(config.time_budget),
        slower=_slower(config, threads, precision),
    )


def _slower(config: TrainConfig, threads: int, precision: Literal["float32", "bfloat16"]) -> tuple[str, ...]:
    reasons = []
    cores = available_cores()
    if threads > cores:
        reasons.append(f"{threads} threads share {cores} cores and wait for one another; --threads {cores} is faster")
    if config.device == "cpu" and not has_bfloat16():
        if precision == "bfloat16":
            reasons.append("torch finds no bfloat16 products in this processor; --precision float32 is faster")
        else:
            reasons.append("torch finds no bfloat16 products in this processor; products are in float32")
    elif config.device == "cpu" and precision == "float32":
        reasons.append("products are in float32; --precision bfloat16 is faster on this processor")
    return tuple(reasons)


def _window_shape(config: TrainConfig, data: Dataset, tags: bool) -> tuple[int, int]:
    """batch_size and bptt: those that were asked for, or as large as the text allows up to the defaults."""
    n_train = len(data.train.ids)
    bptt = config.bptt or min(BPTT, max(1, n_train - 1))
    if tags:
        return config.batch_size or SENTENCES, bptt
    if config.lines:
        return config.batch_size or BATCH_SIZE, bptt
    batch_size = config.batch_size or min(BATCH_SIZE, max(1, n_train // bptt))
    if bptt >= n_train:
        raise ConfigError(
            f"bptt is {bptt}: the text to train on has {n_train} tokens; use --bptt {n_train - 1} or less"
        )
    if batch_size > n_train:
        raise ConfigError(
            f"batch_size is {batch_size}: the text to train on has {n_train} tokens; use --batch-size {n_train} or less"
        )
    return batch_size, bptt


def _windows_an_epoch(config: TrainConfig, data: Dataset, batch_size: int, bptt: int) -> float:
    if config.lines:
        return count_line_windows(data.train.ids, data.tokenizer.newline_id, batch_size, bptt)
    return len(data.train.ids) / (batch_size * bptt)


def _model_config(
    options: ModelOptions, vocab_size: int, n_train: int, n_tokens: float | None, flops: float | None
) -> ModelConfig:
    order = options.ngram_order
    if options.bidirectional:
        order = 0
    elif order is None:
        order = NGRAM_ORDER if vocab_size <= SMALL_VOCABULARY else NGRAM_ORDER_OF_LARGE
    if options.cell == "none":
        return ModelConfig(
            vocab_size=vocab_size, cell="none", embedding_dim=0, hidden_size=0, num_layers=0, ngram_order=order
        )
    hidden = options.hidden_size
    if hidden is None and options.tie_weights:
        hidden = options.embedding_dim
    if hidden is None:
        hidden = choose_hidden_size(options, vocab_size, n_train, n_tokens, flops)
    n_epochs = _tokens_of(options, vocab_size, hidden, n_tokens, flops) / n_train
    dropout, weight_drop = choose_dropouts(n_epochs, vocab_size)
    narrow = vocab_size <= SMALL_VOCABULARY and not options.tie_weights
    return ModelConfig(
        vocab_size=vocab_size,
        embedding_dim=options.embedding_dim or (min(hidden, NARROW_EMBEDDING) if narrow else hidden),
        hidden_size=hidden,
        num_layers=options.num_layers or 1,
        cell=options.cell,
        nonlinearity=options.nonlinearity,
        dropout=dropout if options.dropout is None else options.dropout,
        weight_drop=weight_drop if options.weight_drop is None else options.weight_drop,
        tie_weights=options.tie_weights,
        ngram_order=order,
        bidirectional=options.bidirectional,
    )


def _ngram_tokens(seconds: float | None) -> int:
    return MOST_COUNTED if seconds is None else max(1, min(MOST_COUNTED, round(COUNTED_A_SECOND * seconds)))


def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 matrices itself; emulated ones would be slower than float32."""
    probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(probe and probe())


def _precision(config: TrainConfig) -> Literal["float32", "bfloat16"]:
    if config.precision == "auto":
        has_it = has_bfloat16() if config.device == "cpu" else torch.cuda.is_bf16_supported(including_emulation=False)
        return "bfloat16" if has_it else "float32"
    return config.precision


def measured_flops(precision: Literal["float32", "bfloat16"], device: Device = "cpu") -> float:
    """Floating point operations a second of a product like the recurrent one, the best of a tenth of a second."""
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    B, H = BATCH_SIZE, 512
    x, weight = torch.ones(B, H, dtype=dtype, device=device), torch.ones(3 * H, H, dtype=dtype, device=device)
    multiply = product(weight)
    best = math.inf
    end = time.monotonic() + 0.1
    while time.monotonic() < end:
        start = time.perf_counter()
        multiply(x)
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2 * B * H * 3 * H / best


def flops_per_token(options: ModelOptions, vocab_size: int, hidden: int) -> float:
    """Floating point operations of a training step: two for each weight going forward, four going back."""
    return 6.0 * (recurrent_weights(options, hidden) + vocab_size * hidden)


def recurrent_weights(options: ModelOptions, hidden: int) -> int:
    """Weights in all layers, and between them. Those of the input and the softmax are few or seldom used."""
    gates = ModelConfig(vocab_size=1, embedding_dim=1, hidden_size=1, cell=options.cell).num_gates
    directions = 2 if options.bidirectional else 1
    return directions * gates * hidden * hidden * (2 * (options.num_layers or 1) - 1)


def choose_hidden_size(
    options: ModelOptions, vocab_size: int, n_train: int, n_tokens: float | None, flops: float | None
) -> int:
    """The largest hidden size that the text can fill and the budget can train.

    Args:
        n_train: tokens of the text.
        n_tokens: that the run will train on; or None with `flops`.
        flops: that the run can spend.
    """
    best = HIDDEN_SIZES[0]
    for hidden in HIDDEN_SIZES:
        weights = recurrent_weights(options, hidden)
        tokens = _tokens_of(options, vocab_size, hidden, n_tokens, flops)
        if tokens >= TOKENS_PER_WEIGHT * weights and weights <= WEIGHTS_PER_TRAINING_TOKEN * n_train:
            best = hidden
    return best


def _tokens_of(
    options: ModelOptions, vocab_size: int, hidden: int, n_tokens: float | None, flops: float | None
) -> float:
    """How many tokens a run trains on."""
    if n_tokens is not None:
        return n_tokens
    return EFFICIENCY * (flops or 0) / (BESIDE_PRODUCTS + flops_per_token(options, vocab_size, hidden))


def choose_dropouts(n_epochs: float, vocab_size: int) -> tuple[float, float]:
    """dropout and weight_drop: more the more often the text is read."""
    dropped = DROPPED_MORE * math.log(max(n_epochs, 1) / DROPPED_FROM)
    ahead = UNITS_AHEAD if vocab_size <= SMALL_VOCABULARY else UNITS_AHEAD_OF_LARGE
    dropout = min(MOST_DROPPED, max(LEAST_DROPOUT, dropped + ahead))
    return round(dropout, 2), round(min(MOST_DROPPED, max(0.0, dropped)), 2)


def default_learning_rate(optimizer: Optimizer, model: ModelConfig) -> float:
    """Peak learning rates that were the best, or near it, on the texts of docs/defaults.md."""
    adamw = 6e-3 if model.vocab_size <= SMALL_VOCABULARY else 3e-3
    adamw = TAGGER_RATE if model.is_tagger else adamw
    base = {"adamw": adamw, "rmsprop": 1.5e-3, "sgd": 0.5}[optimizer]
    return base * (0.5 if model.cell == "rnn" else 1.0)
