"""The plain torch module of the references, under the names that a checkpoint has."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class PlainModel(nn.Module):
    """Embedding, torch.nn.GRU or LSTM, Linear."""

    def __init__(self, cell: str, vocab_size: int, embedding_dim: int, hidden_size: int, num_layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_dim)
        self.rnn = {"gru": nn.GRU, "lstm": nn.LSTM}[cell](embedding_dim, hidden_size, num_layers)
        self.output = nn.Linear(hidden_size, vocab_size)

    def forward(self, ids: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """[T, B] -> logits [T, B, V] and the state after."""
        outputs, after = self.rnn(self.embedding(ids), state)
        return self.output(outputs), after
