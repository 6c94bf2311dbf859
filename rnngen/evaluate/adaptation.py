"""`rnngen perplexity --cache --dynamic --tune FILE`: scorers that adapt to the text, and the settings they run with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnngen import models
from rnngen.cli.output import Console, emptiness
from rnngen.config import OnUnknown
from rnngen.errors import DataError
from rnngen.evaluate.report import Row
from rnngen.printable import plural

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from rnngen.text.corpus import FileText

    Ids = npt.NDArray[np.integer]

# Of the text to tune on. The cache is tried with all its settings in one pass, the dynamic weights take one for each.
CACHE_TOKENS, DYNAMIC_TOKENS = 20_000, 10_000


def adaptive_rows(
    loaded: models.Model, cache: bool, dynamic: bool, tune: FileText | None, on_unknown: OnUnknown, console: Console
) -> list[Row]:
    """A row for each way to adapt that is asked for.

    Args:
        tune: a text to choose the settings on, which must not be the one that is measured; None takes the defaults.

    Raises:
        ConfigError: a cache with --device cuda.
        DataError: the text to tune on is empty.
    """
    rows: list[Row] = []
    if cache:
        _check_cache(loaded)  # before anything is tuned
    ids = None
    if tune is not None and (cache or dynamic):
        ids = _tuning_ids(loaded, tune, on_unknown, console)
    if cache:
        rows.append(_cache_row(loaded, ids, console))
    if dynamic:
        rows.append(_dynamic_row(loaded, ids, console))
    return rows


def _check_cache(loaded: models.Model) -> None:
    from rnngen.evaluate.neural_cache import cached_scorer, default_settings

    settings = default_settings(loaded.checkpoint.config)
    cached_scorer(loaded.network, settings.theta, settings.weight, settings.size)


def _cache_row(loaded: models.Model, ids: Ids | None, console: Console) -> Row:
    from rnngen.evaluate.neural_cache import cached_scorer, default_settings, tune_cache

    settings = default_settings(loaded.checkpoint.config)
    if ids is not None:
        some = ids[:CACHE_TOKENS]
        tuning = tune_cache(loaded.network, some, loaded.tokenizer.newline_id)
        settings = tuning.settings
        _tell("cache", len(some), tuning.static_loss_nats, tuning.loss_nats, console)
    label = f"cache (adaptive; theta {settings.theta:.3g}, weight {settings.weight:g}, size {settings.size})"
    scorer = cached_scorer(loaded.network, settings.theta, settings.weight, settings.size)
    return Row(f"{loaded.path}, {label}", loaded, scorer)


def _dynamic_row(loaded: models.Model, ids: Ids | None, console: Console) -> Row:
    # torch takes over a second to import, so nobody pays for it who did not ask.
    from rnngen.training.dynamic_evaluation import DynamicSettings, dynamic_scorer, tune_dynamic

    config, weights = loaded.checkpoint.config, loaded.checkpoint.weights
    settings = DynamicSettings()
    if ids is not None:
        some = ids[:DYNAMIC_TOKENS]
        console.note(f"dynamic: tuning on {plural(len(some), 'token')}, several times over them")
        tuning = tune_dynamic(config, weights, some, loaded.tokenizer.newline_id)
        settings = tuning.settings
        _tell("dynamic", len(some), tuning.static_loss_nats, tuning.loss_nats, console)
    label = f"dynamic (adaptive; lr {settings.learning_rate:g}, decay {settings.decay:g}, bptt {settings.bptt})"
    scorer = dynamic_scorer(config, weights, settings.learning_rate, settings.decay, settings.bptt)
    return Row(f"{loaded.path}, {label}", loaded, scorer)


def _tell(what: str, n_tokens: int, static_nats: float, tuned_nats: float, console: Console) -> None:
    verdict = "" if tuned_nats < static_nats else "; nothing that was tried helps, so it is left off"
    console.note(
        f"{what}: tuned on the first {plural(n_tokens, 'token')} of the text to tune on, "
        f"{static_nats:.4f} nats a token without, {tuned_nats:.4f} with{verdict}"
    )


def _tuning_ids(loaded: models.Model, tune: FileText, on_unknown: OnUnknown, console: Console) -> Ids:
    """As many ids of the text to tune on as can be of use; the rest of it is not read."""
    import numpy as np

    from rnngen.tokenizers.base import encode_known

    found = [np.zeros(0, np.int64)]
    n_tokens = n_unknown = n_chars = 0
    first = None
    for chunk in tune.chunks():
        encoded = encode_known(loaded.tokenizer, chunk, on_unknown, "the text to tune on", n_chars)
        found.append(encoded.ids.astype(np.int64))
        n_tokens += len(encoded.ids)
        n_unknown += encoded.n_unknown
        first = first or encoded.first_unknown
        n_chars += len(chunk)
        if n_tokens >= CACHE_TOKENS:
            break
    if not n_tokens:
        raise DataError(f"the text to tune on {emptiness(n_unknown)}: name another with --tune, or leave it out")
    console.unknowns(n_unknown, first, on_unknown, "the text to tune on, as far as it was read,")
    return np.concatenate(found)
