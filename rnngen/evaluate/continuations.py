"""Lines as continuations of a text: the log-probability of each given one prefix, which is not counted itself.

Prefix and line are one text: log p(line | prefix) = log p(prefix + line) - log p(prefix). The tokens of a prefix are
not always the first tokens of prefix + line. At word level a word that the border cuts counts as a whole, as nothing
can be said of its parts. At subword level p(prefix) is the probability that a text starts with the prefix, whatever
token its end is in: `The ` is in ` bell` and in ` tide`. It is the sum over the tokens that cover the end of the
prefix, each after the tokens of what it leaves of the prefix (the prefix covers of Vieira et al. 2024, "From language
models over tokens to language models over characters"). Left out are the ways to write a text with other tokens than
the tokenizer's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from rnngen.config import OnUnknown
from rnngen.engine.cells import Array
from rnngen.engine.language_model import Ids, LanguageModel, State
from rnngen.engine.scoring import score_lines
from rnngen.tokenizers.base import Encoded, Tokenizer, encode_known
from rnngen.tokenizers.symbols import NEWLINE
from rnngen.tokenizers.unknowns import Unknowns

_LAST_WORD = re.compile(r"\S+\Z")


class Continuations:
    """Scores lines as continuations of one prefix.

    Args:
        prefix: stands after a line break, and may have line breaks in it.

    Raises:
        TokenizerError: the prefix has an unknown symbol and `on_unknown` is "error".
    """

    def __init__(
        self, network: LanguageModel, tokenizer: Tokenizer, prefix: str, on_unknown: OnUnknown = "unk"
    ) -> None:
        self._network, self._tokenizer = network, tokenizer
        self._prefix, self._on_unknown = prefix, on_unknown
        prefix_unknowns(tokenizer, prefix, on_unknown)
        self._ids = encode_known(tokenizer, prefix, "skip" if on_unknown == "skip" else "unk", "the prefix").ids
        self._read: dict[int, tuple[float, int, State]] = {}  # by the number of the prefix's tokens
        self._start_nats: float | None = None
        if tokenizer.level == "subword":
            self._start_nats = prefix_logprob_nats(network, tokenizer, prefix)

    def score(self, lines: Sequence[tuple[str, str]]) -> list[tuple[Encoded, Array]]:
        """The tokens of lines from the border on, and their log-probabilities.

        Args:
            lines: texts without their line breaks, and how an error names them.

        Returns:
            For each line its part of prefix + line, and an entry for each of its tokens and for its line break. The
            first entry is corrected by what the border needs.

        Raises:
            TokenizerError: a symbol is unknown and `on_unknown` is "error".
        """
        wholes = [
            encode_known(self._tokenizer, self._prefix + text, self._on_unknown, where, -len(self._prefix))
            for text, where in lines
        ]
        parts = [whole.after(len(self._prefix)) for whole in wholes]
        befores = [whole.ids[: len(whole.ids) - len(part.ids)] for whole, part in zip(wholes, parts, strict=True)]
        n_shared = min(_n_equal(self._ids, before) for before in befores)
        shared_nats, last, state = self._after(n_shared)
        scored = score_lines(
            self._network,
            [whole.ids[n_shared:] for whole in wholes],
            self._tokenizer.newline_id,
            after=(last, state),
        )
        return [
            (part, self._from_border(logprobs, len(before) - n_shared, shared_nats))
            for part, before, logprobs in zip(parts, befores, scored, strict=True)
        ]

    def _from_border(self, logprobs: Array, n_before: int, shared_nats: float) -> Array:
        """Without the first entries, which are of tokens of the prefix."""
        counted = logprobs[n_before:].copy()
        if self._start_nats is not None:
            nats_before = shared_nats + float(logprobs[:n_before].sum(dtype=np.float64))
            # What is left of the prefix's own probability. Only rounding can make it more than certain.
            counted[0] = min(float(counted[0]) + nats_before - self._start_nats, 0.0)
        return counted

    def _after(self, n: int) -> tuple[float, int, State]:
        """The first n tokens of the prefix: their log-probability, the last id before the next token, and the state
        before that id.
        """
        if n not in self._read:
            self._read[n] = _read(self._network, self._ids[:n], self._tokenizer.newline_id)
        return self._read[n]


def prefix_unknowns(tokenizer: Tokenizer, prefix: str, on_unknown: OnUnknown) -> Unknowns:
    """The unknown symbols of a prefix; a word that a line may complete is none.

    Raises:
        TokenizerError: there is one, and `on_unknown` is "error".
    """
    unknowns = Unknowns()
    settled = _LAST_WORD.sub("", prefix) if tokenizer.level == "word" else prefix
    unknowns.add(encode_known(tokenizer, settled, on_unknown, "the prefix"))
    return unknowns


def prefix_logprob_nats(network: LanguageModel, tokenizer: Tokenizer, prefix: str) -> float:
    """The log-probability that a text starts with a prefix, whatever subword its end is in."""
    newline_id = tokenizer.newline_id
    whole = tokenizer.encode(prefix)
    ways = [_read(network, whole, newline_id)[0]]
    for ids, covering in _covers(tokenizer, prefix):
        nats, last, state = _read(network, ids, newline_id)
        logits = network.forward(np.array([[last]]), state)[0][0, 0].astype(np.float64)
        logprobs = logits - np.logaddexp.reduce(logits)
        is_whole = len(whole) == len(ids) + 1 and np.array_equal(whole[:-1], ids)
        ways += [nats + logprobs[id] for id in covering if not (is_whole and id == whole[-1])]
    return float(np.logaddexp.reduce(ways))


def _covers(tokenizer: Tokenizer, prefix: str) -> Iterator[tuple[Ids, list[int]]]:
    """The ids of each text that a token may leave of a prefix, and the tokens that start with the rest of it."""
    drawn = sorted(set(range(tokenizer.vocab_size)) - {*tokenizer.never_drawn, tokenizer.newline_id})
    decoded = ((id, tokenizer.decode([id])) for id in drawn)
    texts = {id: text for id, text in decoded if "\ufffd" not in text}  # without the bytes of rare characters
    longest = max(map(len, texts.values()))
    line_start = prefix.rfind(NEWLINE) + 1  # no subword holds a line break
    for place in range(max(line_start, len(prefix) - longest), len(prefix)):
        covering = [id for id, text in texts.items() if text.startswith(prefix[place:])]
        if covering:
            yield tokenizer.encode(prefix[:place]), covering


def _read(network: LanguageModel, ids: Ids, newline_id: int) -> tuple[float, int, State]:
    """The log-probability of ids after a line break, the last id that precedes the next token, the state before it."""
    state = network.initial_state(1)
    if not len(ids):
        return 0.0, newline_id, state
    inputs = np.concatenate([[newline_id], ids[:-1]])
    logprobs, state = network.logprobs(inputs[None], np.asarray(ids, np.int64)[None], state)
    return float(logprobs.sum(dtype=np.float64)), int(ids[-1]), state


def _n_equal(a: Ids, b: Ids) -> int:
    """How many of the first ids are the same."""
    n = min(len(a), len(b))
    differs = np.flatnonzero(a[:n] != b[:n])
    return int(differs[0]) if len(differs) else n
