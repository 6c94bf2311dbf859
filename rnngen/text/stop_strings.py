"""Ending generated text at a stop string, while it streams by."""

from __future__ import annotations

from collections.abc import Sequence

from rnngen.printable import escaped
from rnngen.text.escapes import escape
from rnngen.tokenizers.base import Tokenizer


class StopFilter:
    """Lets text through up to the first stop string.

    Holds back only a possible start of one: after "th", with the stop string "the", nothing is sure yet.

    Args:
        stops: strings, none empty. Their CRLF is taken as a line break, as in every text.
        keep: the stop string itself is let through too.

    Attributes:
        held: the text that is held back.
        found: the stop string that came; None as long as none has.
    """

    def __init__(self, stops: Sequence[str], keep: bool = False) -> None:
        self._stops = _as_read(stops)
        self._keep = keep
        self.held = ""
        self.found: str | None = None

    def push(self, text: str) -> str:
        """The text that is now sure to come before any stop string."""
        if self.found is not None:
            return ""
        if not self._stops:
            return text
        text = self.held + text
        # Of several, the one that ends first, as if the text arrived one character at a time.
        found = [(place + len(stop), place) for stop in self._stops if (place := text.find(stop)) >= 0]
        if found:
            end, start = min(found)
            self.found, self.held = text[start:end], ""
            return text[: end if self._keep else start]
        sure = len(text) - max(_overlap(text, stop) for stop in self._stops)
        self.held = text[sure:]
        return text[:sure]

    def would_end(self, text: str) -> bool:
        """Whether this text would complete a stop string if it came next."""
        return any(stop in self.held + text for stop in self._stops)

    def flush(self) -> str:
        """The text that was held back, once no more text comes."""
        held, self.held = self.held, ""
        return held


def _as_read(stops: Sequence[str]) -> tuple[str, ...]:
    """With line ends as the texts have that a model reads."""
    return tuple(stop.replace("\r\n", "\n") for stop in stops)


def _overlap(text: str, stop: str) -> int:
    """Length of the longest suffix of `text` that is a prefix of `stop`."""
    return next((size for size in range(min(len(text), len(stop) - 1), 0, -1) if stop.startswith(text[-size:])), 0)


def never_met(stops: Sequence[str], tokenizer: Tokenizer) -> list[str]:
    """Why some stop strings are not to be expected: one sentence for each.

    >>> from rnngen.text.tokens import build_tokenizer
    >>> for sentence in never_met(["b", "a!", "abb"], build_tokenizer(text="abba")):
    ...     print(sentence)
    the stop string 'a!' will not come: no symbol of the model has '!' in it
    the stop string 'abb' will not come: 'b' ends the text before it
    """
    stops = _as_read(stops)
    reasons = [(stop, _missing_from(tokenizer, stop) or _ended_before(stop, stops)) for stop in stops]
    return [f"the stop string {_quoted(stop)} will not come: {reason}" for stop, reason in reasons if reason]


def _missing_from(tokenizer: Tokenizer, stop: str) -> str | None:
    unknown = [each.symbol for each in tokenizer.unknowns(stop)]
    if not unknown:
        return None
    drawn = [tokenizer.token(id) for id in range(tokenizer.vocab_size) if id not in tokenizer.never_drawn]
    if tokenizer.level == "word":
        drawn.append(" ")  # which words imply
    missing = next((symbol for symbol in unknown if not any(symbol in token for token in drawn)), None)
    return missing and f"no symbol of the model has {_quoted(missing)} in it"


def _ended_before(stop: str, stops: Sequence[str]) -> str | None:
    before = next((other for other in stops if other in stop and stop.index(other) + len(other) < len(stop)), None)
    return before and f"{_quoted(before)} ends the text before it"


def _quoted(text: str) -> str:
    return f"'{escaped(escape(text))}'"
