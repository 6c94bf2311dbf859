"""Options that several commands share, with the same name, letter and help. Their defaults come from `config.py`."""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from rnngen import config
from rnngen.checks import LARGE, SMALL
from rnngen.config import MOST_ORDER, Device, Level, OnUnknown, Split, SubwordModel, TrainConfig
from rnngen.errors import ConfigError, DataError, brief
from rnngen.runs.repeat import NO_ORDER
from rnngen.storage import checkpoint_paths


def model_names(incomplete: str) -> list[str]:
    """Names of models that start so, for the completion in a shell. A path gets none: the shell completes it."""
    return _names_in_folder(incomplete, checkpoint_paths.SUFFIX)


def run_names(incomplete: str) -> list[str]:
    """The same of the runs that can be resumed."""
    return _names_in_folder(incomplete, checkpoint_paths.RESUME_SUFFIX)


def _names_in_folder(incomplete: str, suffix: str) -> list[str]:
    found = checkpoint_paths.newest_first(checkpoint_paths.FOLDER, suffix)
    names = (path.name.removesuffix(suffix) for path in found)
    return [name for name in names if name.startswith(incomplete)]


Texts = Annotated[
    list[str] | None,
    typer.Argument(metavar="TEXT", help="Text files. - is standard input; gzip is decompressed."),
]
Encoding = Annotated[str, typer.Option("--encoding", metavar="NAME", help="Encoding of the texts.")]
Model = Annotated[
    str | None,
    typer.Option(
        "-m", "--model", metavar="MODEL", autocompletion=model_names,
        help="Checkpoint: a path, or a name in ./checkpoints. Default: $RNNGEN_MODEL, or the newest in ./checkpoints.",
    ),
]  # fmt: skip
Models = Annotated[
    list[str] | None,
    typer.Option(
        "-m", "--model", metavar="MODEL", autocompletion=model_names,
        help="Checkpoint: a path, or a name in ./checkpoints; repeat it for several. "
        "Default: $RNNGEN_MODEL, or the newest in ./checkpoints.",
    ),
]  # fmt: skip
Json = Annotated[bool, typer.Option("--json", help="Write JSON lines with stable keys.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Write only errors to standard error.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")]
Unknowns = Annotated[
    OnUnknown,
    typer.Option("--on-unknown", help="Symbols that the model does not know: stop, take as unknown, or leave out."),
]
DeviceName = Annotated[Device, typer.Option("--device", help="Where the model runs.")]
LevelName = Annotated[Level, typer.Option("--level", help="What a token is.")]
VocabSize = Annotated[
    int | None,
    typer.Option("--vocab-size", metavar="N", help="Largest number of symbols in the vocabulary.", show_default="auto"),
]
MinCount = Annotated[
    int | None,
    typer.Option(
        "--min-count", metavar="N", help="Drop symbols that occur fewer times in the text.", show_default="auto"
    ),
]
SplitName = Annotated[
    Split,
    typer.Option(
        "--split",
        help="How words are split: running text at punctuation, or text that is already split by blanks.",
    ),
]
SubwordModelName = Annotated[
    SubwordModel, typer.Option("--subword-model", help="SentencePiece algorithm that makes the subwords.")
]
TokenizerFile = Annotated[
    Path | None,
    typer.Option("--tokenizer", metavar="FILE", help="Tokenizer file from `rnngen tokenize --save`."),
]


def _folder(name: str) -> Path:
    # Path("") would be the working folder.
    if not name:
        raise ConfigError("--cache-dir is empty: name a folder, or leave it out")
    return Path(name)


CacheDir = Annotated[
    Path | None,
    typer.Option(
        "--cache-dir", metavar="FOLDER", parser=_folder,
        help="Where the token ids of texts are stored for later runs.",
        show_default="$XDG_CACHE_HOME/rnngen or ~/.cache/rnngen",
    ),
]  # fmt: skip

DEVICE = TrainConfig.device
ENCODING = config.ENCODING

_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?")


def parse_duration(text: str) -> float:
    """Seconds of `90`, `90s`, `3m`, `1h30m`. Raises ConfigError."""
    match = _DURATION.fullmatch(text.strip())
    if not match or not any(match.groups()):
        raise ConfigError(f"time is {brief(text)}: write it like 90s, 3m or 1h30m")
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    total = 3600 * hours + 60 * minutes + seconds
    if not SMALL <= total <= LARGE:
        raise ConfigError(f"time is {brief(text)}: it must be a number of seconds from {SMALL:g} to {LARGE:g}")
    return total


def parse_order(text: str) -> int:
    """The order of n-grams in `5`; 0 for `none`. Raises ConfigError."""
    if text == NO_ORDER:
        return 0
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MOST_ORDER:
        raise ConfigError(
            f"ngram_order is {brief(text)}: it must be a whole number from 1 to {MOST_ORDER}, or {NO_ORDER}"
        )
    return int(text)


def asked_for(context: typer.Context) -> set[str]:
    """The parameters that the command line gives, by their names in Python."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"}


def flags_of(names: set[str]) -> str:
    """Parameters as they are written on the command line."""
    shown = {"learning_rate": "--lr", "tokenizer_file": "--tokenizer", "texts": "TEXT"}
    return ", ".join(sorted(shown.get(name, "--" + name.replace("_", "-")) for name in names))


def read_or_explain(texts: list[str] | None, explanation: str, command: str) -> list[str]:
    """The given texts; without any, standard input unless it is a terminal.

    Raises:
        ConfigError: there is no text, or standard input is named twice.
        DataError: a text is no file, and looks as if it was the text itself.
    """
    if not texts:
        if sys.stdin is None or sys.stdin.isatty():
            raise ConfigError(explanation)
        return ["-"]
    from rnngen.text.sources import is_standard_input

    if sum(map(is_standard_input, texts)) > 1:
        raise ConfigError("- is given twice: standard input can be read once")
    for text in texts:
        if (" " in text or "." not in text) and text != "-" and not os.path.exists(text):
            shown = text if _is_short(text) else brief(text)
            if text.startswith("-"):
                raise DataError(f"cannot read {shown}: there is no such file, and options stand before --")
            piped = f"echo {written(text)} | rnngen {command}"
            raise DataError(f"cannot read {shown}: there is no such file; a text itself is piped in: {piped}")
    return texts


def written(text: str) -> str:
    """A text as an argument for a shell, in a message of one line; TEXT for a long one."""
    return shlex.quote(text) if _is_short(text) else "TEXT"


def _is_short(text: str) -> bool:
    return len(text) <= 60 and text.isprintable()
