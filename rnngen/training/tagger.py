"""The tagger as a torch module, with torch.nn's names of the weights; `engine/tagger.py` has the formula."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnngen.config import ModelConfig
from rnngen.training.dropping import drop_units, drop_weights
from rnngen.training.linear import in_blocks
from rnngen.training.recurrent import run_layer
from rnngen.training.stack import initialize, make_rnn


class TaggerNetwork(nn.Module):
    """Embeddings of words, layers over their characters, bidirectional layers over the words, a softmax over tags.

    Args:
        low: type of the operands of the large matrix products in training.
    """

    def __init__(self, config: ModelConfig, low: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.config, self.low = config, low
        S, H = config.spelling_dim, config.hidden_size
        self.embedding = nn.Embedding(config.n_words + 1, config.embedding_dim)
        characters = nn.Embedding(config.vocab_size, S)
        self.spelling = nn.ModuleDict({"embedding": characters, "rnn": make_rnn(config, (S, S, 1), bidirectional=True)})
        self.rnn = make_rnn(config, (config.embedding_dim + 2 * S, H, config.num_layers), bidirectional=True)
        self.output = nn.Linear(2 * H, config.n_tags)
        for rnn in (self.spelling["rnn"], self.rnn):
            initialize(rnn)
        with torch.no_grad():
            # A rare word should say little by itself, and its spelling more.
            self.embedding.weight.normal_(0, 0.1)
            characters.weight.normal_(0, 0.3)
            self.output.weight.normal_(0, 0.1 / math.sqrt(H))
            self.output.bias.zero_()

    def forward(self, words: Tensor, numbers: Tensor, backward: Tensor, spelled: Spelled) -> Tensor:
        """Logits of the tags.

        Args:
            words: ids, [T, B].
            numbers: of each word among those that are spelled, [T, B].
            backward: `reversed_rows` of the sentences, [T, B].
        """
        S = self.config.spelling_dim
        outputs = self._layer(self.spelling["rnn"], 0, self.spelling["embedding"](spelled.ids), spelled.backward)
        ends = spelled.lengths[None, :, None].expand(1, -1, S) - 1
        spelling = torch.cat([outputs[..., :S].gather(0, ends)[0], outputs[0, :, S:]], 1)  # [words, 2 S]
        x = self._drop(torch.cat([self.embedding(words), functional.embedding(numbers, spelling)], 2))
        for layer in range(self.config.num_layers):
            x = self._drop(self._layer(self.rnn, layer, x, backward))
        logits: Tensor = self.output(x)
        return logits

    def _layer(self, rnn: nn.Module, layer: int, x: Tensor, backward: Tensor) -> Tensor:
        """One layer of both directions: [T, B, I] -> [T, B, 2 H]."""
        config, low = self.config, self.low if self.training else torch.float32
        outputs = []
        for direction in config.directions:
            names = (f"{name}_l{layer}{direction}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
            w_ih, w_hh, b_ih, b_hh = (getattr(rnn, name) for name in names)
            H = w_hh.shape[1]
            b_n = b_hh[2 * H :] if config.cell == "gru" else None
            bias = b_ih + (b_hh if b_n is None else functional.pad(b_hh[: 2 * H], (0, H)))
            places = backward[..., None] if direction else None
            inputs = x if places is None else x.gather(0, places.expand_as(x))
            gates = in_blocks(inputs, w_ih, bias, config.num_gates, low)
            zeros = x.new_zeros(x.shape[1], H)
            state = (zeros, zeros) if config.cell == "lstm" else (zeros,)
            if self.training:
                w_hh = drop_weights(w_hh, config.weight_drop)
            found, _ = run_layer(config.cell, config.nonlinearity, gates, state, w_hh, b_n, low)
            outputs.append(found if places is None else found.gather(0, places.expand_as(found)))
        return torch.cat(outputs, 2)

    def _drop(self, x: Tensor) -> Tensor:
        return drop_units(x, self.config.dropout) if self.training else x


class Spelled:
    """Distinct words as characters.

    Attributes:
        ids: [longest, words].
        lengths: [words].
        backward: `reversed_rows` of them, [longest, words].
    """

    def __init__(self, ids: Tensor, lengths: Tensor, backward: Tensor) -> None:
        self.ids, self.lengths, self.backward = ids, lengths, backward
