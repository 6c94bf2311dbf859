"""What a training run is asked for: checked, and ready for JSON. No terminal, no torch."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rnngen.checks import SMALL, check_number
from rnngen.config import ENCODING, ModelOptions, TokenizerConfig, TrainConfig
from rnngen.errors import ConfigError, DataError
from rnngen.storage import checkpoint_paths
from rnngen.storage.untrusted_json import MOST_CHARS
from rnngen.text.corpus import FileText, StringText
from rnngen.text.decoding import Say
from rnngen.text.sources import is_standard_input
from rnngen.tokenizers.base import Text

SAVE_EVERY = 60.0
_FILES_READ = ("valid", "tokenizer_file", "init_from")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a training run is asked for.

    Attributes:
        paths: the texts, one after another; `-` is standard input. Empty where `text` is given.
        text: the text itself.
        output: the checkpoint to write.
        tokenizer: how to build the tokenizer; None keeps the one of `tokenizer_file` or `init_from`, or else builds one
            of characters.
        valid: a file to validate on; None takes a part of the text.
        tokenizer_file: a tokenizer that was saved.
        init_from: a checkpoint whose weights the run starts from.
        log: a file for the events as JSON lines.
        force: `output` and `log` may be overwritten, and a stopped run of this name forgotten.
        cache_dir: where the ids of texts are kept; None for the default folder.
        save_every: seconds between two resume files.
    """

    output: Path
    paths: tuple[str, ...] = ()
    text: str | None = None
    training: TrainConfig = field(default_factory=TrainConfig)
    model: ModelOptions = field(default_factory=ModelOptions)
    tokenizer: TokenizerConfig | None = None
    encoding: str = ENCODING
    valid: Path | None = None
    tokenizer_file: Path | None = None
    init_from: Path | None = None
    log: Path | None = None
    force: bool = False
    cache_dir: Path | None = None
    save_every: float = SAVE_EVERY

    def __post_init__(self) -> None:
        if bool(self.paths) == (self.text is not None):
            raise ConfigError("a run needs a text: give either files or a string")
        if self.tokenizer_file and self.tokenizer:
            raise ConfigError("a saved tokenizer has its vocabulary already: leave out the settings of a new one")
        if self.valid and self.training.valid_fraction:
            raise ConfigError("--valid and --valid-fraction exclude each other: leave one out")
        if self.valid and self.training.valid_part != TrainConfig.valid_part:
            raise ConfigError("--valid and --valid-part exclude each other: leave one out")
        if self.model.tags and not self.training.lines:
            object.__setattr__(self, "training", replace(self.training, lines=True))
        check_number("save_every", self.save_every, SMALL)

    @property
    def resume_path(self) -> Path:
        """The resume file, beside the checkpoint."""
        return checkpoint_paths.resume_path(self.output)

    def open_text(self, say: Say = lambda note: None) -> Text:
        """The text, to be read as often as needed. Raises DataError, ConfigError."""
        return FileText(self.paths, self.encoding, say) if self.text is None else StringText(self.text, say)

    def open_valid(self, say: Say = lambda note: None) -> Text | None:
        """The validation text, if it has a file of its own. Raises DataError, ConfigError."""
        return FileText([str(self.valid)], self.encoding, say) if self.valid else None

    def check_files(self) -> None:
        """See that no file that is read would be written, none written twice, and all named. Raises ConfigError."""
        if len(json.dumps(self.to_dict())) > MOST_CHARS // 2:  # the rest is for the losses
            raise ConfigError(
                f"the names of {len(self.paths):,} texts are too long to be kept in a checkpoint: "
                "join some of the files"
            )
        named = (*self.paths, self.valid, self.tokenizer_file, self.init_from)
        read = {Path(path).resolve() for path in named if path and not is_standard_input(str(path))}
        for flag, path in (("--output", self.output), ("--log", self.log)):
            if path and path.resolve() in read:
                raise ConfigError(f"{flag} is {path}, which this run reads: name another file")
        if self.log and self.log.resolve() in (self.output.resolve(), self.resume_path.resolve()):
            raise ConfigError(f"--log is {self.log}, which the run writes itself: name another file")
        if self.output.name.endswith(checkpoint_paths.RESUME_SUFFIX):
            raise ConfigError(f"{self.output} has the name of a resume file: name another with --output")
        if sum(is_standard_input(str(path)) for path in named if path) > 1:
            raise ConfigError("- is given twice: standard input can be read once")

    def to_dict(self) -> dict[str, Any]:
        """What a resume file keeps of it: what is read, and no path to write to but the cache's. Ready for JSON."""
        return {
            "paths": [_absolute(path) for path in self.paths],
            "force": self.force,
            "save_every": self.save_every,
            "cache_dir": self.cache_dir and _absolute(str(self.cache_dir)),
            "encoding": self.encoding,
            "config": self.training.to_dict(),
            "model": self.model.to_dict(),
            "symbols": self.tokenizer and self.tokenizer.to_dict(),
            **{name: value and _absolute(str(value)) for name in _FILES_READ for value in [getattr(self, name)]},
        }

    @classmethod
    def from_dict(
        cls, values: object, *, output: Path, paths: tuple[str, ...] = (), text: str | None = None
    ) -> Request:
        """The request of `to_dict`.

        Args:
            paths: where the texts are now; empty for where they were.
            text: the text itself, in place of files.

        Raises:
            ConfigError: `values` are not from `to_dict`.
            DataError: the text was a string, and neither a string nor files are given.
        """
        if not isinstance(values, dict) or not _has_form(values):
            raise ConfigError("its run record has another form")
        if text is None and not (paths or values["paths"]):
            raise DataError("the run's text was a string in Python: give the string again, or a file that holds it")
        valid, tokenizer_file, init_from = (Path(path) if path else None for path in map(values.get, _FILES_READ))
        return cls(
            paths=() if text is not None else paths or tuple(values["paths"]),
            text=text,
            output=output,
            training=TrainConfig.from_dict(values.get("config")),
            model=ModelOptions.from_dict(values.get("model")),
            tokenizer=TokenizerConfig.from_dict(values["symbols"]) if values.get("symbols") else None,
            encoding=values["encoding"],
            valid=valid,
            tokenizer_file=tokenizer_file,
            init_from=init_from,
            force=values["force"],
            # Only a folder that exists: its entries are named by hashes, and nothing else in it is touched.
            cache_dir=Path(values["cache_dir"]) if os.path.isdir(values["cache_dir"] or "") else None,
            save_every=float(values["save_every"]),
        )


def _has_form(values: dict[str, Any]) -> bool:
    match values:
        case {"paths": list(paths), "encoding": str(), "force": bool(), "save_every": int() | float() as every,
              "cache_dir": None | str() as cache_dir} if every > 0:  # fmt: skip
            names = [*paths, *(name for name in [*map(values.get, _FILES_READ), cache_dir] if name is not None)]
            return all(isinstance(name, str) and "\0" not in name for name in names)
    return False


def _absolute(path: str) -> str:
    """A path that holds in any folder; standard input is `-`."""
    return "-" if is_standard_input(path) else os.path.abspath(path)
