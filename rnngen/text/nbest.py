"""n-best lists: the lines that decoders write about their hypotheses, in the forms of Moses, SRILM and Kaldi.

Nothing here knows of models: a line is parsed, and written again with a new number.

The words of a hypothesis are separated by blanks, as in split text (`tokenizers/splitting.py`). Its text is these words
with one space between them, so that hypotheses which differ only in spacing are equal.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

from rnngen.config import NBEST_FEATURE, NbestForm
from rnngen.errors import ConfigError, DataError, brief
from rnngen.printable import visible
from rnngen.text.corpus import LONGEST_LINE
from rnngen.tokenizers.splitting import BLANKS

SHAPES: dict[NbestForm, str] = {
    "moses": "ID ||| words ||| Name= value ... ||| total",
    "srilm": "ascore lscore nwords words",
    "kaldi": "uttid words",
}
SHOWN_CHARS = 60  # of a malformed line
LONGEST_NUMBER = 1000  # characters; 1e308 without an exponent has 309

_INK = f"[^{BLANKS}]"
_SEPARATOR = re.compile(rf"(?<!{_INK})\|\|\|(?!{_INK})")
_WORD = re.compile(f"{_INK}+")
_SRILM = re.compile(
    rf"[{BLANKS}]*(?P<ascore>{_INK}+)[{BLANKS}]+(?P<lscore>{_INK}+)[{BLANKS}]+(?P<n_words>{_INK}+)(?P<words>.*)"
)
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?|[-+]?inf(inity)?", re.ASCII | re.IGNORECASE)
_FEATURE = re.compile(r"[^\s=|]+")
_COUNT = re.compile(r"\d{1,18}", re.ASCII)
_NUMBERED_UTTID = re.compile(r"(.+)-([1-9]\d*)", re.ASCII | re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Hypothesis:
    """A line of an n-best list.

    Attributes:
        list_id: the list that it belongs to; the lines of a list follow one another.
        starts_list: it is the first of its list.
        is_numbered: its Kaldi uttid is that of an utterance and its own number.
        text: its words with one space between; may be empty.
        score: that the line has already, in the unit of the list: Moses' total, SRILM's ascore, 0 for Kaldi.
        before: the line up to the place of the new number.
        after: the line from that place on.
        replaces: the line has a number of this name already, which the new one takes the place of.
        if_best: the text to write if it is the best of its list.
    """

    list_id: str
    starts_list: bool
    is_numbered: bool = False
    text: str
    score: float
    before: str
    after: str
    replaces: bool = False
    if_best: str

    def with_number(self, number: str) -> str:
        """The line with the new number, without a line break."""
        return f"{self.before}{number}{self.after}"


def check_feature(feature: str) -> None:
    """Raise ConfigError unless this can be the name of a feature of a Moses list."""
    if not isinstance(feature, str) or not _FEATURE.fullmatch(feature):
        raise ConfigError(f"feature is {brief(feature)}: it must be a word without = and |, such as {NBEST_FEATURE}")


def parse(
    line: str, form: NbestForm, place: str, before: Hypothesis | None = None, feature: str = NBEST_FEATURE
) -> Hypothesis | None:
    """Parse a line of an n-best list.

    Args:
        line: without its line break.
        place: of the line, for errors: `line 3`.
        before: what the line before it was parsed to; None for the first line.
        feature: names the new number in a Moses list.

    Returns:
        None for a blank line of SRILM's form, which separates lists.

    Raises:
        DataError: the line does not have this form.
    """
    if len(line) > LONGEST_LINE:
        raise DataError(
            f"{place} has {len(line):,} characters where {LONGEST_LINE:,} are the most: "
            f"'{visible(line[:SHOWN_CHARS])}...'; is it an n-best list?"
        )
    try:
        match form:
            case "moses":
                return _moses(line, before, feature)
            case "srilm":
                return _srilm(line, before) if _WORD.search(line) else None
            case "kaldi":
                return _kaldi(line, before)
    except _FormError as error:
        shown = visible(line[:SHOWN_CHARS]) + ("..." if len(line) > SHOWN_CHARS else "")
        raise DataError(f"{place} {error}: '{shown}'; {_remedy(line, form)}") from None


class _FormError(Exception):
    """What is wrong with a line."""


def _moses(line: str, previous: Hypothesis | None, feature: str) -> Hypothesis:
    """`ID ||| words ||| Name= value ... ||| total`, perhaps with more fields after it.

    The number becomes a feature, or replaces the number of the feature that has its name. Source: the manual of Moses,
    "Generating n-best lists". The features of its own language models are natural logarithms; the weight of the
    feature, which is tuned anyway, absorbs the factor.
    """
    bars = list(_SEPARATOR.finditer(line))
    if len(bars) < 3:
        raise _FormError(f"has {len(bars)} separators ' ||| ' where a Moses list has 3 or more")
    starts = [0, *(bar.end() for bar in bars)]
    ends = [*(bar.start() for bar in bars), len(line)]
    list_id, hypothesis, features, total = (line[start:end] for start, end in zip(starts[:4], ends[:4], strict=True))
    if not _WORD.search(list_id):
        raise _FormError("has no ID in its first field")
    features_end = starts[2] + len(features.rstrip())
    space = line[features_end : ends[2]] or " "
    text = _text(hypothesis)
    before, after = f"{line[:features_end]} {feature}= ", space + line[ends[2] :]
    old = _old_number(features, feature)
    if old is not None:
        before, after = line[: starts[2] + old.start()], line[starts[2] + old.end() :]
    list_id = list_id.strip()
    return Hypothesis(
        list_id=list_id,
        starts_list=previous is None or previous.list_id != list_id,
        text=text,
        score=_number(total, "total"),
        before=before,
        after=after,
        replaces=old is not None,
        if_best=text,
    )


def _old_number(features: str, name: str) -> re.Match[str] | None:
    """The number of a feature, None where there is no such feature."""
    if f"{name}=" not in features:
        return None
    fields = list(_WORD.finditer(features))
    places = [place for place, field in enumerate(fields) if field[0] == f"{name}="]
    if not places:
        return None
    numbers = list(itertools.takewhile(lambda field: _NUMBER.fullmatch(field[0]), fields[places[0] + 1 :]))
    if len(places) > 1 or len(numbers) != 1:
        raise _FormError(f"has a feature {name}= that is not one number: choose another name with --feature")
    return numbers[0]


def _srilm(line: str, previous: Hypothesis | None) -> Hypothesis:
    """`ascore lscore nwords words`; the number replaces lscore.

    Source: nbest-format(5) of SRILM, its third format. nwords may count a `<s>` and `</s>` among the words or not.
    """
    fields = _SRILM.fullmatch(line)
    if fields is None:
        raise _FormError(f"has {len(_WORD.findall(line))} fields where a SRILM list has 3 or more")
    ascore = _number(fields["ascore"], "ascore")
    _number(fields["lscore"], "lscore")
    if not _COUNT.fullmatch(fields["n_words"]):
        raise _FormError(f"has '{visible(fields['n_words'][:20])}' where the number of words (nwords) must be")
    marked = _WORD.findall(fields["words"])
    words = marked[bool(marked[:1] == ["<s>"]) :]
    words = words[: len(words) - (words[-1:] == ["</s>"])]
    if int(fields["n_words"]) not in (len(words), len(marked)):
        raise _FormError(f"says nwords {int(fields['n_words'])} and has {len(words)} words")
    text = " ".join(words)
    return Hypothesis(
        list_id="",
        starts_list=previous is None,
        text=text,
        score=ascore,
        before=line[: fields.start("lscore")],
        after=line[fields.end("lscore") :],
        if_best=text,
    )


def _kaldi(line: str, previous: Hypothesis | None) -> Hypothesis:
    """`uttid words` becomes `uttid cost`.

    utt-1 starts the list of utt; what follows it as utt-2, utt-3 and so on belongs to it, also with gaps or sorted as
    text (utt-1, utt-10, utt-2). Anything else is an utterance of its own: utt, utt-0001, and a utt-7 that no utt-1
    precedes. Source: Kaldi's lattice-to-nbest, which numbers hypotheses from 1 without leading zeros.
    """
    found = _WORD.search(line)
    if found is None:
        raise _FormError("is blank where a Kaldi list has an uttid")
    if _SEPARATOR.search(line):
        raise _FormError("has the separators ' ||| ' of a Moses list")
    if _looks_like_srilm(line):
        raise _FormError("has the scores of a SRILM list in front of its words")
    numbered = _NUMBERED_UTTID.fullmatch(found[0])
    starts_list = numbered is None or numbered[2] == "1"
    if numbered and not starts_list and not _is_list_of(previous, numbered[1]):
        numbered, starts_list = None, True
    list_id = numbered[1] if numbered else found[0]
    text = _text(line[found.end() :])
    return Hypothesis(
        list_id=list_id,
        starts_list=starts_list,
        is_numbered=numbered is not None,
        text=text,
        score=0.0,
        before=f"{found[0]} ",
        after="",
        if_best=f"{list_id} {text}".rstrip(" "),
    )


def _is_list_of(hypothesis: Hypothesis | None, utterance: str) -> bool:
    return hypothesis is not None and hypothesis.is_numbered and hypothesis.list_id == utterance


def _text(words: str) -> str:
    return " ".join(_WORD.findall(words))


def _number(field: str, name: str) -> float:
    stripped = field.strip()
    if len(stripped) > LONGEST_NUMBER or not _NUMBER.fullmatch(stripped):
        raise _FormError(f"has '{visible(stripped[:20])}' where a number ({name}) must be")
    return float(stripped)


def _looks_like_srilm(line: str) -> bool:
    """Whether a line starts with two scores and the right count.

    The scores must have a point or a minus, which an uttid and the word after it do not have.
    """
    fields = _SRILM.fullmatch(line)
    if fields is None or not _COUNT.fullmatch(fields["n_words"]):
        return False
    scores = (fields["ascore"], fields["lscore"])
    if not all(_NUMBER.fullmatch(score) and ("." in score or score[0] == "-") for score in scores):
        return False
    n_marked = len(_WORD.findall(fields["words"]))
    return n_marked - 2 <= int(fields["n_words"]) <= n_marked


def _remedy(line: str, form: NbestForm) -> str:
    if _SEPARATOR.search(line):
        like: NbestForm = "moses"
    else:
        like = "srilm" if _looks_like_srilm(line) else "kaldi"
    wanted = f"a line of --nbest {form} is '{SHAPES[form]}'"
    return wanted if like == form or not _WORD.search(line) else f"{wanted}; for '{SHAPES[like]}' use --nbest {like}"
