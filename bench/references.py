"""What a careful user of numpy, torch and SentencePiece would write without rnngen. Contenders for `worker.py`.

Of rnngen only the ids of a text are used here: `rnngen.training` changes settings of torch when it is imported.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

from bench.repeating import Round, repeat


def drawing(cell: str, seconds: float) -> Round:
    """A loop around torch.nn.GRU or LSTM; seconds a token."""
    import torch

    from bench.data import VOCAB_SIZE
    from bench.make_checkpoint import EMBEDDING_DIM, HIDDEN_SIZE
    from bench.plain import PlainModel

    torch.manual_seed(1)
    torch.set_flush_denormal(True)
    model = PlainModel(cell, VOCAB_SIZE, EMBEDDING_DIM, HIDDEN_SIZE, 1).eval()
    temperature = 1.0
    ids: list[float] = []
    id, state = torch.ones(1, 1, dtype=torch.int64), None

    def step() -> None:
        nonlocal id, state
        logits, state = model(id, state)
        probs = torch.softmax(logits[0] / temperature, dim=-1)
        id = torch.multinomial(probs, 1)
        ids.append(id.item())

    @torch.inference_mode()
    def measure() -> float:
        return repeat(seconds, step)

    return measure


def matrix_vector(layout: str, seconds: float) -> Round:
    """The recurrent product of a GRU of 512 in numpy and nothing else; seconds a product."""
    import numpy as np

    generator = np.random.default_rng(1)
    h = generator.normal(size=512).astype(np.float32)
    weights = np.asarray(generator.normal(size=(512, 1536)), np.float32, order=layout)  # type: ignore[call-overload]
    out = np.empty(1536, np.float32)
    return lambda: repeat(seconds, lambda: np.matmul(h, weights, out=out))


def training(
    text: str,
    cell: str,
    hidden_size: int,
    num_layers: int,
    autocast: bool,
    seconds: float,
    words: int | None = None,
) -> Round:
    """The training step of a plain module, its state carried; seconds a token.

    Args:
        autocast: the products in bfloat16, by torch.autocast.
        words: as in `token_ids`.
    """
    import torch
    from torch.nn import functional

    from bench.data import BATCH_SIZE, BPTT, streams, token_ids
    from bench.plain import PlainModel

    torch.manual_seed(1)
    torch.set_flush_denormal(True)
    data = token_ids(text, words)
    model = PlainModel(cell, data.tokenizer.vocab_size, 128, hidden_size, num_layers)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    ids = torch.from_numpy(streams(data))  # [n, B]
    place, state = 0, None
    # The context is for the forward pass alone, as torch's documentation has it.
    low = (lambda: torch.autocast("cpu", torch.bfloat16)) if autocast else contextlib.nullcontext

    def step() -> None:
        nonlocal place, state
        place = place + BPTT if place + 2 * BPTT < len(ids) else 0
        inputs, targets = ids[place : place + BPTT], ids[place + 1 : place + BPTT + 1]
        optimizer.zero_grad(set_to_none=True)
        with low():
            logits, after = model(inputs, state)
            loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        state = tuple(part.detach() for part in after) if isinstance(after, tuple) else after.detach()
        loss.item()

    return lambda: repeat(seconds, step) / (BATCH_SIZE * BPTT)


def products(seconds: float) -> Callable[[], dict[str, float]]:
    """Matrix products of torch, a small and a large one in both precisions; GFLOP/s, in about `seconds` each."""
    import torch

    shapes = {"small": (32, 512, 1536), "large": (2048, 2048, 2048)}

    def rate(rows: int, inner: int, columns: int, dtype: torch.dtype) -> float:
        a, b = torch.randn(rows, inner).to(dtype), torch.randn(inner, columns).to(dtype)
        out = torch.empty(rows, columns, dtype=dtype)
        torch.mm(a, b, out=out)
        return 2 * rows * inner * columns / repeat(seconds, lambda: torch.mm(a, b, out=out)) / 1e9

    def measure() -> dict[str, float]:
        return {
            f"{name} {precision}": rate(*shape, getattr(torch, precision))
            for name, shape in shapes.items()
            for precision in ("float32", "bfloat16")
        }

    return measure


def reading(path: str) -> Round:
    """A file read and decoded, line breaks made `\\n`, in pieces that fit a cache; seconds."""

    def measure() -> float:
        start = time.perf_counter()
        with open(path, encoding="utf-8") as file:
            while file.read(1 << 20):
                pass
        return time.perf_counter() - start

    return measure


def splitting(path: str) -> Round:
    """A text in memory split at white space, piece by piece: all words at once would take gigabytes; seconds."""
    with open(path, encoding="utf-8") as file:
        pieces = file.read().splitlines(keepends=True)
    text = ["".join(pieces[start : start + 20_000]) for start in range(0, len(pieces), 20_000)]

    def measure() -> float:
        start = time.perf_counter()
        for piece in text:
            piece.split()
        return time.perf_counter() - start

    return measure


def sentencepiece(path: str, tokenizer: str) -> Round:
    """SentencePiece's own encoding of all lines in one batch; seconds.

    Args:
        tokenizer: a file of rnngen's, which holds the SentencePiece model.
    """
    import base64
    import json

    from sentencepiece import SentencePieceProcessor

    with open(tokenizer, encoding="utf-8") as file:
        model = base64.b64decode(json.load(file)["sentencepiece"])
    processor: Any = SentencePieceProcessor(model_proto=model)
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n")

    def measure() -> float:
        start = time.perf_counter()
        encoded = processor.encode(lines, out_type=int)
        spent = time.perf_counter() - start
        assert len(encoded) == len(lines)
        return spent

    return measure
