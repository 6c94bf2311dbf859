"""The models that a command line names, loaded; options that a bidirectional model has no answer to are refused."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from rnngen import models
from rnngen.cli.contradictions import ADAPTIVE, OTHER_TOOLS, given_options, is_given
from rnngen.cli.output import Console
from rnngen.config import Device
from rnngen.errors import ConfigError

FROM_THE_LEFT = {
    "score": (*OTHER_TOOLS, "--nbest", "--classify", "--no-bos", "--prefix", "--state carry"),
    "perplexity": (*ADAPTIVE, "--mix", "--context"),
}


def load_models(
    context: typer.Context, names: Sequence[str] | None, device: Device, console: Console
) -> list[models.Model]:
    """The models of `score` or `perplexity`; the default one where none is named.

    Raises:
        ConfigError: a model is bidirectional, and an option is for the others.
        CheckpointError: a model cannot be read.
    """
    from rnngen.engine.runner import refuse_tagger

    loaded = [models.load(name, device=device, say=console.note) for name in names or (None,)]
    given = given_options(context)
    for model in loaded:
        refuse_tagger(model.runner, model.path)
        for option in FROM_THE_LEFT[context.command.name or ""] if model.config.bidirectional else ():
            if is_given(option, given):
                raise ConfigError(
                    f"{option} is for models that read from the left, and {model.path} is bidirectional: leave it "
                    "out, or train a model without --bidirectional"
                )
    return loaded
