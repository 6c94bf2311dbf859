"""`rnngen tokenize`: text to tokens and back, and tokenizer files."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnngen.cli import options
from rnngen.cli.contradictions import refuse_contradictions
from rnngen.cli.output import Console, end_with_the_pipe, for_stdout, table
from rnngen.cli.work_bar import work_shown
from rnngen.config import Level, OnUnknown, TokenizerConfig
from rnngen.errors import ConfigError, DataError
from rnngen.printable import plural
from rnngen.storage import checkpoint_paths
from rnngen.storage.json_lines import json_line

if TYPE_CHECKING:
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
    lmplz: Annotated[
        bool,
        typer.Option(
            "--lmplz", help="Print the tokens as KenLM's lmplz reads them, with <unknown> for the unknown symbol."
        ),
    ] = False,
    stats: Annotated[
        bool, typer.Option("--stats", help="Print counts of tokens, characters and unknown symbols.")
    ] = False,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save",
            metavar="FILE",
            help="Save the tokenizer. The tokens are then printed with --ids, --json or --lmplz only.",
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
    Tokens are separated by spaces; in a token, a space is written as ▁, a tab as ␉.
    """
    refuse_contradictions(context)
    console = Console(quiet)
    context.with_resource(work_shown(quiet))
    if clear_cache:
        _clear_cache(cache_dir, console)
        return
    wanted = TokenizerConfig(
        level or TokenizerConfig.level, vocab_size=vocab_size, min_count=min_count, split=split,
        subword_model=subword_model,
    )  # fmt: skip
    paths = options.read_or_explain(texts, "no text to tokenize: name a file, or - for standard input", "tokenize")
    end_with_the_pipe()
    from rnngen.storage.atomic import check_writable
    from rnngen.text.corpus import FileText
    from rnngen.text.streams import stream_lines
    from rnngen.text.tokens import count_tokens, load_tokenizer, save_tokenizer, tokenizer_of

    if save:
        _check_place(save, paths)
        check_writable(save, force=force)
    text = FileText(paths, encoding, console.note)
    lines: Iterator[str] = itertools.chain.from_iterable(stream_lines(paths, encoding, console.note))
    if tokenizer_file:
        tokenizer = load_tokenizer(tokenizer_file)
    elif model:
        from rnngen import checkpoint

        tokenizer = checkpoint.load(checkpoint_paths.find(model, console.note)).tokenizer
    else:
        tokenizer = tokenizer_of(text, wanted)
        lines = text.lines()  # the text has been read for its vocabulary: it is at hand a second time
    if save:
        save_tokenizer(tokenizer, save, replace=force)
        console.note(f"tokenizer: {save} ({tokenizer.vocab_size:,} symbols)")
    if stats:
        counts = count_tokens(tokenizer, text, on_unknown)
        console.note(counts.unknowns.note("the text", on_unknown))
        _print_record(counts.to_dict(), json)
    elif decode:
        sys.stdout.writelines(_decoded(tokenizer, lines))
    elif lmplz:
        sys.stdout.writelines(_for_lmplz(tokenizer, lines, on_unknown, console))
    elif ids or json or not save:
        sys.stdout.writelines(_encoded(tokenizer, lines, ids, json, on_unknown, console))


def _check_place(save: Path, paths: list[str]) -> None:
    if any(path != "-" and Path(path).resolve() == save.resolve() for path in paths):
        raise ConfigError(f"--save is {save}, which is the text: name another file")


def _clear_cache(folder: Path | None, console: Console) -> None:
    from rnngen.text.ids_cache import IdsCache, default_folder

    cache = IdsCache(folder or default_folder())
    n_files, n_bytes = cache.clear()
    console.note(f"cache: {plural(n_files, 'file')} removed from {cache.folder}, {plural(n_bytes, 'byte')}")


def _encoded(
    tokenizer: Tokenizer, lines: Iterator[str], as_ids: bool, json: bool, on_unknown: OnUnknown, console: Console
) -> Iterator[str]:
    from rnngen.tokenizers.base import encode_known
    from rnngen.tokenizers.fields import token_field
    from rnngen.tokenizers.unknowns import Unknowns

    number, unknowns = 0, Unknowns()
    field = for_stdout(token_field(tokenizer))
    fields: dict[int, str] = {}
    for number, line in enumerate(lines, 1):
        body = line.removesuffix("\n")
        encoded = encode_known(tokenizer, body, on_unknown, f"line {number}")
        unknowns.add(encoded, f" of line {number}")
        found = encoded.ids.tolist()
        if json:
            names = [tokenizer.token(id) for id in found]
            yield json_line({"line": number, "tokens": names, "ids": found, "n_unknown": encoded.n_unknown})
            continue
        if as_ids:
            words = map(str, found)
        else:
            for id in set(found) - fields.keys():
                fields[id] = field(tokenizer.token(id))
            words = map(fields.__getitem__, found)
        yield " ".join(words) + line[len(body) :]
    if not number:
        raise DataError("the text is empty: there is nothing to tokenize")
    console.note(unknowns.note("the text", on_unknown))


def _for_lmplz(tokenizer: Tokenizer, lines: Iterator[str], on_unknown: OnUnknown, console: Console) -> Iterator[str]:
    from rnngen.text.lmplz import lmplz_lines
    from rnngen.tokenizers.unknowns import Unknowns

    unknowns = Unknowns()
    yield from lmplz_lines(tokenizer, lines, on_unknown, unknowns)
    console.note(unknowns.note("the text", on_unknown))


def _decoded(tokenizer: Tokenizer, lines: Iterator[str]) -> Iterator[str]:
    from rnngen.text.tokens import decode_ids

    for number, line in enumerate(lines, 1):
        try:
            found = [int(word) for word in line.split()]
        except ValueError:
            raise DataError(
                f"line {number} is no list of ids: {line.strip()[:40]!r}; --decode reads what --ids prints"
            ) from None
        yield decode_ids(tokenizer, found, f"line {number}") + ("\n" if line.endswith("\n") else "")


def _print_record(record: dict[str, str | int | float], json: bool) -> None:
    if json:
        sys.stdout.write(json_line(record))
    else:
        values = [f"{value:.6f}" if isinstance(value, float) else str(value) for value in record.values()]
        sys.stdout.write(table(list(record), [values]))
