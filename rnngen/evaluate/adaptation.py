"""Predictors that adapt to the text while they predict it, with settings that may be chosen on another text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from rnngen.checkpoint import Weights
from rnngen.config import ModelConfig, OnUnknown
from rnngen.engine.language_model import Ids, LanguageModel
from rnngen.errors import ConfigError, DataError
from rnngen.evaluate.neural_cache import cached_scorer, default_settings, tune_cache
from rnngen.evaluate.predictors import Predictor
from rnngen.printable import plural
from rnngen.tokenizers.base import Text, Tokenizer, encode_known
from rnngen.tokenizers.unknowns import Unknowns, emptiness

Say = Callable[[str], object]

# Tokens of the text to tune on. The cache tries all its settings in one pass over them, dynamic evaluation needs a
# pass for each setting.
CACHE_TOKENS, DYNAMIC_TOKENS = 20_000, 10_000


def cache_predictor(static: Predictor, network: LanguageModel, tuning_ids: Ids | None, say: Say) -> Predictor:
    """A network with a neural cache of the text's recent tokens.

    Args:
        static: the predictor of the network as it was trained, with the state carried.
        tuning_ids: tokens of another text, to choose the settings on; None takes the defaults.
        say: is told how tuning went.

    Raises:
        ConfigError: a network that does not give its outputs (device cuda), or a state that is reset.
    """
    _check_state(static)
    settings = default_settings(network.config)
    if tuning_ids is not None:
        some = tuning_ids[:CACHE_TOKENS]
        tuning = tune_cache(network, some, static.tokenizer.newline_id)
        settings = tuning.settings
        say(_note("cache", len(some), tuning.static_loss_nats, tuning.loss_nats))
    label = f"cache (adaptive; theta {settings.theta:.3g}, weight {settings.weight:g}, size {settings.size})"
    scorer = cached_scorer(network, settings.theta, settings.weight, settings.size)
    return replace(static, label=f"{static.label}, {label}", scorer=scorer)


def dynamic_predictor(
    static: Predictor, config: ModelConfig, weights: Weights, tuning_ids: Ids | None, say: Say
) -> Predictor:
    """A network that is trained further on the text that it has predicted (dynamic evaluation), on the processor.

    Args:
        static: the predictor of the network as it was trained, with the state carried.
        weights: of the network; they stay as they are.
        tuning_ids: tokens of another text, to choose the settings on; None takes the defaults.
        say: is told how tuning goes.

    Raises:
        ConfigError: a state that is reset.
    """
    # torch takes over a second to import.
    from rnngen.training.dynamic_evaluation import DynamicSettings, dynamic_scorer, tune_dynamic

    _check_state(static)
    settings = DynamicSettings()
    if tuning_ids is not None:
        some = tuning_ids[:DYNAMIC_TOKENS]
        say(f"dynamic: tuning on {plural(len(some), 'token')}, several times over them")
        tuning = tune_dynamic(config, weights, some, static.tokenizer.newline_id)
        settings = tuning.settings
        say(_note("dynamic", len(some), tuning.static_loss_nats, tuning.loss_nats))
    label = f"dynamic (adaptive; lr {settings.learning_rate:g}, decay {settings.decay:g}, bptt {settings.bptt})"
    scorer = dynamic_scorer(config, weights, settings.learning_rate, settings.decay, settings.bptt)
    return replace(static, label=f"{static.label}, {label}", scorer=scorer)


def read_tuning_ids(tokenizer: Tokenizer, text: Text, on_unknown: OnUnknown, say: Say) -> Ids:
    """As many tokens of a text to tune on as tuning can use; the rest of the text is not read.

    Args:
        text: must not be the one that is measured.
        say: is told of unknown symbols.

    Returns:
        [n] with at least one token.

    Raises:
        DataError: the text has no tokens.
    """
    parts: list[Ids] = []
    unknowns = Unknowns()
    n_tokens = n_chars = 0
    for chunk in text.chunks():
        encoded = encode_known(tokenizer, chunk, on_unknown, "the text to tune on", n_chars)
        parts.append(encoded.ids)
        unknowns.add(encoded)
        n_tokens += len(encoded.ids)
        n_chars += len(chunk)
        if n_tokens >= CACHE_TOKENS:
            break
    if not n_tokens:
        raise DataError(f"the text to tune on {emptiness(unknowns.count)}: name another with --tune, or leave it out")
    if note := unknowns.note("the text to tune on, as far as it was read,", on_unknown):
        say(note)
    return np.concatenate(parts)


def _check_state(static: Predictor) -> None:
    if static.state != "carry":
        raise ConfigError("a predictor that adapts learns from the text before a line: it needs the state carried")


def _note(what: str, n_tokens: int, static_nats: float, tuned_nats: float) -> str:
    verdict = "" if tuned_nats < static_nats else "; nothing that was tried helps, so it is left off"
    return (
        f"{what}: tuned on the first {plural(n_tokens, 'token')} of the text to tune on, "
        f"{static_nats:.4f} nats a token without, {tuned_nats:.4f} with{verdict}"
    )
