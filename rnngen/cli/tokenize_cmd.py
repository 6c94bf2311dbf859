"""`rnngen tokenize`: text to tokens and back, and tokenizer files."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnngen.cli import models, options
from rnngen.cli.output import Console, end_with_the_pipe, json_line, plural, table
from rnngen.config import Level, OnUnknown, TokenizerConfig
from rnngen.errors import ConfigError, DataError

if TYPE_CHECKING:
    from rnngen.text.corpus import FileText
    from rnngen.text.tokenizer import Tokenizer


def tokenize(
    texts: options.Texts = None,
    model: options.Model = None,
    tokenizer_file: options.TokenizerFile = None,
    level: Annotated[
        Level | None, typer.Option("--level", help="Build a tokenizer from the text itself.", show_default="char")
    ] = None,
    vocab_size: options.VocabSize = None,
    min_count: options.MinCount = None,
    split: options.SplitName = "punctuation",
    subword_model: options.SubwordModelName = "unigram",
    ids: Annotated[bool, typer.Option("--ids", help="Print ids instead of tokens.")] = False,
    decode: Annotated[bool, typer.Option("--decode", help="Read ids, one line a line, and print their text.")] = False,
    stats: Annotated[bool, typer.Option("--stats", help="Print what the tokenizer makes of the text.")] = False,
    save: Annotated[Path | None, typer.Option("--save", metavar="FILE", help="Save the tokenizer.")] = None,
    json: options.Json = False,
    force: options.Force = False,
    on_unknown: options.Unknowns = "unk",
    encoding: options.Encoding = "utf-8",
    quiet: options.Quiet = False,
) -> None:
    """Show a text as tokens, line by line; a line's line break stands for its own token.

    The tokenizer comes from a checkpoint (--model), a file (--tokenizer), or is built from the text (--level).
    Tokens are separated by spaces; a space in a token reads ▁.
    """
    if sum([ids, decode, stats]) > 1:
        raise ConfigError("--ids, --decode and --stats exclude each other: give one of them")
    built = [
        name for name, given in (("--level", level), ("--vocab-size", vocab_size), ("--min-count", min_count)) if given
    ]
    sources = [name for name, given in (("--model", model), ("--tokenizer", tokenizer_file)) if given]
    if len(sources) > 1 or (sources and built):
        raise ConfigError(f"{' and '.join(sources + built)} exclude each other: a tokenizer has one origin")
    if decode and not sources and level != "byte":
        raise ConfigError("--decode needs the tokenizer that made the ids: add --model, --tokenizer or --level byte")
    wanted = TokenizerConfig(level or "char", vocab_size, min_count, split, subword_model)
    paths = options.read_or_explain(texts, "no text to tokenize: name a file, or - for standard input")
    end_with_the_pipe()
    from rnngen.files import check_writable
    from rnngen.text import tokenizer as tokenizers
    from rnngen.text.corpus import FileText, stream_lines, survey

    console = Console(quiet)
    if save:
        check_writable(save, force=force)
    text = FileText(paths, encoding)
    lines = None
    if tokenizer_file:
        tokenizer = tokenizers.load(tokenizer_file)
    elif model:
        from rnngen import checkpoint

        tokenizer = checkpoint.load(models.find(model, console)).tokenizer
    else:
        if level != "byte":
            survey(text)
        tokenizer = tokenizers.build(wanted, text)
        lines = text.lines()
    if save:
        tokenizers.save(tokenizer, save)
        console.note(f"tokenizer: {save} ({tokenizer.vocab_size:,} symbols)")
    if stats:
        _print_stats(tokenizer, text, json)
        return
    lines = lines or stream_lines(paths, encoding)
    write = _decoded(tokenizer, lines) if decode else _encoded(tokenizer, lines, ids, json, on_unknown, console)
    for piece in write:
        sys.stdout.write(piece)


def _encoded(
    tokenizer: Tokenizer, lines: Iterator[str], as_ids: bool, json: bool, on_unknown: OnUnknown, console: Console
) -> Iterator[str]:
    from rnngen.text.symbols import visible
    from rnngen.text.tokenizer import encode_known

    n_unknown = 0
    first = None
    shown: dict[int, str] = {}
    for number, line in enumerate(lines, 1):
        body = line.removesuffix("\n")
        encoded = encode_known(tokenizer, body, on_unknown, f"line {number}")
        n_unknown += encoded.n_unknown
        if first is None and encoded.first_unknown is not None:
            first = f"{encoded.first_unknown} of line {number}"
        found = encoded.ids.tolist()
        if json:
            names = [tokenizer.token(id) for id in found]
            yield json_line({"line": number, "tokens": names, "ids": found, "n_unknown": encoded.n_unknown})
            continue
        if as_ids:
            words = map(str, found)
        else:
            for id in set(found) - shown.keys():
                shown[id] = visible(tokenizer.token(id))
            words = map(shown.__getitem__, found)
        yield " ".join(words) + line[len(body) :]
    if first:
        console.note(f"{plural(n_unknown, 'unknown symbol')}; the first is {first}")


def _decoded(tokenizer: Tokenizer, lines: Iterator[str]) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        try:
            found = [int(word) for word in line.split()]
        except ValueError:
            raise DataError(
                f"line {number} is no list of ids: {line.strip()[:40]!r}; --decode reads what --ids prints"
            ) from None
        wrong = [id for id in found if not 0 <= id < tokenizer.vocab_size]
        if wrong:
            raise DataError(f"line {number} has the id {wrong[0]}: this tokenizer has 0 to {tokenizer.vocab_size - 1}")
        yield tokenizer.decode(found) + ("\n" if line.endswith("\n") else "")


def _print_stats(tokenizer: Tokenizer, text: FileText, json: bool) -> None:
    n_tokens = n_chars = n_unknown = 0
    for chunk in text.chunks():
        found = tokenizer.encode(chunk)
        n_tokens += len(found)
        n_chars += len(chunk)
        n_unknown += int((found == tokenizer.unk_id).sum()) if tokenizer.unk_id is not None else 0
    if not n_tokens:
        raise DataError("the text is empty: there is nothing to count")
    record = {
        "level": tokenizer.level,
        "vocab_size": tokenizer.vocab_size,
        "n_chars": n_chars,
        "n_tokens": n_tokens,
        "chars_per_token": n_chars / n_tokens,
        "n_unknown": n_unknown,
        "unknown_rate": n_unknown / n_tokens,
    }
    if json:
        sys.stdout.write(json_line(record))
    else:
        values = [f"{value:.6f}" if isinstance(value, float) else str(value) for value in record.values()]
        sys.stdout.write(table(list(record), [values]))
