"""Name and shape of every weight of a model, under the names that torch.nn gives them."""

from __future__ import annotations

from itertools import product
from typing import Protocol

MIX = "mix"

Shapes = dict[str, tuple[int, ...]]


class Sizes(Protocol):
    """What `ModelConfig` says of the sizes of a model, which has these names explained."""

    @property
    def vocab_size(self) -> int: ...
    @property
    def embedding_dim(self) -> int: ...
    @property
    def hidden_size(self) -> int: ...
    @property
    def num_layers(self) -> int: ...
    @property
    def ngram_order(self) -> int: ...
    @property
    def tie_weights(self) -> bool: ...
    @property
    def bidirectional(self) -> bool: ...
    @property
    def n_words(self) -> int: ...
    @property
    def n_tags(self) -> int: ...
    @property
    def spelling_dim(self) -> int: ...

    @property
    def num_gates(self) -> int: ...
    @property
    def has_network(self) -> bool: ...
    @property
    def is_tagger(self) -> bool: ...
    @property
    def directions(self) -> tuple[str, ...]: ...


def weight_shapes(config: Sizes) -> Shapes:
    """Those of any model; the counts have other names (`counts/storage.py`)."""
    if config.is_tagger:
        return _of_tagger(config)
    V, E, H = config.vocab_size, config.embedding_dim, config.hidden_size
    shapes: Shapes = {MIX: (2,)} if config.ngram_order else {}
    if not config.has_network:
        return shapes
    shapes["embedding.weight"] = (V, E)
    for direction, layer in product(config.directions, range(config.num_layers)):
        shapes |= _of_layer("rnn", f"l{layer}{direction}", config.num_gates, H if layer else E, H)
    if config.bidirectional:
        shapes |= {"joint.weight": (H, 2 * H), "joint.bias": (H,)}
    if not config.tie_weights:
        shapes["output.weight"] = (V, H)
    shapes["output.bias"] = (V,)
    return shapes


def _of_tagger(config: Sizes) -> Shapes:
    E, H, S, G = config.embedding_dim, config.hidden_size, config.spelling_dim, config.num_gates
    shapes: Shapes = {"embedding.weight": (config.n_words + 1, E), "spelling.embedding.weight": (config.vocab_size, S)}
    for direction in config.directions:
        shapes |= _of_layer("spelling.rnn", f"l0{direction}", G, S, S)
    for layer, direction in product(range(config.num_layers), config.directions):
        shapes |= _of_layer("rnn", f"l{layer}{direction}", G, 2 * H if layer else E + 2 * S, H)
    return shapes | {"output.weight": (config.n_tags, 2 * H), "output.bias": (config.n_tags,)}


def _of_layer(prefix: str, name: str, n_gates: int, n_inputs: int, size: int) -> Shapes:
    return {
        f"{prefix}.weight_ih_{name}": (n_gates * size, n_inputs),
        f"{prefix}.weight_hh_{name}": (n_gates * size, size),
        f"{prefix}.bias_ih_{name}": (n_gates * size,),
        f"{prefix}.bias_hh_{name}": (n_gates * size,),
    }
