"""`rnngen sample`: text from a model."""

from __future__ import annotations

import itertools
import secrets
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from rnngen import models
from rnngen.cli import options
from rnngen.cli.contradictions import refuse_contradictions
from rnngen.cli.output import Console, end_with_the_pipe
from rnngen.cli.work_bar import work_shown
from rnngen.config import OnUnknown, SampleConfig
from rnngen.errors import DataError
from rnngen.storage.json_lines import json_line

if TYPE_CHECKING:
    from rnngen.tokenizers.prompts import Prompt

LONGEST_PROMPT = 1 << 20  # characters; more would take memory and time, and tell a model nothing


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
        typer.Option("--repetition-penalty", metavar="X", help="Above 1, tokens among the last 64 become less likely."),
    ] = SampleConfig.repetition_penalty,
    prompt: Annotated[str | None, typer.Option("--prompt", metavar="TEXT", help="Text to continue.")] = None,
    prompt_file: Annotated[
        str | None,
        typer.Option("--prompt-file", metavar="FILE", help="Text to continue, from a file; - is standard input."),
    ] = None,
    length: Annotated[
        int, typer.Option("--length", metavar="N", help="Largest number of new tokens.")
    ] = SampleConfig.length,
    stop: Annotated[
        list[str] | None,
        typer.Option(
            "--stop",
            metavar="STRING",
            help="End before this string; repeat it for several. A model of --lines also ends at a line break.",
        ),
    ] = None,
    num_samples: Annotated[
        int, typer.Option("-n", "--num-samples", metavar="N", help="Number of samples.")
    ] = SampleConfig.num_samples,
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
    """Write new text with a model."""
    refuse_contradictions(context)
    config = SampleConfig(
        temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, repetition_penalty=repetition_penalty,
        length=length, stop=_unescaped(stop or []), num_samples=num_samples,
        seed=secrets.randbits(32) if seed is None else seed,
    )  # fmt: skip
    console = Console(quiet)
    context.with_resource(work_shown(quiet))
    text = _read_prompt(prompt, prompt_file, encoding, console)
    end_with_the_pipe()
    loaded = models.load(model, device=device, say=console.note)
    start = _encode_prompt(loaded, text, on_unknown, console)
    console.note(f"seed: {config.seed}")
    config = loaded.ending_lines(config)
    from rnngen.engine.generation import STREAMS_AT_A_TIME, draw_samples, stream_text

    shown = "" if no_echo else text
    if not json and (num_samples == 1 or sys.stdout.isatty()):
        for number in range(num_samples):
            _write_as_it_comes(shown, stream_text(loaded.network, loaded.tokenizer, start, config, number))
        return
    for number, drawn in enumerate(draw_samples(loaded.network, loaded.tokenizer, start, config, json), 1):
        if json:
            sys.stdout.write(json_line({"sample": number - 1, "seed": config.seed, "prompt": text, **vars(drawn)}))
        else:
            whole = shown + drawn.text
            sys.stdout.write(whole if whole.endswith("\n") else whole + "\n")
        if number % STREAMS_AT_A_TIME == 0:
            sys.stdout.flush()


def _encode_prompt(loaded: models.Model, text: str, on_unknown: OnUnknown, console: Console) -> Prompt:
    from rnngen.tokenizers.prompts import encode_prompt
    from rnngen.tokenizers.unknowns import Unknowns

    encoded, unknowns = encode_prompt(loaded.tokenizer, text, on_unknown), Unknowns()
    unknowns.add(encoded.read)
    console.note(unknowns.note("the prompt", on_unknown))
    return encoded


def _write_as_it_comes(prompt: str, pieces: Iterable[str]) -> None:
    flush = sys.stdout.flush if sys.stdout.isatty() else lambda: None
    last = ""
    for text in itertools.chain([prompt], pieces):
        sys.stdout.write(text)
        flush()
        last = text[-1:] or last
    if last != "\n":
        sys.stdout.write("\n")


def _read_prompt(prompt: str | None, prompt_file: str | None, encoding: str, console: Console) -> str:
    if prompt_file is None:
        return prompt or ""
    from rnngen.text.corpus import FileText

    parts: list[str] = []
    for chunk in FileText([prompt_file], encoding, console.note).chunks():
        parts.append(chunk)
        if sum(map(len, parts)) > LONGEST_PROMPT:
            raise DataError(
                f"the prompt {prompt_file} has more than {LONGEST_PROMPT:,} characters: give its end (tail -c)"
            )
    if not parts:
        raise DataError(f"the prompt {prompt_file} is empty: leave out --prompt-file")
    return "".join(parts)


def _unescaped(stops: list[str]) -> tuple[str, ...]:
    """A shell has no easy way to write a line break or a tab: \\n and \\t stand for them."""
    return tuple(stop.replace("\\n", "\n").replace("\\t", "\t") for stop in stops)
