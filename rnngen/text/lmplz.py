"""A text as KenLM's `lmplz` reads it: tokens with spaces between them.

`lmplz` splits at space, tab and carriage return, and refuses a text with `<s>`, `</s>` or `<unk>` in it. It always adds
an `<unk>` of its own, for words that it has not seen. So unknown symbols are written under another name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rnngen.config import OnUnknown
from rnngen.errors import TokenizerError
from rnngen.tokenizers.base import Tokenizer, encode_known
from rnngen.tokenizers.fields import token_field
from rnngen.tokenizers.symbols import UNK
from rnngen.tokenizers.unknowns import Unknowns

UNKNOWN = "<unknown>"
BEGIN, END = "<s>", "</s>"


def lmplz_lines(
    tokenizer: Tokenizer, lines: Iterable[str], on_unknown: OnUnknown = "unk", unknowns: Unknowns | None = None
) -> Iterator[str]:
    """Lines for `lmplz` to estimate an n-gram model of the tokens from.

    Args:
        lines: with or without the line breaks that end them.
        unknowns: takes in the unknown symbols.

    Yields:
        A line for each, with a line break. The unknown symbol is `<unknown>`.

    Raises:
        TokenizerError: the vocabulary has a word that `lmplz` refuses; or a symbol is unknown and `on_unknown` is
            "error".

    >>> import rnngen
    >>> tokenizer = rnngen.load("hello").tokenizer
    >>> list(rnngen.lmplz_lines(tokenizer, ["hello", "hell?"]))
    ['h e l l o\\n', 'h e l l <unknown>\\n']
    """
    names = token_names(tokenizer)
    for number, line in enumerate(lines, 1):
        encoded = encode_known(tokenizer, line.removesuffix("\n"), on_unknown, f"line {number}")
        if unknowns is not None:
            unknowns.add(encoded, f" of line {number}")
        yield " ".join(map(names.__getitem__, encoded.ids.tolist())) + "\n"


def token_names(tokenizer: Tokenizer) -> list[str]:
    """What `lmplz` is given for each id. Raises TokenizerError: a word of the vocabulary is one that it refuses."""
    field = token_field(tokenizer)
    drawn = set(range(tokenizer.vocab_size)).difference(tokenizer.never_drawn)
    names = [field(tokenizer.token(id)) if id in drawn else UNKNOWN for id in range(tokenizer.vocab_size)]
    for sign in (BEGIN, END, UNK, UNKNOWN):
        if sign in (names[id] for id in drawn):
            raise TokenizerError(f"the vocabulary has {sign}, which a text for lmplz cannot have: make one without it")
    return names
