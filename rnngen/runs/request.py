"""What a person asked `rnngen train` for: as the command line has it, and as a resume file keeps it."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnngen import models
from rnngen.cli import options
from rnngen.config import ModelOptions, TokenizerConfig, TrainConfig
from rnngen.errors import ConfigError

if TYPE_CHECKING:
    from rnngen.training.plan import Plan

FLAGS = {"learning_rate": "--lr", "seconds": "--time"}
SAVE_EVERY = 60.0
_TEXTS = ("valid", "tokenizer_file", "init_from")


@dataclass(frozen=True)
class Job:
    """What a person asked for.

    Attributes:
        symbols: of the tokenizer to build; None where the one of `init_from` is kept, or `tokenizer_file` holds it.
        cache_dir: for the ids of the texts; None for the default.
        save_every: seconds between two resume files.
    """

    paths: list[str]
    output: Path
    config: TrainConfig
    model: ModelOptions
    symbols: TokenizerConfig | None
    encoding: str = options.ENCODING
    valid: Path | None = None
    tokenizer_file: Path | None = None
    init_from: Path | None = None
    log: Path | None = None
    force: bool = False
    cache_dir: Path | None = None
    save_every: float = SAVE_EVERY

    @property
    def resume_path(self) -> Path:
        """The resume file, beside the checkpoint."""
        return models.resume_path(self.output)

    def to_dict(self) -> dict[str, Any]:
        """What a resume file keeps: where to write only for the cache. Ready for JSON."""
        return {
            "paths": [_whole(path) for path in self.paths],
            "force": self.force,
            "save_every": self.save_every,
            "cache_dir": self.cache_dir and _whole(str(self.cache_dir)),
            "encoding": self.encoding,
            "config": self.config.to_dict(),
            "model": self.model.to_dict(),
            "symbols": self.symbols and self.symbols.to_dict(),
            **{name: value and _whole(str(value)) for name in _TEXTS for value in [getattr(self, name)]},
        }

    @classmethod
    def from_dict(cls, values: object, output: Path) -> Job:
        """The job of `to_dict`. Raises ConfigError."""
        if not isinstance(values, dict) or not _has_texts(values):
            raise ConfigError("its run record has another form")
        config, model = TrainConfig.from_dict(values.get("config")), ModelOptions.from_dict(values.get("model"))
        symbols = TokenizerConfig.from_dict(values["symbols"]) if values.get("symbols") else None
        valid, tokenizer_file, init_from = (path and Path(path) for path in map(values.get, _TEXTS))
        # A folder that is there: what is kept in it is named by hashes, and nothing else in it is touched.
        cache_dir = Path(values["cache_dir"]) if os.path.isdir(values["cache_dir"] or "") else None
        return cls(
            values["paths"], output, config, model, symbols, values["encoding"],
            valid, tokenizer_file, init_from, force=values["force"], cache_dir=cache_dir,
            save_every=float(values["save_every"]),
        )  # fmt: skip

    def repeat(self, plan: Plan, steps: int | None) -> str:
        """A command line that makes the same model on this machine: what was chosen by time is named."""
        config = replace(self.config, seconds=None, epochs=None, steps=steps, threads=plan.threads)
        words = ["rnngen", "train", *self.paths]
        if self.symbols:
            named = ["--level", self.symbols.level] if self.init_from and self.symbols.level == "char" else []
            words += named + _flags(self.symbols, TokenizerConfig())
        words += ["--tokenizer", str(self.tokenizer_file)] if self.tokenizer_file else []
        words += ["--valid", str(self.valid)] if self.valid else []
        words += ["--encoding", self.encoding] if self.encoding != options.ENCODING else []
        words += ["--init-from", str(self.init_from)] if self.init_from else []
        hidden_size = None if self.init_from else plan.model.hidden_size
        words += _flags(replace(self.model, hidden_size=hidden_size, dropout=plan.model.dropout), ModelOptions())
        words += _flags(config, TrainConfig())
        words += ["-o", str(self.output.with_name(self.output.stem + "-again" + self.output.suffix))]
        return shlex.join(words)


def _has_texts(values: dict[str, Any]) -> bool:
    match values:
        case {"paths": [_, *_] as paths, "encoding": str(), "force": bool(), "save_every": int() | float() as every,
              "cache_dir": None | str() as cache_dir} if every > 0:  # fmt: skip
            names = [*paths, *filter(None, [*map(values.get, _TEXTS), cache_dir])]
            return all(isinstance(name, str) and "\0" not in name for name in names)
    return False


def _whole(path: str) -> str:
    """A path that holds in any folder; standard input stays what it is."""
    return path if path == "-" else os.path.abspath(path)


def _flags(settings: Any, defaults: Any) -> list[str]:
    """The options of the command line that give these settings."""
    words: list[str] = []
    for field in fields(settings):
        value = getattr(settings, field.name)
        if value is None or value == getattr(defaults, field.name):
            continue
        flag = FLAGS.get(field.name, "--" + field.name.replace("_", "-"))
        shown = options.show_orders(value) if isinstance(value, tuple) else str(value)
        words += [flag] if value is True else [flag, shown]
    return words
