"""The log-probability of every line of a text, with torch.nn.GRU: `python score_with_torch.py CHECKPOINT TEXT`.

A reference for `rnngen score`, written without rnngen: lines of like length share a batch, padded at their end.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

BATCH_TOKENS = 1 << 14
MOST_ROWS = 256
PADDING = -100
NEWLINE_ID, FIRST_ID = 1, 2


class Model(nn.Module):
    """Embedding, GRU, Linear."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        vocab_size, embedding_dim = weights["embedding.weight"].shape
        hidden_size = weights["rnn.weight_hh_l0"].shape[1]
        self.embedding = nn.Embedding(vocab_size, embedding_dim)
        self.rnn = nn.GRU(embedding_dim, hidden_size, batch_first=True)
        self.output = nn.Linear(hidden_size, vocab_size)
        self.load_state_dict(weights)

    def forward(self, ids: Tensor) -> Tensor:
        """[B, T] -> logits [B, T, V]."""
        outputs, _ = self.rnn(self.embedding(ids))
        logits: Tensor = self.output(outputs)
        return logits


def load(path: str) -> tuple[Model, dict[str, int]]:
    """The model, and the ids of its characters."""
    weights = load_file(path)
    characters = bytes(weights.pop("tokenizer.characters").tolist()).decode()
    return Model(weights).eval(), {character: id for id, character in enumerate(characters, FIRST_ID)}


def batches(lines: list[Tensor]) -> Iterator[list[int]]:
    """The numbers of lines that go together, from the shortest to the longest."""
    batch: list[int] = []
    for number in sorted(range(len(lines)), key=lambda number: len(lines[number])):
        if batch and (len(batch) == MOST_ROWS or (len(batch) + 1) * len(lines[number]) > BATCH_TOKENS):
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


@torch.inference_mode()
def score(model: Model, lines: list[Tensor]) -> list[float]:
    """The natural log-probability of each line, the line break that ends it included."""
    scores = [0.0] * len(lines)
    for batch in batches(lines):
        targets = nn.utils.rnn.pad_sequence([lines[number] for number in batch], True, PADDING)  # [B, T]
        inputs = functional.pad(targets[:, :-1].clamp(min=0), (1, 0), value=NEWLINE_ID)
        losses = functional.cross_entropy(
            model(inputs).flatten(0, 1), targets.flatten(), ignore_index=PADDING, reduction="none"
        )
        for number, loss in zip(batch, losses.view_as(targets).sum(1).tolist(), strict=True):
            scores[number] = -loss
    return scores


def main(checkpoint: str, text: str) -> None:
    """Print one record a line, in order."""
    model, id_of = load(checkpoint)
    with open(text, encoding="utf-8") as file:
        lines = file.read().removesuffix("\n").split("\n")
    ids = [torch.tensor([*(id_of.get(character, 0) for character in line), NEWLINE_ID]) for line in lines]
    for logprob, line in zip(score(model, ids), lines, strict=True):
        print(f"{logprob:.4f}\t{line}")


if __name__ == "__main__":
    torch.set_flush_denormal(True)
    main(*sys.argv[1:])
