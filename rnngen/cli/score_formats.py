"""How `score` writes lines: tab-separated columns and JSON lines. Other tools' formats are in `field_formats.py`."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rnngen import models
from rnngen.cli.output import json_line
from rnngen.cli.surprising import alternatives_record, places_of_line
from rnngen.config import LogBase
from rnngen.evaluate.scored_lines import ScoredLine, Units, token_units, word_units

if TYPE_CHECKING:
    from rnngen.tokenizers.base import Tokenizer

Detail = Literal["line", "token", "word"]
UNIT_OF_BASE = {"e": "nats", "2": "bits", "10": "log10"}
NATS_IN_ONE = {"e": 1.0, "2": math.log(2), "10": math.log(10)}


class Writer(ABC):
    """Scored lines to text.

    Attributes:
        paints: its text is harmless to a terminal already, and has colours.
    """

    paints = False

    def begin(self) -> str:
        """What stands before the first line."""
        return ""

    @abstractmethod
    def line(self, line: ScoredLine, numbers: LineNumbers) -> str:
        """All that is written of a line; called for each line that is written, in the order of the output."""

    def end(self) -> str:
        """What stands after the last line."""
        return ""


@dataclass(frozen=True)
class Logs:
    """The unit of the logarithms that are written.

    Attributes:
        base: of log-probabilities, and of surprisals if it was asked for; else those are in bits.
    """

    base: LogBase | None = None

    @property
    def logprob(self) -> str:
        """The name of a log-probability."""
        return f"logprob_{UNIT_OF_BASE[self.base or 'e']}"

    @property
    def surprisal(self) -> str:
        """The name of a surprisal."""
        return f"surprisal_{UNIT_OF_BASE[self.base or '2']}"

    def of(self, logprob_nats: float) -> float:
        return logprob_nats / NATS_IN_ONE[self.base or "e"]

    def surprisal_of(self, logprob_nats: float) -> float:
        return -logprob_nats / NATS_IN_ONE[self.base or "2"]


@dataclass(frozen=True)
class LineNumbers:
    """The totals of a line, all tokens and without the unknown ones; natural logarithms."""

    logprob_nats: float
    n_tokens: int
    n_unknown: int
    known_logprob_nats: float
    n_known: int

    @classmethod
    def of(cls, line: ScoredLine, tokenizer: Tokenizer) -> LineNumbers:
        import numpy as np

        logprobs = line.logprobs
        total, n_tokens = float(logprobs.sum(dtype=np.float64)), len(logprobs)
        if not line.encoded.n_unknown or tokenizer.unk_id is None:
            return cls(total, n_tokens, 0, total, n_tokens)
        strange = line.encoded.ids == tokenizer.unk_id
        if not strange.any():  # they were left out
            return cls(total, n_tokens, line.encoded.n_unknown, total, n_tokens)
        strange = strange[line.start :]
        known = total - float(logprobs[: len(strange)][strange].sum(dtype=np.float64))
        return cls(total, n_tokens, int(strange.sum()), known, n_tokens - int(strange.sum()))

    @property
    def perplexity(self) -> float:
        from rnngen.engine.scoring import perplexity

        return perplexity(self.logprob_nats, self.n_tokens)

    @property
    def known_perplexity(self) -> float:
        from rnngen.engine.scoring import perplexity

        return perplexity(self.known_logprob_nats, self.n_known)


class Columns(Writer):
    """Tab-separated columns under a header; a row for each line, token or word."""

    def __init__(self, tokenizer: Tokenizer, detail: Detail, logs: Logs, header: bool) -> None:
        self._tokenizer, self._detail, self._logs, self._header = tokenizer, detail, logs, header

    def begin(self) -> str:
        if not self._header:
            return ""
        logprob, surprisal = self._logs.logprob, self._logs.surprisal
        columns = {
            "line": ["line", logprob, "n_tokens", "perplexity", "n_unknown", f"known_{logprob}", "known_perplexity",
                     "text"],
            "token": ["line", "token_number", "token", "text", surprisal],
            "word": ["line", "word_number", "word", "n_tokens", surprisal],
        }  # fmt: skip
        return "\t".join(columns[self._detail]) + "\n"

    def line(self, line: ScoredLine, numbers: LineNumbers) -> str:
        if self._detail == "line":
            return self._row(line, numbers)
        return self._token_rows(line) if self._detail == "token" else self._word_rows(line)

    def _row(self, line: ScoredLine, numbers: LineNumbers) -> str:
        logs = self._logs
        return (
            f"{line.number}\t{logs.of(numbers.logprob_nats):.4f}\t{numbers.n_tokens}\t{numbers.perplexity:.4f}\t"
            f"{numbers.n_unknown}\t{logs.of(numbers.known_logprob_nats):.4f}\t{numbers.known_perplexity:.4f}\t"
            f"{line.text}\n"
        )

    def _token_rows(self, line: ScoredLine) -> str:
        from rnngen.printable import visible

        units, name, logs = token_units(line, self._tokenizer), self._tokenizer.token, self._logs
        return "".join(
            f"{line.number}\t{place}\t{visible(name(id))}\t{visible(surface)}\t{logs.surprisal_of(logprob):.4f}\n"
            for place, id, surface, logprob in zip(
                units.numbers, units.ids, units.surfaces, units.logprobs, strict=True
            )
        )

    def _word_rows(self, line: ScoredLine) -> str:
        from rnngen.printable import visible

        units, logs = word_units(line, self._tokenizer), self._logs
        return "".join(
            f"{line.number}\t{place}\t{visible(surface)}\t{n_tokens}\t{logs.surprisal_of(logprob):.4f}\n"
            for place, surface, n_tokens, logprob in zip(
                units.numbers, units.surfaces, units.n_tokens, units.logprobs, strict=True
            )
        )


class Kept(Writer):
    """The lines themselves."""

    def line(self, line: ScoredLine, numbers: LineNumbers) -> str:
        return line.text + "\n"


class JsonLines(Writer):
    """A JSON object a line, with its tokens or words where they are asked for."""

    def __init__(self, loaded: models.Model, detail: Detail, logs: Logs, alternatives: int | None) -> None:
        self._loaded, self._tokenizer = loaded, loaded.tokenizer
        self._detail, self._logs, self._alternatives = detail, logs, alternatives

    def line(self, line: ScoredLine, numbers: LineNumbers) -> str:
        logs = self._logs
        record: dict[str, Any] = {
            "line": line.number,
            logs.logprob: logs.of(numbers.logprob_nats),
            "n_tokens": numbers.n_tokens,
            "perplexity": numbers.perplexity,
            "n_unknown": numbers.n_unknown,
            f"known_{logs.logprob}": logs.of(numbers.known_logprob_nats),
            "known_perplexity": numbers.known_perplexity,
            "text": line.text,
        }
        if self._detail == "token":
            record["tokens"] = self._tokens(token_units(line, self._tokenizer))
        if self._detail == "word":
            from rnngen.engine.scoring import perplexity

            units = word_units(line, self._tokenizer)
            record |= {
                "n_words": units.n_words,
                "perplexity_per_word": perplexity(numbers.logprob_nats, len(units.surfaces)),
                "words": self._words(units),
            }
        if self._alternatives is not None:
            places = places_of_line(line, self._loaded, self._alternatives)
            record["alternatives"] = alternatives_record(places)
        return json_line(record)

    def _tokens(self, units: Units) -> list[dict[str, Any]]:
        return [
            {"token": self._tokenizer.token(id), "id": id, "text": surface, **self._logs_of(logprob)}
            for surface, id, logprob in zip(units.surfaces, units.ids, units.logprobs, strict=True)
        ]

    def _words(self, units: Units) -> list[dict[str, Any]]:
        return [
            {"word": surface, "n_tokens": n_tokens, "unknown": unknown, **self._logs_of(logprob)}
            for surface, n_tokens, unknown, logprob in zip(
                units.surfaces, units.n_tokens, units.unknown, units.logprobs, strict=True
            )
        ]

    def _logs_of(self, logprob_nats: float) -> dict[str, float]:
        logs = self._logs
        return {logs.logprob: logs.of(logprob_nats), logs.surprisal: logs.surprisal_of(logprob_nats)}
