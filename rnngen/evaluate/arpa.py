"""n-gram models in the ARPA format, read by KenLM, over the words of a word tokenizer.

KenLM (Heafield 2011) gives the probabilities. Its Python module does not give the list of words, so this file reads
the words from the 1-grams. The module `kenlm` is the optional extra `rnngen[arpa]`, imported when a model is loaded.
"""

from __future__ import annotations

import gzip
import importlib
import math
import re
import shlex
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from rnngen.errors import ConfigError, DataError, brief
from rnngen.printable import plural, visible
from rnngen.storage.file_kinds import ARPA, GZIP, what_it_is
from rnngen.text.lmplz import BEGIN, END, UNKNOWN
from rnngen.tokenizers.symbols import UNK
from rnngen.tokenizers.word import WordTokenizer

_OTHER_UNK = "<UNK>"  # KenLM takes it for <unk>
_BLANKS = b" \t\r\n\0"  # these separate fields for KenLM
_FIELD = re.compile(rb"[^%s]+" % _BLANKS)
_LONGEST_LINE = 1 << 20  # in bytes; a binary file may have no line break for long
_MOST_COMPRESSED = 1032  # bytes that a byte of a .gz file can stand for
_LONGEST_REASON = 300  # characters
_SHORTEST_LINE = 4  # a digit, a tab, a letter, a line break


class Arpa:
    """A back-off n-gram model.

    Attributes:
        words: its 1-grams, with `<s>`, `</s>` and `<unk>`; `<UNK>` is listed as `<unk>`.
        order: the n of its longest n-grams.
    """

    def __init__(self, path: Path, words: list[str], model: Any) -> None:
        self.path = path
        self.words = words
        self.order: int = model.order
        self._model = model

    @classmethod
    def load(cls, path: Path) -> Arpa:
        """Read an ARPA file; `.gz` is uncompressed.

        Raises:
            ConfigError: the module `kenlm` is not installed, or the file lacks `<unk>`, `<s>` or `</s>`.
            DataError: the file is missing, is not an ARPA file, or KenLM rejects it.
        """
        kenlm = _kenlm()
        words = read_words(path)
        # Without <unk> KenLM adds one of its own, and writes a warning to stderr.
        for sign, how in ((UNK, " (SRILM: ngram-count -unk)"), (BEGIN, ""), (END, "")):
            if sign not in words:
                raise ConfigError(f"the ARPA file {path} has no {sign}: estimate it with one{how}")
        config = kenlm.Config()
        config.show_progress = False
        config.arpa_complain = kenlm.ARPALoadComplain.NONE
        try:
            return cls(path, words, kenlm.Model(str(path), config))
        # UnicodeError: a message of KenLM quotes bytes that are not UTF-8.
        except (OSError, RuntimeError, UnicodeError) as error:
            raise DataError(f"cannot read the ARPA file {path}: {_reason(error)}; estimate it anew") from None

    def check_vocabulary(self, tokenizer: WordTokenizer, name: str = "MODEL") -> None:
        """Check that both models have the same events: words, the unknown word, the line's end.

        A mixture of two distributions sums to 1 only if they are over the same events. The ARPA model would give a word
        that it lacks the probability of all unknown words together. A word that only the ARPA model has is `<unk>` for
        the tokenizer: its ARPA probability would be lost, and the mixture would seem worse than it is.

        Args:
            name: of the model that the tokenizer belongs to, for the command in the error.

        Raises:
            ConfigError: the events differ, or a word of the tokenizer is one of the ARPA format's signs.
        """
        ours = [UNK, BEGIN, END, *tokenizer.words[2:]]
        theirs = [word for word in self.words if word != UNKNOWN or UNKNOWN in ours]
        for sign in (BEGIN, END, _OTHER_UNK):
            if sign in tokenizer.words:
                raise ConfigError(
                    f"the model has the word {sign}, which is a sign of the ARPA format: train it on a text without"
                )
        for words, found in (
            (_missing(ours, theirs), "lacks {} of the model"),
            (_missing(theirs, ours), "has {} that the model lacks"),
        ):
            if words:
                made = (
                    f"rnngen tokenize -m {shlex.quote(name)} --lmplz TEXT | lmplz -o 4 > {shlex.quote(str(self.path))}"
                )
                raise ConfigError(
                    f"{self.path} {found.format(plural(len(words), 'word'))}, the first {brief(words[0])}; "
                    f"a mixture needs one vocabulary: estimate the ARPA file with {made}, "
                    "where TEXT is what the model was trained on"
                )

    def reader(self, tokenizer: WordTokenizer) -> Callable[[npt.NDArray[np.integer]], npt.NDArray[np.float64]]:
        """A function that takes the next ids of a text and gives their natural log-probabilities.

        Every line starts after `<s>`, and its line break is `</s>`. The unknown word is `<unk>`, or either of `<unk>`
        and the `<unknown>` that `text/lmplz.py` writes for it.

        Raises:
            ConfigError: see `check_vocabulary`.
        """
        self.check_vocabulary(tokenizer)
        kenlm = _kenlm()
        has_both = UNKNOWN in self.words and UNKNOWN not in tokenizer.words
        words = [UNKNOWN if has_both else UNK, END, *tokenizer.words[2:]]
        newline_id, unk_id = tokenizer.newline_id, tokenizer.unk_id if has_both else None
        model, state, after = self._model, kenlm.State(), kenlm.State()
        model.BeginSentenceWrite(state)

        def logprobs(ids: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
            nonlocal state, after
            log10s = np.empty(len(ids))
            for place, id in enumerate(ids.tolist()):
                log10s[place] = model.BaseScore(state, words[id], after)
                if id == unk_id:  # the events of both are this one
                    log10s[place] = np.log10(10 ** log10s[place] + 10 ** model.BaseScore(state, UNK, kenlm.State()))
                state, after = after, state
                if id == newline_id:
                    model.BeginSentenceWrite(state)
            return log10s * math.log(10)

        return logprobs


def read_words(path: Path) -> list[str]:
    """The 1-grams of an ARPA file, in its order; `<UNK>` is listed as `<unk>`. Raises DataError."""
    try:
        with _open(path) as file:
            return list(_one_grams(path, file))
    except (OSError, EOFError, zlib.error) as error:
        reason = f"cannot read the ARPA file {path}: {getattr(error, 'strerror', None) or error}"
        raise DataError(reason if _is_gzip(path) else what_it_is(path, ARPA) or reason) from None
    except UnicodeDecodeError:
        raise DataError(f"the ARPA file {path} has a word that is not UTF-8: write the file in UTF-8") from None


def _open(path: Path) -> BinaryIO:
    return gzip.open(path, "rb") if _is_gzip(path) else open(path, "rb")  # type: ignore[return-value]


def _is_gzip(path: Path) -> bool:
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(len(GZIP)) == GZIP


def _one_grams(path: Path, file: BinaryIO) -> Iterator[str]:
    counts = _counts(path, file)
    if len(counts) < 2:
        raise DataError(f"the ARPA file {path} has no 2-grams: KenLM reads models of order 2 and more")
    most_bytes = path.stat().st_size * (_MOST_COMPRESSED if _is_gzip(path) else 1)
    if sum(counts) * _SHORTEST_LINE > most_bytes:
        # KenLM would allocate memory for all of them first.
        raise DataError(f"the ARPA file {path} is too short for the {sum(counts):,} n-grams of its header")
    seen: set[str] = set()
    for line in _lines(file):
        if line.startswith(b"\\"):  # the next section; a 1-gram starts with a number
            break
        fields = _FIELD.findall(line)
        if len(fields) not in (2, 3):
            raise DataError(
                f"the ARPA file {path} has a 1-gram that is not a number, a word and a back-off: "
                f"{line[:60].decode('utf-8', 'replace')!r}"
            )
        word = fields[1].decode()
        word = UNK if word == _OTHER_UNK else word
        if word in seen:
            raise DataError(f"the ARPA file {path} has the 1-gram {brief(word)} twice: estimate it anew")
        seen.add(word)
        if len(seen) > counts[0]:
            raise DataError(f"the ARPA file {path} has more 1-grams than the {counts[0]:,} of its header")
        yield word
    if len(seen) != counts[0]:
        raise DataError(
            f"the ARPA file {path} has {len(seen):,} 1-grams where its header says {counts[0]:,}: it is incomplete"
        )


def _counts(path: Path, file: BinaryIO) -> list[int]:
    """How many n-grams of each length the header says there are; reads the lines up to the first section."""
    lines = _lines(file)
    if next(lines, b"") != b"\\data\\":
        reason = f"{path} is not an ARPA file: its first line is not \\data\\"
        raise DataError(reason if _is_gzip(path) else what_it_is(path, ARPA) or reason)
    counts = []
    for line in lines:
        if line == b"\\1-grams:":
            break
        match = re.fullmatch(rb"ngram\s+\d{1,2}\s*=\s*(\d{1,18})", line)
        if not match:
            raise DataError(f"the ARPA file {path} has a wrong header: {line[:60].decode('utf-8', 'replace')!r}")
        counts.append(int(match[1]))
    return counts


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Lines that are not blank, without white space at both ends."""
    while line := file.readline(_LONGEST_LINE):
        if stripped := line.strip(_BLANKS):
            yield stripped


def _kenlm() -> Any:
    try:
        # By name: the module has no types, and may not be installed where types are checked.
        return importlib.import_module("kenlm")
    except ImportError:
        raise ConfigError("reading an ARPA file needs KenLM: pip install 'rnngen[arpa]'") from None


def _reason(error: Exception) -> str:
    """KenLM's message without the place in KenLM's source at its start."""
    message = " ".join(str(error).split())
    match = re.search(r"\((.*)\)$", message)
    text = match[1] if match else message
    told = re.sub(r"^\S+\.(?:cc|hh):\d+ in .* threw \w+(?: because `.*?')?\. ", "", text).rstrip(".")
    # The message quotes the file.
    return "".join(sign if sign.isprintable() else visible(sign) for sign in told[:_LONGEST_REASON])


def _missing(words: list[str], among: list[str]) -> list[str]:
    known = set(among)
    return [word for word in words if word not in known]
