"""A prompt that comes from a file or a pipe."""

from __future__ import annotations

from rnngen.config import ENCODING
from rnngen.errors import DataError
from rnngen.text.decoding import Say
from rnngen.text.streams import stream_lines

LONGEST_PROMPT = 1 << 20  # characters; more would take memory and time, and tell a model nothing


def read_prompt(path: str, encoding: str = ENCODING, say: Say = lambda note: None) -> str:
    """The text of a file without the line break that ends its last line, which editors and `echo` add.

    Args:
        path: as in `FileText`.
        encoding: of the file.
        say: takes notes on what was found while reading.

    Raises:
        ConfigError: there is no such encoding.
        DataError: the file cannot be read, or is too long.
    """
    lines: list[str] = []
    n_chars = 0
    for block in stream_lines([path], encoding, say):
        lines += block
        n_chars += sum(map(len, block))
        if n_chars > LONGEST_PROMPT:
            where = "on standard input" if path == "-" else path
            raise DataError(f"the prompt {where} has more than {LONGEST_PROMPT:,} characters: give its end (tail -c)")
    return "".join(lines).removesuffix("\n")
