"""`rnngen score`: how likely each line is."""

from __future__ import annotations

from typing import Annotated

import typer

from rnngen import models
from rnngen.cli import classifying, options
from rnngen.cli.contradictions import refuse_contradictions
from rnngen.cli.field_formats import SRILM, KenLM
from rnngen.cli.output import Console, end_with_the_pipe
from rnngen.cli.painted_lines import Painting
from rnngen.cli.score_formats import NATS_IN_ONE, Columns, Detail, JsonLines, Kept, Logs, Writer
from rnngen.config import LogBase, NbestForm, ScoreFormat, ScoreState
from rnngen.evaluate import rescoring
from rnngen.evaluate.scored_lines import Boundaries, score_in_blocks
from rnngen.evaluate.selection import Choice, SortKey, write_lines


def score(
    context: typer.Context,
    texts: options.Texts = None,
    model: options.Models = None,
    format: Annotated[
        ScoreFormat | None,
        typer.Option(
            "--format",
            help="Columns, JSON lines, or what KenLM's query or SRILM's ngram -ppl -debug 2 prints.",
            show_default="tsv",
        ),
    ] = None,
    json: options.Json = False,
    tokens: Annotated[bool, typer.Option("--tokens", help="Every token with its surprisal.")] = False,
    words: Annotated[
        bool, typer.Option("--words", help="Every word with its surprisal: the sum of its tokens and the space before.")
    ] = False,
    base: Annotated[
        LogBase | None, typer.Option("--base", help="Of all logarithms.", show_default="e; of surprisals 2")
    ] = None,
    header: Annotated[bool, typer.Option("--header/--no-header", help="Name the columns in the first line.")] = True,
    bos: Annotated[
        bool,
        typer.Option("--bos/--no-bos", help="Score the first token, as after a line break; else it is context only."),
    ] = True,
    eos: Annotated[bool, typer.Option("--eos/--no-eos", help="Score the line break that ends a line.")] = True,
    state: Annotated[
        ScoreState, typer.Option("--state", help="Reset the state at every line, or carry it from line to line.")
    ] = "reset",
    max_perplexity: Annotated[
        float | None, typer.Option("--max-perplexity", metavar="X", help="Only lines with this perplexity or less.")
    ] = None,
    min_logprob: Annotated[
        float | None,
        typer.Option("--min-logprob", metavar="X", help="Only lines with this log-probability or more, in --base."),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Write the lines themselves, without numbers.")] = False,
    sort: Annotated[SortKey | None, typer.Option("--sort", help="The best line first, by this.")] = None,
    top: Annotated[
        int | None,
        typer.Option("--top", metavar="N", min=1, help="Only the best N, by --sort or by perplexity."),
    ] = None,
    nbest: Annotated[
        NbestForm | None, typer.Option("--nbest", help="The text is an n-best list: write it with our scores in it.")
    ] = None,
    best: Annotated[bool, typer.Option("--best", help="Of each n-best list the best hypothesis only.")] = False,
    weight: Annotated[
        float | None,
        typer.Option("--weight", metavar="W", help="Of our log10 beside the list's own score.", show_default="1"),
    ] = None,
    classify: Annotated[
        bool, typer.Option("--classify", help="Of several models (-m) the one that explains each line best.")
    ] = False,
    color: Annotated[
        bool, typer.Option("--color", help="Paint every token by its surprisal; marks say it without colour too.")
    ] = False,
    alternatives: Annotated[
        int | None,
        typer.Option(
            "--alternatives", metavar="N", min=1,
            help="At the 3 most surprising places above 2 bits, up to N likelier tokens; with --color or JSON.",
        ),
    ] = None,
    on_unknown: options.Unknowns = "unk",
    encoding: options.Encoding = options.ENCODING,
    device: options.DeviceName = options.DEVICE,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """How likely each line is: one record a line, in order.

    A line is scored from a line break to the line break that ends it, by itself.
    Columns: line number, log-probability in nats, tokens, perplexity, unknown tokens, the log-probability and
    perplexity without those, the line. With --tokens and --words: line, place, token or word, surprisal in bits.
    """
    refuse_contradictions(context)
    least = None if min_logprob is None else min_logprob * NATS_IN_ONE[base or "e"]
    choice = Choice(max_perplexity, least, sort or ("perplexity" if top else None), top)
    paths = options.read_or_explain(texts, "no text to score: name a file, or - for standard input")
    end_with_the_pipe()
    from rnngen.text.corpus import stream_lines

    console = Console(quiet)
    arriving = stream_lines(paths, encoding)  # which checks the files before the model is loaded
    loaded = [models.load(name, device=device, say=console.note) for name in model or (None,)]
    if nbest is not None:
        rescoring.nbest(loaded[0], arriving, nbest, best, weight, on_unknown, console)
        return
    if classify:
        classifying.classify(loaded, arriving, on_unknown, json or format == "jsonl", console, header)
        return
    tokenizer = loaded[0].checkpoint.tokenizer
    logs = Logs(base)
    detail: Detail = "token" if tokens else "word" if words else "line"
    writer: Writer
    if color:
        writer = Painting(loaded[0], alternatives)
    elif keep:
        writer = Kept()
    elif format == "kenlm":
        writer = KenLM(tokenizer, words)
    elif format == "srilm":
        writer = SRILM(tokenizer, words, " ".join(paths))
    elif json or format == "jsonl":
        writer = JsonLines(loaded[0], detail, logs, alternatives)
    else:
        writer = Columns(tokenizer, detail, logs, header)
    blocks = score_in_blocks(loaded[0], arriving, on_unknown, Boundaries(bos, eos, state))
    write_lines(blocks, writer, choice, tokenizer, on_unknown, console)
