"""Interpolated modified Kneser-Ney as the paper has it, with dictionaries and without care for time.

Chen and Goodman 1999, section 3 and equation 26. It shares no code with `rnngen.counts`.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass

Ngram = tuple[int, ...]


def raw_counts(ids: list[int], newline_id: int, order: int, by_lines: bool) -> dict[Ngram, int]:
    """How often each n-gram ends at a token of the text, which stands after a line break."""
    text = [newline_id, *ids]
    found: Counter[Ngram] = Counter()
    for end in range(1, len(text)):
        for n in range(1, order + 1):
            start = end - n + 1
            if start < 0 or (by_lines and newline_id in text[start + 1 : end]):
                break
            found[tuple(text[start : end + 1])] += 1
    return found


@dataclass
class SlowKneserNey:
    """The counts of a text and its probabilities."""

    ids: list[int]
    newline_id: int
    vocab_size: int
    order: int
    by_lines: bool

    def __post_init__(self) -> None:
        raw = raw_counts(self.ids, self.newline_id, self.order, self.by_lines)
        text = [self.newline_id, *self.ids]
        before: defaultdict[Ngram, set[object]] = defaultdict(set)
        for n in range(2, self.order + 1):
            for start in range(len(text) - n + 1):
                if not (self.by_lines and self.newline_id in text[start + 1 : start + n - 1]):
                    before[tuple(text[start + 1 : start + n])].add(text[start])
        longest = max(map(len, raw))
        self.counts: dict[Ngram, int] = {}
        for ngram, count in raw.items():
            starts_text = ngram == tuple(text[: len(ngram)]) and len(ngram) > 1
            starts_line = self.by_lines and ngram[0] == self.newline_id and len(ngram) > 1
            if len(ngram) == longest or starts_line:
                self.counts[ngram] = count
            else:
                self.counts[ngram] = len(before[ngram]) + starts_text
        self.longest = longest
        self.discounts = {n: self._discounts(n) for n in range(1, longest + 1)}

    def _discounts(self, n: int) -> tuple[float, float, float]:
        of = Counter(count for ngram, count in self.counts.items() if len(ngram) == n)
        if not (of[1] and of[2] and of[3]):
            return (0.5, 1.0, 1.5)
        y = of[1] / (of[1] + 2 * of[2])
        found = [k - (k + 1) * y * of[k + 1] / of[k] for k in (1, 2, 3)]
        if any(not 0 <= discount <= k for k, discount in enumerate(found, 1)):
            return (0.5, 1.0, 1.5)
        one, two, more = (max(discount, 0.01) for discount in found)
        return one, two, more

    def probs(self, context: Ngram, less: dict[Ngram, int] | None = None) -> list[float]:
        """The distribution after the last tokens of a text.

        Args:
            less: what is taken from the counts of some n-grams. The sum over all symbols, by which the unigrams are
                divided, and what their discounts leave, stay as they are.
        """
        counts = {ngram: count - (less or {}).get(ngram, 0) for ngram, count in self.counts.items()}

        def taken(n: int, count: int) -> float:
            return self.discounts[n][min(count, 3) - 1] if count > 0 else 0.0

        whole = sum(self.counts.get((token,), 0) for token in range(self.vocab_size))
        left = sum(taken(1, self.counts.get((token,), 0)) for token in range(self.vocab_size)) / whole
        singles = [counts.get((token,), 0) for token in range(self.vocab_size)]
        probs = [(count - taken(1, count)) / whole + left / self.vocab_size for count in singles]
        for n in range(2, min(self.longest, len(context) + 1) + 1):
            after = {
                ngram[-1]: count for ngram, count in counts.items() if ngram[:-1] == context[len(context) - n + 1 :]
            }
            total = sum(after.values())
            if not total:
                continue
            left = sum(taken(n, count) for count in after.values()) / total
            probs = [left * p for p in probs]
            for token, count in after.items():
                probs[token] += (count - taken(n, count)) / total
        return probs

    def own(self, context: Ngram, token: int) -> dict[Ngram, int]:
        """What one occurrence of a token after a context adds to the counts."""
        found: dict[Ngram, int] = {}
        lengths = range(min(self.longest, len(context) + 1), 0, -1)
        is_counted = True
        for n in lengths:
            ngram = (*context[len(context) - n + 1 :], token)
            if n < lengths[0] and not is_counted:
                break
            found[ngram] = 1
            is_counted = self.counts[ngram] == 1
        return found


def logs(probs: list[float]) -> list[float]:
    """Natural logarithms."""
    return [math.log(p) for p in probs]
