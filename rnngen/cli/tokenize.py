"""`rnngen tokenize`: text to tokens and back, and tokenizer files."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnngen import models
from rnngen.cli import options
from rnngen.cli.output import Console, end_with_the_pipe, json_line, table
from rnngen.config import Level, OnUnknown, TokenizerConfig
from rnngen.errors import ConfigError, DataError
from rnngen.printable import plural

if TYPE_CHECKING:
    from rnngen.text.corpus import FileText
    from rnngen.tokenizers.base import Tokenizer


def tokenize(
    context: typer.Context,
    texts: options.Texts = None,
    model: options.Model = None,
    tokenizer_file: options.TokenizerFile = None,
    level: Annotated[
        Level | None,
        typer.Option("--level", help="Build a tokenizer from the text itself.", show_default=TokenizerConfig.level),
    ] = None,
    vocab_size: options.VocabSize = None,
    min_count: options.MinCount = None,
    split: options.SplitName = TokenizerConfig.split,
    subword_model: options.SubwordModelName = TokenizerConfig.subword_model,
    ids: Annotated[bool, typer.Option("--ids", help="Print ids instead of tokens.")] = False,
    decode: Annotated[bool, typer.Option("--decode", help="Read lines of ids, and print their text.")] = False,
    stats: Annotated[
        bool, typer.Option("--stats", help="Print counts of tokens, characters and unknown symbols.")
    ] = False,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save", metavar="FILE", help="Save the tokenizer. The tokens are then printed with --ids or --json only."
        ),
    ] = None,
    clear_cache: Annotated[
        bool, typer.Option("--clear-cache", help="Remove the stored ids of all texts. No text is needed.")
    ] = False,
    cache_dir: options.CacheDir = None,
    json: options.Json = False,
    force: options.Force = False,
    on_unknown: options.Unknowns = "unk",
    encoding: options.Encoding = options.ENCODING,
    quiet: options.Quiet = False,
) -> None:
    """Show a text as tokens, line by line; the line break is a token too.

    The tokenizer comes from a checkpoint (--model), a file (--tokenizer), or is built from the text (--level).
    Tokens are separated by spaces; a space in a token is shown as ▁.
    """
    if clear_cache or cache_dir:
        others = options.asked_for(context) - {"clear_cache", "cache_dir", "quiet"}
        _clear_cache(clear_cache, cache_dir, options.flags_of(others), Console(quiet))
        return
    if sum([ids, decode, stats]) > 1:
        raise ConfigError("--ids, --decode and --stats exclude each other: give one of them")
    if decode and json:
        raise ConfigError("--decode prints text: leave out --json")
    built = _given({
        "--level": level, "--vocab-size": vocab_size, "--min-count": min_count,
        "--split": split != TokenizerConfig.split, "--subword-model": subword_model != TokenizerConfig.subword_model,
    })  # fmt: skip
    sources = _given({"--model": model, "--tokenizer": tokenizer_file})
    if len(sources) > 1 or (sources and built):
        raise ConfigError(f"{' and '.join(sources + built)} exclude each other: a tokenizer has one origin")
    if decode and not sources and level != "byte":
        raise ConfigError("--decode needs the tokenizer that made the ids: add --model, --tokenizer or --level byte")
    wanted = TokenizerConfig(
        level or TokenizerConfig.level, vocab_size=vocab_size, min_count=min_count, split=split,
        subword_model=subword_model,
    )  # fmt: skip
    paths = options.read_or_explain(texts, "no text to tokenize: name a file, or - for standard input")
    end_with_the_pipe()
    from rnngen.storage.atomic import check_writable
    from rnngen.text.corpus import FileText, stream_lines, survey
    from rnngen.tokenizers import levels

    console = Console(quiet)
    if save:
        _check_place(save, paths)
        check_writable(save, force=force)
    text = FileText(paths, encoding)
    lines = None
    if tokenizer_file:
        tokenizer = levels.load(tokenizer_file)
    elif model:
        from rnngen import checkpoint

        tokenizer = checkpoint.load(models.find(model, console.note)).tokenizer
    else:
        if level != "byte":
            survey(text)
        tokenizer = levels.build(wanted, text)
        lines = text.lines()  # the text has been read for its vocabulary: it is at hand a second time
    if save:
        levels.save(tokenizer, save, replace=force)
        console.note(f"tokenizer: {save} ({tokenizer.vocab_size:,} symbols)")
    if stats:
        _print_stats(tokenizer, text, json, on_unknown, console)
        return
    if save and not (ids or decode or json):
        return
    lines = lines or itertools.chain.from_iterable(stream_lines(paths, encoding))
    write = _decoded(tokenizer, lines) if decode else _encoded(tokenizer, lines, ids, json, on_unknown, console)
    sys.stdout.writelines(write)


def _check_place(save: Path, paths: list[str]) -> None:
    if any(path != "-" and Path(path).resolve() == save.resolve() for path in paths):
        raise ConfigError(f"--save is {save}, which is the text: name another file")


def _clear_cache(wanted: bool, folder: Path | None, others: str, console: Console) -> None:
    if not wanted:
        raise ConfigError("--cache-dir is for --clear-cache here: tokenize prints, and keeps nothing")
    if others:
        raise ConfigError(f"--clear-cache goes with --cache-dir only: leave out {others}")
    from rnngen.text.ids_cache import IdsCache, default_folder

    cache = IdsCache(folder or default_folder())
    n_files, n_bytes = cache.clear()
    console.note(f"cache: {plural(n_files, 'file')} removed from {cache.folder}, {plural(n_bytes, 'byte')}")


def _given(options_given: dict[str, object]) -> list[str]:
    return [name for name, value in options_given.items() if value]


def _encoded(
    tokenizer: Tokenizer, lines: Iterator[str], as_ids: bool, json: bool, on_unknown: OnUnknown, console: Console
) -> Iterator[str]:
    from rnngen.printable import visible
    from rnngen.tokenizers.base import encode_known

    n_unknown = number = 0
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
    if not number:
        raise DataError("the text is empty: there is nothing to tokenize")
    console.unknowns(n_unknown, first, on_unknown, "the text")


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


def _print_stats(tokenizer: Tokenizer, text: FileText, json: bool, on_unknown: OnUnknown, console: Console) -> None:
    from rnngen.tokenizers.base import encode_known

    n_tokens = n_chars = n_unknown = 0
    first = None
    for chunk in text.chunks():
        found = encode_known(tokenizer, chunk, on_unknown, "the text", n_chars)
        n_tokens += len(found.ids)
        n_chars += len(chunk)
        n_unknown += found.n_unknown
        first = first or found.first_unknown
    console.unknowns(n_unknown, first, on_unknown, "the text")
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
