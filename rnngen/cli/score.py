"""`rnngen score`: how likely each line is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rnngen.checks import check_whole
from rnngen.cli import options
from rnngen.cli.contradictions import refuse_contradictions
from rnngen.cli.loading import load_models
from rnngen.cli.output import Console, about_lines, end_with_the_pipe
from rnngen.cli.work_bar import work_shown
from rnngen.config import NBEST_FEATURE, LogBase, NbestForm, OnUnknown, ScoreFormat, ScoreState, SortKey
from rnngen.text import escapes

if TYPE_CHECKING:
    from rnngen.cli.score_formats import Writer
    from rnngen.tokenizers.base import Tokenizer


def score(
    context: typer.Context,
    texts: options.Texts = None,
    model: options.Models = None,
    format: Annotated[
        ScoreFormat | None,
        typer.Option(
            "--format",
            help="Print columns, JSON lines, or what KenLM's query or SRILM's ngram -ppl -debug 2 prints.",
            show_default="tsv",
        ),
    ] = None,
    json: options.Json = False,
    tokens: Annotated[bool, typer.Option("--tokens", help="Print every token with its surprisal.")] = False,
    words: Annotated[
        bool,
        typer.Option("--words", help="Print every word, with the blanks before it, and its surprisal."),
    ] = False,
    base: Annotated[
        LogBase | None, typer.Option("--base", help="Base of all logarithms.", show_default="e; 2 for surprisals")
    ] = None,
    header: Annotated[bool, typer.Option("--header/--no-header", help="Name the columns in the first line.")] = True,
    bos: Annotated[
        bool,
        typer.Option("--bos/--no-bos", help="Score the first token, as after a line break, or use it as context only."),
    ] = True,
    eos: Annotated[bool, typer.Option("--eos/--no-eos", help="Score the line break that ends a line.")] = True,
    prefix: Annotated[
        str,
        typer.Option(
            "--prefix", metavar="TEXT",
            help=f"Score each line as a continuation of this text; {escapes.RULE}.", show_default="none",
        ),
    ] = "",
    state: Annotated[
        ScoreState, typer.Option("--state", help="Reset the state at every line, or carry it from line to line.")
    ] = "reset",
    max_perplexity: Annotated[
        float | None,
        typer.Option("--max-perplexity", metavar="X", help="Print only lines with this perplexity or less."),
    ] = None,
    min_logprob: Annotated[
        float | None,
        typer.Option(
            "--min-logprob", metavar="X", help="Print only lines with this log-probability or more, in --base."
        ),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Print the lines themselves, without numbers.")] = False,
    sort: Annotated[SortKey | None, typer.Option("--sort", help="Print the best line first, by this measure.")] = None,
    top: Annotated[
        int | None,
        typer.Option("--top", metavar="N", help="Print only the best N lines, by --sort or by perplexity."),
    ] = None,
    nbest: Annotated[
        NbestForm | None,
        typer.Option("--nbest", help="Read the text as n-best lists and print them with rnngen's scores."),
    ] = None,
    feature: Annotated[
        str, typer.Option("--feature", metavar="NAME", help="Name of the score in a list of --nbest moses.")
    ] = NBEST_FEATURE,
    best: Annotated[bool, typer.Option("--best", help="Print only the best hypothesis of each n-best list.")] = False,
    weight: Annotated[
        float | None,
        typer.Option(
            "--weight", metavar="W", help="Weight of rnngen's log10 score against the list's own.", show_default="1"
        ),
    ] = None,
    classify: Annotated[
        bool, typer.Option("--classify", help="Name the model (of several, -m) that explains each line best.")
    ] = False,
    color: Annotated[
        bool,
        typer.Option("--color", help="Colour every token by its surprisal; marks below say the same without colour."),
    ] = False,
    alternatives: Annotated[
        int | None,
        typer.Option(
            "--alternatives", metavar="N",
            help="Show up to N likelier tokens for the 3 most surprising tokens above 2 bits; with --color or --json.",
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
    A bidirectional model gives pseudo_...: each token given all others of its line, without the line break.
    """
    refuse_contradictions(context)
    json = json or format == "jsonl"
    from rnngen.cli.score_formats import NATS_IN_ONE
    from rnngen.cli.score_results import write_classified, write_lines, write_nbest
    from rnngen.evaluate.scored_lines import Boundaries, score_files
    from rnngen.evaluate.selection import Choice
    from rnngen.text.streams import stream_files

    least = None if min_logprob is None else min_logprob * NATS_IN_ONE[base or "e"]
    if alternatives is not None:
        check_whole("alternatives", alternatives, 1)
    choice = Choice(max_perplexity=max_perplexity, min_logprob_nats=least, sort=sort, top=top)
    paths = options.read_or_explain(texts, "no text to score: name a file, or - for standard input", "score")
    end_with_the_pipe()
    console = Console(quiet)
    context.with_resource(work_shown(quiet))
    files = stream_files(paths, encoding, console.note)  # which checks the files before the model is loaded
    loaded = load_models(context, model, device, console)
    one = loaded[0]
    if nbest is not None:
        write_nbest(
            one, files, nbest, feature=feature, best=best, weight=weight, on_unknown=on_unknown, console=console
        )
        return
    if classify:
        write_classified(loaded, files, on_unknown, json=json, header=header, several=len(paths) > 1, console=console)
        return
    from rnngen.cli.score_formats import Columns, Detail, JsonLines, Logs, TextOnly

    detail: Detail = "token" if tokens else "word" if words else "line"
    logs = Logs(base, pseudo=one.config.bidirectional)
    writer: Writer
    if color:
        from rnngen.cli.color_format import Colored

        writer = Colored(one.runner, alternatives)
    elif keep:
        writer = TextOnly()
    elif format in ("kenlm", "srilm"):
        from rnngen.cli.field_formats import SRILM, KenLM, sentences_of_srilm

        writer = KenLM(one.tokenizer, words) if format == "kenlm" else SRILM(one.tokenizer, words, " ".join(paths))
    elif json:
        writer = JsonLines(one.runner, detail, logs, alternatives)
    else:
        writer = Columns(detail, logs, header, several=len(paths) > 1)
    boundaries = Boundaries(bos=bos, eos=eos, state=state, prefix=escapes.model_text(prefix))
    console.note(about_lines("the prefix", boundaries.prefix, one))
    _note_prefix(one.tokenizer, prefix, on_unknown, console)
    blocks = score_files(one.runner, one.tokenizer, files, on_unknown, boundaries)
    if format == "srilm":
        blocks = sentences_of_srilm(blocks, console.note)
    write_lines(blocks, writer, choice, on_unknown, console)


def _note_prefix(tokenizer: Tokenizer, prefix: str, on_unknown: OnUnknown, console: Console) -> None:
    """Say what in a prefix the model does not know, and what an escape means where a backslash may have been meant."""
    from rnngen.evaluate.continuations import prefix_unknowns

    console.note(prefix_unknowns(tokenizer, escapes.model_text(prefix), on_unknown).note("the prefix", on_unknown))
    for sentence in escapes.doubtful_escapes([prefix], tokenizer):
        console.note(sentence)
