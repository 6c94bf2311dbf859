"""How `score` writes lines: tab-separated columns and JSON lines. Other tools' formats are in `field_formats.py`."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rnngen.cli.output import for_stdout, path_field
from rnngen.config import PSEUDO, LogBase
from rnngen.engine.runner import Runner
from rnngen.engine.scoring import perplexity
from rnngen.evaluate.scored_lines import ScoredLine, ScoredWord
from rnngen.storage.json_lines import json_line
from rnngen.tokenizers.fields import token_field, word_field

if TYPE_CHECKING:
    from rnngen.evaluate.alternatives import SurprisingToken

Detail = Literal["line", "token", "word"]
UNIT_OF_BASE = {"e": "nats", "2": "bits", "10": "log10"}
NATS_IN_ONE = {"e": 1.0, "2": math.log(2), "10": math.log(10)}


class Writer(ABC):
    """Scored lines to text.

    Attributes:
        paints: its text has colours, and everything else in it is already harmless to a terminal.
    """

    paints = False

    def begin(self) -> str:
        """The text before the first line."""
        return ""

    @abstractmethod
    def line(self, line: ScoredLine) -> str:
        """All that is written of a line; called once for each line that is written."""

    def end(self) -> str:
        """The text after the last line."""
        return ""


@dataclass(frozen=True)
class Logs:
    """The unit of the logarithms that are written.

    Attributes:
        base: of log-probabilities and surprisals; None gives log-probabilities in nats, and surprisals in bits.
        pseudo: they are of a token given those on both sides, and are named so.
    """

    base: LogBase | None = None
    pseudo: bool = False

    @property
    def logprob(self) -> str:
        """The name of a log-probability."""
        return self.named(f"logprob_{UNIT_OF_BASE[self.base or 'e']}")

    @property
    def surprisal(self) -> str:
        """The name of a surprisal."""
        return self.named(f"surprisal_{UNIT_OF_BASE[self.base or '2']}")

    def named(self, measure: str) -> str:
        """The name of another measure."""
        return PSEUDO + measure if self.pseudo else measure

    def of(self, logprob_nats: float) -> float:
        return logprob_nats / NATS_IN_ONE[self.base or "e"]

    def surprisal_of(self, logprob_nats: float) -> float:
        return -logprob_nats / NATS_IN_ONE[self.base or "2"]


def file_column(file: str | None) -> str:
    """The first column where there are several files, with the tab after it; else nothing."""
    return "" if file is None else for_stdout(path_field)(file) + "\t"


class Columns(Writer):
    """Tab-separated columns under a header; a row for each line, token or word.

    Args:
        several: there are several files, so each row names its own.
    """

    def __init__(self, detail: Detail, logs: Logs, header: bool, several: bool = False) -> None:
        self._detail, self._logs, self._header, self._several = detail, logs, header, several
        self._rows = {"line": self._line_row, "token": self._token_rows, "word": self._word_rows}[detail]

    def begin(self) -> str:
        if not self._header:
            return ""
        logprob, surprisal = self._logs.logprob, self._logs.surprisal
        perplexity = self._logs.named("perplexity")
        columns = {
            "line": ["line", logprob, "n_tokens", perplexity, "n_unknown", f"known_{logprob}", f"known_{perplexity}",
                     "text"],
            "token": ["line", "token_number", "token", "text", surprisal],
            "word": ["line", "word_number", "word", "n_tokens", surprisal],
        }  # fmt: skip
        return file_column("file" if self._several else None) + "\t".join(columns[self._detail]) + "\n"

    def line(self, line: ScoredLine) -> str:
        return self._rows(line)

    def _line_row(self, line: ScoredLine) -> str:
        logs, totals = self._logs, line.totals
        return (
            f"{file_column(line.file)}{line.number}\t{logs.of(totals.logprob_nats):.4f}\t{totals.n_tokens}\t{totals.perplexity:.4f}\t"
            f"{totals.n_unknown}\t{logs.of(totals.known_logprob_nats):.4f}\t{totals.known_perplexity:.4f}\t"
            f"{line.text}\n"
        )

    def _token_rows(self, line: ScoredLine) -> str:
        symbol, surprisal_of = line.tokenizer.token, self._logs.surprisal_of
        field, place = for_stdout(token_field(line.tokenizer)), f"{file_column(line.file)}{line.number}"
        return "".join(
            f"{place}\t{number}\t{field(symbol(id))}\t{field(text)}\t{surprisal_of(logprob_nats):.4f}\n"
            for number, text, id, logprob_nats, _ in line.tokens()
        )

    def _word_rows(self, line: ScoredLine) -> str:
        surprisal_of, field = self._logs.surprisal_of, for_stdout(word_field)
        place = f"{file_column(line.file)}{line.number}"
        return "".join(
            f"{place}\t{word.number}\t{field(word.text)}\t{word.n_tokens}\t{surprisal_of(word.logprob_nats):.4f}\n"
            for word in line.words()
        )


class TextOnly(Writer):
    """The lines themselves."""

    def line(self, line: ScoredLine) -> str:
        return line.text + "\n"


class JsonLines(Writer):
    """A JSON object a line, with its tokens or words where they are asked for.

    Args:
        n_alternatives: how many likelier tokens to give for the most surprising ones; None gives no alternatives.
    """

    def __init__(self, runner: Runner, detail: Detail, logs: Logs, n_alternatives: int | None) -> None:
        self._runner, self._detail, self._logs, self._n_alternatives = runner, detail, logs, n_alternatives

    def line(self, line: ScoredLine) -> str:
        logs, totals = self._logs, line.totals
        record: dict[str, Any] = {} if line.file is None else {"file": line.file}
        record |= {
            "line": line.number,
            logs.logprob: logs.of(totals.logprob_nats),
            "n_tokens": totals.n_tokens,
            logs.named("perplexity"): totals.perplexity,
            "n_unknown": totals.n_unknown,
            f"known_{logs.logprob}": logs.of(totals.known_logprob_nats),
            f"known_{logs.named('perplexity')}": totals.known_perplexity,
            "text": line.text,
        }
        if self._detail == "token":
            record["tokens"] = self._tokens(line)
        if self._detail == "word":
            words = line.words()
            record |= {
                "n_words": sum(not word.ends_line for word in words),
                logs.named("perplexity_per_word"): perplexity(totals.logprob_nats, len(words)),
                "words": self._words(words),
            }
        if self._n_alternatives is not None:
            from rnngen.evaluate.alternatives import surprising_tokens

            surprising = surprising_tokens(self._runner, line, self._n_alternatives)
            record["alternatives"] = [_alternatives_record(token, logs) for token in surprising]
        return json_line(record)

    def _tokens(self, line: ScoredLine) -> list[dict[str, Any]]:
        symbol = line.tokenizer.token
        return [
            {"token": symbol(id), "id": id, "text": text, **self._logs_of(logprob_nats)}
            for _, text, id, logprob_nats, _ in line.tokens()
        ]

    def _words(self, words: list[ScoredWord]) -> list[dict[str, Any]]:
        return [
            {
                "word": word.text,
                "n_tokens": word.n_tokens,
                "unknown": word.unknown,
                **self._logs_of(word.logprob_nats),
            }
            for word in words
        ]

    def _logs_of(self, logprob_nats: float) -> dict[str, float]:
        logs = self._logs
        return {logs.logprob: logs.of(logprob_nats), logs.surprisal: logs.surprisal_of(logprob_nats)}


def _alternatives_record(token: SurprisingToken, logs: Logs) -> dict[str, Any]:
    return {
        "token_number": token.number,
        "token": token.token,
        "text": token.text,
        logs.named("surprisal_bits"): token.surprisal_bits,
        "likelier": [{"token": symbol, "probability": probability} for symbol, probability in token.likelier],
    }
