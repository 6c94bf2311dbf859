"""Small back-off models in the ARPA format: an estimator, and the back-off formula in plain Python."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

DISCOUNT = 0.5


def bigram_arpa(lines: list[list[str]], words: list[str]) -> str:
    """An ARPA file of 2-grams over `words`, `<unk>` and `</s>`: absolute discounting, interpolated.

    One is added to the count of every 1-gram. Words of `lines` that are not among `words` read `<unk>`.
    """
    events = [*words, "<unk>", "</s>"]
    sentences = [["<s>", *(word if word in words else "<unk>" for word in line), "</s>"] for line in lines]
    ones = Counter(word for sentence in sentences for word in sentence[1:])
    twos = Counter(pair for sentence in sentences for pair in pairwise(sentence))
    total = sum(ones.values()) + len(events)
    p_one = {word: (ones[word] + 1) / total for word in events}
    p_two: dict[tuple[str, str], float] = {}
    back_off: dict[str, float] = {}
    for before in sorted({first for first, _ in twos}):
        seen = {second: count for (first, second), count in twos.items() if first == before}
        back_off[before] = DISCOUNT * len(seen) / sum(seen.values())
        for second, count in seen.items():
            p_two[before, second] = (count - DISCOUNT) / sum(seen.values()) + back_off[before] * p_one[second]
    rows = [f"-99\t<s>\t{math.log10(back_off['<s>']):.7f}"]
    rows += [f"{math.log10(p_one[word]):.7f}\t{word}\t{math.log10(back_off.get(word, 1)):.7f}" for word in events]
    pairs = [f"{math.log10(p):.7f}\t{before} {word}" for (before, word), p in p_two.items()]
    head = ["\\data\\", f"ngram 1={len(rows)}", f"ngram 2={len(pairs)}"]
    return "\n".join([*head, "", "\\1-grams:", *rows, "", "\\2-grams:", *pairs, "", "\\end\\", ""])


class BackOff:
    """The n-grams of an ARPA file: log10 probability and back-off of each."""

    def __init__(self, text: str) -> None:
        rows = [line.split("\t") for line in text.split("\n") if "\t" in line]
        self.entries = {
            tuple(row[1].split(" ")): (float(row[0]), float(row[2]) if len(row) > 2 else 0.0) for row in rows
        }
        self.order = max(map(len, self.entries))

    def log10(self, before: tuple[str, ...], word: str) -> float:
        """p(word | before) = p(before word) if that n-gram is there, else back-off(before) p(word | one word less)."""
        before = before[max(len(before) - self.order + 1, 0) :]
        if (*before, word) in self.entries:
            return self.entries[(*before, word)][0]
        back_off = self.entries[before][1] if before in self.entries else 0.0
        return back_off + self.log10(before[1:], word)

    def logprobs(self, words: list[str]) -> list[float]:
        """Natural log-probabilities of words and of `</s>`, each line after `<s>`."""
        before: tuple[str, ...] = ("<s>",)
        result = []
        for word in words:
            result.append(self.log10(before, word) * math.log(10))
            before = ("<s>",) if word == "</s>" else (*before, word)
        return result
