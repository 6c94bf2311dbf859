"""`rnngen sample`: text from a model."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import secrets
import select
import stat
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from rnngen import models
from rnngen.checks import check_whole
from rnngen.cli import options
from rnngen.cli.contradictions import refuse_contradictions
from rnngen.cli.output import Console, about_lines, end_with_the_pipe, for_stdout, table
from rnngen.cli.work_bar import work_shown
from rnngen.config import OnUnknown, SampleConfig
from rnngen.errors import ConfigError, DataError
from rnngen.storage.json_lines import json_line
from rnngen.text import escapes

if TYPE_CHECKING:
    from rnngen.tokenizers.base import Tokenizer
    from rnngen.tokenizers.prompts import Prompt

CONTEXT_SETTINGS = {"allow_extra_args": True}  # so that the error says what to do with them
PATIENCE = 1.0  # seconds without a piped prompt until a person is told what the command waits for


def sample(
    context: typer.Context,
    model: options.Model = None,
    temperature: Annotated[
        float,
        typer.Option(
            "--temp", "--temperature", metavar="T", help="Divide the logits by T; 0 takes the most likely token."
        ),
    ] = SampleConfig.temperature,
    top_k: Annotated[
        int, typer.Option("--top-k", metavar="K", help="Draw from the K most likely tokens; 0 is all.")
    ] = SampleConfig.top_k,
    top_p: Annotated[
        float,
        typer.Option(
            "--top-p", metavar="P", help="Draw from the most likely tokens that together have this probability."
        ),
    ] = SampleConfig.top_p,
    min_p: Annotated[
        float,
        typer.Option(
            "--min-p", metavar="P", help="Draw from tokens at least this fraction as likely as the likeliest."
        ),
    ] = SampleConfig.min_p,
    repetition_penalty: Annotated[
        float,
        typer.Option(
            "--repetition-penalty",
            metavar="X",
            help="Above 1, words and subwords among the last 64 become less likely; not for characters or bytes.",
        ),
    ] = SampleConfig.repetition_penalty,
    prompt: Annotated[
        str | None,
        typer.Option(
            "--prompt", metavar="TEXT", help=f"Text to continue; {escapes.RULE}.", show_default="what is piped in"
        ),
    ] = None,
    prompt_file: Annotated[
        str | None,
        typer.Option(
            "--prompt-file",
            metavar="FILE",
            help="Text to continue, from a file, without the line break at its end; - is standard input.",
        ),
    ] = None,
    next: Annotated[
        int | None,
        typer.Option(
            "--next", metavar="N", help="Print the N most likely next tokens and their probabilities instead."
        ),
    ] = None,
    max_order: Annotated[
        int | None,
        typer.Option(
            "--max-order",
            metavar="N",
            help="Use no n-grams longer than this: a lower one copies less of the text that was trained on.",
            show_default="all",
        ),
    ] = None,
    length: Annotated[
        int, typer.Option("--length", metavar="N", help="Largest number of new tokens.")
    ] = SampleConfig.length,
    min_length: Annotated[
        int,
        typer.Option(
            "--min-length",
            metavar="N",
            help="Smallest number of new tokens before a stop string, or a line end of --lines, is drawn.",
        ),
    ] = SampleConfig.min_length,
    stop: Annotated[
        list[str] | None,
        typer.Option(
            "--stop",
            metavar="STRING",
            help="End before this string, written as in --prompt; repeat it for several. "
            "A model of --lines also ends at a line break.",
        ),
    ] = None,
    keep_stop: Annotated[bool, typer.Option("--keep-stop", help="Print the stop string too.")] = False,
    num_samples: Annotated[
        int, typer.Option("-n", "--num-samples", metavar="N", help="Number of samples; 0 is without end.")
    ] = SampleConfig.num_samples,
    unique: Annotated[bool, typer.Option("--unique", help="Print no sample twice.")] = False,
    not_in: Annotated[
        str | None,
        typer.Option(
            "--not-in", metavar="FILE", help="Print no sample that is a line of this file; - is standard input."
        ),
    ] = None,
    separator: Annotated[
        str | None,
        typer.Option(
            "--separator",
            metavar="STRING",
            help="Print this after every sample, written as in --prompt.",
            show_default="a line break, unless it ends with one",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="N", help="The same seed gives the same text.", show_default="random"),
    ] = None,
    no_echo: Annotated[bool, typer.Option("--no-echo", help="Leave the prompt out of the output.")] = False,
    on_unknown: options.Unknowns = "skip",
    encoding: options.Encoding = options.ENCODING,
    json: options.Json = False,
    device: options.DeviceName = options.DEVICE,
    quiet: options.Quiet = False,
) -> None:
    """Write new text with a model.

    What is piped in is its prompt. A model of --lines ends a sample at a line break.
    """
    refuse_contradictions(context)
    if context.args:
        option = "--prompt-file" if os.path.isfile(context.args[0]) else "--prompt"
        raise ConfigError(f"sample continues the text of an option: write {option} {options.written(context.args[0])}")
    if next is not None:
        check_whole("next", next, 1)
    config = SampleConfig(
        temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, repetition_penalty=repetition_penalty,
        length=length, min_length=min_length, stop=tuple(map(escapes.model_text, stop or [])), keep_stop=keep_stop,
        num_samples=num_samples, seed=secrets.randbits(32) if seed is None else seed,
    )  # fmt: skip
    console = Console(quiet)
    context.with_resource(work_shown(quiet))
    text = _read_prompt(prompt, prompt_file, encoding, console, may_be_piped=not_in != "-")
    known = _lines_of(not_in, encoding, console)
    if num_samples:
        end_with_the_pipe()
    loaded = models.load(model, device=device, max_order=max_order, say=console.note)
    start = _encode_prompt(loaded, text, on_unknown, console)
    console.note(about_lines("the prompt", text, loaded))
    for sentence in escapes.doubtful_escapes([prompt, separator, *(stop or [])], loaded.tokenizer):
        console.note(sentence)
    if next is not None:
        _write_next(loaded, text, on_unknown, next, json)
        return
    console.note(f"seed: {config.seed}")
    config = loaded.ending_lines(config)
    _note_settings(config, loaded.tokenizer, console)
    end = None if separator is None else escapes.unescape(separator)
    from rnngen.engine.generation import Newness, draw_samples, stream_text

    shown = "" if no_echo else text
    selects = unique or not_in is not None
    source = loaded.network, loaded.tokenizer, start, config
    with contextlib.suppress(BrokenPipeError):  # an endless stream is ended by its reader, which is no failure
        if not json and not selects and (num_samples == 1 or sys.stdout.isatty()):
            for number in range(num_samples) if num_samples else itertools.count():
                _write_as_it_comes(shown, stream_text(*source, number), end)
            return
        is_new = Newness(text, unique, known).is_new if selects else None
        for number, drawn in enumerate(draw_samples(*source, json, is_new)):
            if json:
                sys.stdout.write(json_line({"sample": number, "seed": config.seed, "prompt": text, **vars(drawn)}))
            else:
                sys.stdout.write(_ended(shown + drawn.text, end))
            sys.stdout.flush()


def _encode_prompt(loaded: models.Model, text: str, on_unknown: OnUnknown, console: Console) -> Prompt:
    from rnngen.tokenizers.prompts import encode_prompt
    from rnngen.tokenizers.unknowns import Unknowns, better_form, conversion

    encoded, unknowns = encode_prompt(loaded.tokenizer, text, on_unknown), Unknowns()
    unknowns.add(encoded.read)
    console.note(unknowns.note("the prompt", on_unknown))
    if not unknowns.count and (form := better_form(loaded.tokenizer, text)):
        console.note(
            f"the prompt is read byte by byte in part; in Unicode form {form} less of it is: {conversion(form)}"
        )
    return encoded


def _note_settings(config: SampleConfig, tokenizer: Tokenizer, console: Console) -> None:
    """Say which settings change nothing with this model, or not what they are meant to change."""
    from rnngen.text.stop_strings import never_met

    for sentence in never_met(config.stop, tokenizer):
        console.note(sentence)
    if config.min_length and not config.stop:
        console.note("--min-length changes nothing: only --length ends a sample of this model; add --stop")
    if config.repetition_penalty != 1 and tokenizer.level in ("char", "byte"):
        console.note(
            f"--repetition-penalty is meant for words and subwords: this model's tokens are {tokenizer.level}s, "
            "which every text repeats"
        )


def _write_next(loaded: models.Model, prompt: str, on_unknown: OnUnknown, n: int, json: bool) -> None:
    from rnngen.tokenizers.fields import token_field

    found = loaded.next(prompt, on_unknown)
    ids = found.most_likely_ids(n)
    if not json:
        field = for_stdout(token_field(loaded.tokenizer))
        rows = [
            [f"{found[id]:.6f}", f"{found.logprob_nats(id):.4f}", f"{found.surprisal_bits(id):.4f}",
             field(found.token(id))]
            for id in ids
        ]  # fmt: skip
        sys.stdout.write(table(["probability", "logprob_nats", "surprisal_bits", "token"], rows))
        return
    for id in ids:
        record = {"prompt": prompt, "token": found.token(id), "id": id, "probability": found[id]}
        logs = {"logprob_nats": found.logprob_nats(id), "surprisal_bits": found.surprisal_bits(id)}
        sys.stdout.write(json_line(record | logs))


def _write_as_it_comes(prompt: str, pieces: Iterable[str], end: str | None) -> None:
    flush = sys.stdout.flush if sys.stdout.isatty() else lambda: None
    last = ""
    for text in itertools.chain([prompt], pieces):
        sys.stdout.write(text)
        flush()
        last = text[-1:] or last
    sys.stdout.write(_ended(last, end)[len(last) :])


def _ended(text: str, end: str | None) -> str:
    """A text with what comes after every sample; without an `end` that is a line break, unless it has one."""
    if end is not None:
        return text + end
    return text if text.endswith("\n") else text + "\n"


def _lines_of(path: str | None, encoding: str, console: Console) -> Iterator[str]:
    """The lines of a file, which is opened at once and read later."""
    if path is None:
        return iter(())
    from rnngen.text.streams import stream_lines

    return itertools.chain.from_iterable(stream_lines([path], encoding, console.note))


def _read_prompt(
    prompt: str | None, prompt_file: str | None, encoding: str, console: Console, *, may_be_piped: bool
) -> str:
    if prompt is not None:
        return escapes.model_text(prompt)
    if prompt_file is None and not (may_be_piped and _is_piped()):
        return ""
    from rnngen.text.prompt_file import read_prompt

    if prompt_file is not None:
        text = read_prompt(prompt_file, encoding, console.note)
        if not text:
            raise DataError(f"the prompt {prompt_file} is empty: leave out --prompt-file")
        return text
    if os.name == "posix" and not select.select([sys.stdin], [], [], PATIENCE)[0]:
        console.note("waiting for a prompt on standard input; --prompt '' does without")
    return read_prompt("-", encoding, console.note)


def _is_piped() -> bool:
    """Whether standard input is a pipe or a file: no terminal, and no device such as /dev/null."""
    if sys.stdin is None:
        return False
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except io.UnsupportedOperation:  # something that stands in for it, as in a notebook
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)
