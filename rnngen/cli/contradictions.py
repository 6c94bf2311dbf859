"""Which options of `score` contradict one another."""

from __future__ import annotations

from rnngen.config import LogBase
from rnngen.errors import ConfigError

# What is written: one of these, or plain columns.
MODES = ("--nbest", "--classify", "--color", "--keep", "--tokens", "--words")
CHOICES = frozenset({"--max-perplexity", "--min-logprob", "--sort", "--top"})
BOUNDARIES = frozenset({"--no-bos", "--no-eos", "--state"})
# What a mode does not go with, beside the other modes.
STRANGERS: dict[str, frozenset[str]] = {
    "--nbest": CHOICES | BOUNDARIES | {"--json", "--format", "--base", "--no-header"},
    "--classify": CHOICES | BOUNDARIES | {"--format", "--base", "--alternatives"},
    "--color": frozenset({"--json", "--format", "--base", "--no-header"}),
    "--keep": frozenset({"--json", "--format", "--base", "--alternatives", "--no-header"}),
    "--tokens": frozenset({"--format"}),
    "--words": frozenset(),
}


def refuse_contradictions(given: frozenset[str], base: LogBase | None) -> None:
    """Raise ConfigError for options that cannot be meant together.

    Args:
        given: the options that change something, by name: "--json" also for --format jsonl, "--format" for other
            tools' formats, "--state" for carry, "--model" for several models.
    """
    modes = [mode for mode in MODES if mode in given]
    if len(modes) > 1:
        raise ConfigError(f"{modes[0]} and {modes[1]} contradict each other: leave one out")
    for mode in modes:
        for stranger in sorted(given & STRANGERS[mode]):
            raise ConfigError(f"{stranger} does not go with {mode}: leave one out")
    if "--nbest" not in given and given & {"--best", "--weight"}:
        raise ConfigError(f"{min(given & {'--best', '--weight'})} is about n-best lists: add --nbest")
    if "--alternatives" in given and not given & {"--color", "--json"}:
        raise ConfigError("--alternatives needs room to be shown: add --color or --json")
    if "--alternatives" in given and given & {"--no-bos", "--state"}:
        raise ConfigError(f"--alternatives does not go with {min(given & {'--no-bos', '--state'})}: leave one out")
    if {"--json", "--format"} <= given:
        raise ConfigError("--json is --format jsonl, and does not go with another format: leave one out")
    if "--no-header" in given and given & {"--json", "--format"}:
        raise ConfigError(f"--no-header does not go with {min(given & {'--json', '--format'})}, which has no header")
    if {"--no-bos", "--state"} <= given:
        raise ConfigError("--no-bos does not go with --state carry: there every line follows another")
    if "--format" in given and base not in (None, "10"):
        raise ConfigError(f"base is {base}: the formats of KenLM and SRILM have log10; leave out --base")
    if "--model" in given and "--classify" not in given:
        raise ConfigError("several models: add --classify, or compare them with rnngen perplexity")
