"""Measure how well a text is predicted: by a network, or by several predictors side by side in one reading of it.

The predictors read the text part by part together. So a text of any size takes little memory, is encoded once for each
tokenizer, and a scorer that several predictors share runs once: a network and its mixtures cost one run of the network.
(The other way, keeping log-probabilities in a temporary file, would need disk space and a second reading of the text.)
"""

from __future__ import annotations

import itertools
import operator
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from rnngen import work
from rnngen.checks import check_choice
from rnngen.config import OnUnknown, ScoreState
from rnngen.engine.runner import Runner, scorer
from rnngen.engine.scoring import WINDOW_TOKENS, Reader, Scorer, in_windows
from rnngen.errors import ConfigError, DataError
from rnngen.evaluate.comparison import have_same_tokens
from rnngen.evaluate.interpolation import Mixture, Tuned, mix, tune_weight
from rnngen.evaluate.measures import LineSums, Logprobs, Measured, sum_lines
from rnngen.evaluate.scored_lines import in_blocks
from rnngen.text.corpus import FileText, line_blocks_of
from rnngen.text.unpacking import of_file, shown
from rnngen.tokenizers.base import Ids, Text, Tokenizer, encode_known
from rnngen.tokenizers.unknowns import Unknowns, emptiness


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """What gives probabilities to the tokens of a text.

    Attributes:
        label: names it in a report.
        scorer: predictors that share one are computed by one run of it.
        state: "carry", or "reset" where `scorer` takes whole lines and scores each by itself.
        mixture: what the scorer's probabilities are mixed with.
        pseudo: a probability is that of a token given those on both sides.
    """

    label: str
    tokenizer: Tokenizer
    scorer: Scorer
    state: ScoreState = "carry"
    mixture: Mixture | None = None
    pseudo: bool = False


def network_predictor(label: str, network: Runner, tokenizer: Tokenizer, state: ScoreState = "carry") -> Predictor:
    """A network as it was trained."""
    return Predictor(
        label=label,
        tokenizer=tokenizer,
        scorer=scorer(network, state),
        state=state,
        pseudo=network.config.bidirectional,
    )


def measure_text(
    network: Runner,
    tokenizer: Tokenizer,
    text: Text,
    *,
    state: ScoreState = "carry",
    on_unknown: OnUnknown = "unk",
) -> Measured:
    """Measure how well a network predicts a text.

    Args:
        state: "carry" carries the state through the text, "reset" scores each line from a line break to a line break.
        on_unknown: what becomes of symbols that the tokenizer does not know, as in `encode_known`.

    Raises:
        DataError: the text cannot be read, or there is nothing to measure.
        TokenizerError: an unknown symbol, with `on_unknown` "error".
    """
    [measured] = measure([network_predictor("network", network, tokenizer, state)], text, on_unknown)
    return measured


def measure(predictors: Sequence[Predictor], text: Text, on_unknown: OnUnknown = "unk") -> list[Measured]:
    """Measure how well each of some predictors predicts a text.

    With the state carried, the text starts as if after a line break; a line is what a line break ends, and characters
    after the last line break are a line whose end has no token. With the state reset, such a line is scored as if it
    ended. Predictors of the same tokens and state read the text together.

    Returns:
        One for each predictor, in order.

    Raises:
        ConfigError: some of the predictors are bidirectional, and others are not.
        DataError: the text cannot be read, or there is nothing to measure.
        TokenizerError: an unknown symbol, with `on_unknown` "error".
    """
    if len({predictor.pseudo for predictor in predictors}) > 1:
        raise ConfigError(
            "a pseudo-perplexity cannot be compared with a perplexity: name bidirectional models, or none of them"
        )
    found: dict[int, Measured] = {}
    for places in _groups(predictors):
        group = [predictors[place] for place in places]
        found |= zip(places, _measure_together(group, text, on_unknown), strict=True)
    return [found[place] for place in range(len(predictors))]


def _groups(predictors: Sequence[Predictor]) -> list[list[int]]:
    """The places of predictors that read a text together."""
    groups: list[list[int]] = []
    for place, predictor in enumerate(predictors):
        for group in groups:
            first = predictors[group[0]]
            if (first.state, first.pseudo) == (predictor.state, predictor.pseudo) and have_same_tokens(
                first.tokenizer, predictor.tokenizer
            ):
                group.append(place)
                break
        else:
            groups.append([place])
    return groups


def _measure_together(group: Sequence[Predictor], text: Text, on_unknown: OnUnknown) -> list[Measured]:
    tokenizer, state = group[0].tokenizer, group[0].state
    names = _file_names(text)
    unknowns = [Unknowns() for _ in names or [""]]  # of each file
    scorers = list(dict.fromkeys(predictor.scorer for predictor in group))
    parts, *copies = _copies(_parts(tokenizer, state, text, on_unknown, unknowns), 1 + len(scorers))
    queues = {
        scorer: _Queue(scorer(_followed((part.ids for part in copy), state), tokenizer.newline_id))
        for scorer, copy in zip(scorers, copies, strict=True)
    }
    readers = {mixture.reader: mixture.reader() for predictor in group if (mixture := predictor.mixture)}
    sums = [LineSums() for _ in group]
    sums_of_files = [[LineSums() for _ in names] for _ in group]
    for part in parts:
        logprobs = _logprobs(group, part, queues, readers)
        is_open = not part.lines[-1].endswith("\n")
        of_group = sum_lines(tokenizer, part.lines, part.ids, logprobs)
        for own, of_files, lines in zip(sums, sums_of_files, of_group, strict=True):
            own.add(lines, is_open)
            if names:
                of_files[part.file].add(lines, is_open)
    all_unknowns = Unknowns.of_all(unknowns)
    if not sums[0].count("n_tokens"):
        raise DataError(f"the text {emptiness(all_unknowns.count)}: there is nothing to measure")
    whole = partial(Measured, tokenizer=tokenizer, state=state, on_unknown=on_unknown, pseudo=group[0].pseudo)
    return [
        whole(
            sums=own,
            unknowns=all_unknowns,
            files=tuple(
                whole(sums=of_one, unknowns=unknown, file=name)
                for name, of_one, unknown in zip(names, of_files, unknowns, strict=False)
            ),
        )
        for own, of_files in zip(sums, sums_of_files, strict=True)
    ]


def _logprobs(
    group: Sequence[Predictor], part: _Part, queues: dict[Scorer, _Queue], readers: dict[Callable[[], Reader], Reader]
) -> list[Logprobs]:
    """Log-probabilities of the next part's tokens by each predictor; each scorer and each reader runs once."""
    in_turn = work.follow(queues.items(), "scoring", len(queues))
    scored = {scorer: queue.take(len(part.ids)) for scorer, queue in in_turn}
    read = {key: reader(part.ids) for key, reader in readers.items()}
    return [
        mix(scored[predictor.scorer], read[mixture.reader], mixture.weight)
        if (mixture := predictor.mixture)
        else scored[predictor.scorer]
        for predictor in group
    ]


def _followed(arrays: Iterable[Ids], state: ScoreState) -> Iterable[npt.NDArray[np.integer]]:
    """The same ids; where they may be cut, in pieces of which each is followed."""
    if state == "reset":
        return arrays
    return (
        piece
        for ids in arrays
        for piece in work.follow(in_windows([ids], WINDOW_TOKENS), "scoring", len(ids), "tokens", len)
    )


def tune_mixture(static: Predictor, mixture: Mixture, text: Text, on_unknown: OnUnknown = "unk") -> Tuned:
    """The weight of a mixture under which a text is likeliest; the log-probabilities of the text are kept in memory.

    Args:
        static: what is mixed.
        mixture: its weight is not used.
        text: must not be the one that the mixture is measured on.

    Raises:
        DataError: the text has no tokens.
    """
    tokenizer, unknowns = static.tokenizer, [Unknowns() for _ in _file_names(text) or [""]]
    parts = [part.ids for part in _parts(tokenizer, static.state, text, on_unknown, unknowns)]
    if not any(map(len, parts)):
        raise DataError(f"the text to tune on {emptiness(Unknowns.of_all(unknowns).count)}: name another with --tune")
    arrays = work.follow(parts, "scoring the text to tune on", sum(map(len, parts)), "tokens", len)
    logprobs = np.concatenate(list(static.scorer(_followed(arrays, static.state), tokenizer.newline_id)))
    return tune_weight(logprobs, np.concatenate([*map(mixture.reader(), parts)]))


@dataclass(frozen=True)
class _Part:
    """Consecutive lines of a text, as a model reads them.

    Attributes:
        lines: with their line breaks, without unknown symbols that are left out; at least one. With the state carried
            the last one may lack its line break, and then goes on in the next part.
        ids: of all the lines.
        file: the place of their file among the files of the text.
    """

    lines: list[str]
    ids: Ids
    file: int


def _file_names(text: Text) -> list[str]:
    """Of the files of a text, if it has several."""
    return text.paths if isinstance(text, FileText) and len(text.paths) > 1 else []


def _parts(
    tokenizer: Tokenizer, state: ScoreState, text: Text, on_unknown: OnUnknown, unknowns: list[Unknowns]
) -> Iterator[_Part]:
    """A text with its ids, file by file.

    Args:
        unknowns: take in the unknown symbols of each file.
    """
    check_choice("state", state, ScoreState)
    names = _file_names(text)
    by_file = text.chunks_by_file() if isinstance(text, FileText) else ((0, chunk) for chunk in text.chunks())
    for file, found in itertools.groupby(by_file, key=operator.itemgetter(0)):
        path = names[file] if names else None
        chunks = (chunk for _, chunk in found)
        parts = (_chunks if state == "carry" else _whole_lines)(tokenizer, chunks, on_unknown, unknowns[file], path)
        yield from (_Part(lines, ids, file) for lines, ids in parts)


def _chunks(
    tokenizer: Tokenizer, chunks: Iterator[str], on_unknown: OnUnknown, unknowns: Unknowns, path: str | None
) -> Iterator[tuple[list[str], Ids]]:
    n_chars = 0
    name = shown(path) if path else "the text"
    for chunk in chunks:
        encoded = encode_known(tokenizer, chunk, on_unknown, name, n_chars)
        unknowns.add(encoded, of_file(path))
        n_chars += len(chunk)
        *ended, rest = encoded.known_text.split("\n")
        is_whole = chunk.endswith("\n")  # else its last line goes on, though nothing in it may be known
        yield [line + "\n" for line in ended] + [rest] * (not is_whole), encoded.ids


def _copies(parts: Iterator[_Part], n: int) -> list[Iterator[_Part]]:
    """Iterators over the same parts; each keeps the parts that another one has taken and it has not.

    As `itertools.tee`, which keeps up to 57 parts that all have taken: here that would be more than 100 MB.
    """
    waiting: list[deque[_Part]] = [deque() for _ in range(n)]

    def copy(own: deque[_Part]) -> Iterator[_Part]:
        while True:
            if not own:
                part = next(parts, None)
                if part is None:
                    return
                for one in waiting:
                    one.append(part)
            yield own.popleft()

    return [copy(own) for own in waiting]


def _whole_lines(
    tokenizer: Tokenizer, chunks: Iterator[str], on_unknown: OnUnknown, unknowns: Unknowns, path: str | None
) -> Iterator[tuple[list[str], Ids]]:
    numbers, where = itertools.count(1), of_file(path)
    newline = np.array([tokenizer.newline_id], np.int32)
    for block in in_blocks(line_blocks_of(chunks, path)):
        lines: list[str] = []
        ids: list[Ids] = []
        for number, line in zip(numbers, block, strict=False):
            place = f"line {number}{where}"
            encoded = encode_known(tokenizer, line.removesuffix("\n"), on_unknown, place)
            unknowns.add(encoded, f" of {place}")
            lines.append(encoded.known_text + "\n")
            ids += [encoded.ids, newline]
        yield lines, np.concatenate(ids)


class _Queue:
    """Arrays as they come, taken in pieces of another length."""

    def __init__(self, arrays: Iterator[Logprobs]) -> None:
        self._arrays = arrays
        self._rest: Logprobs = np.empty(0, np.float32)

    def take(self, n: int) -> Logprobs:
        """The next n entries."""
        parts, missing = [self._rest], n - len(self._rest)
        while missing > 0:
            part = next(self._arrays, None)
            if part is None:
                raise ValueError("the scorer gave fewer log-probabilities than the text has tokens")
            parts.append(part)
            missing -= len(part)
        joined = np.concatenate(parts)
        self._rest = joined[n:]
        return joined[:n]
