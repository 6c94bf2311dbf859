"""`rnngen sample`: text from a model."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from rnngen import models
from rnngen.cli import options
from rnngen.cli.output import Console, end_with_the_pipe, json_line
from rnngen.config import SampleConfig
from rnngen.errors import ConfigError, DataError

if TYPE_CHECKING:
    from rnngen.tokenizers.base import Tokenizer

STREAMS_AT_A_TIME = 64
LONGEST_PROMPT = 1 << 20  # characters; more would take memory and time, and tell a model nothing


def sample(
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
    config = SampleConfig(
        temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, repetition_penalty=repetition_penalty,
        length=length, stop=_unescaped(stop or []), num_samples=num_samples,
        seed=secrets.randbits(32) if seed is None else seed,
    )  # fmt: skip
    console = Console(quiet)
    text = _read_prompt(prompt, prompt_file, encoding)
    end_with_the_pipe()
    from dataclasses import replace

    from rnngen.tokenizers.base import encode_known

    loaded = models.load(model, device=device, say=console.note)
    tokenizer = loaded.tokenizer
    encoded = encode_known(tokenizer, text, on_unknown, "the prompt")
    console.unknowns(encoded.n_unknown, encoded.first_unknown, on_unknown, "the prompt")
    console.note(f"seed: {config.seed}")
    if loaded.checkpoint.training.get("lines"):
        config = replace(config, stop=(*config.stop, "\n"))
    job = _Job(loaded, config, [tokenizer.newline_id, *encoded.ids.tolist()], json)
    shown = "" if no_echo else text
    if json:
        for number, result in enumerate(_samples(job)):
            sys.stdout.write(json_line({"sample": number, "seed": config.seed, "prompt": text, **vars(result)}))
    elif num_samples == 1 or sys.stdout.isatty():
        for number in range(num_samples):
            _stream(job, shown, number)
    else:
        for result in _samples(job):
            whole = shown + result.text
            sys.stdout.write(whole if whole.endswith("\n") else whole + "\n")


@dataclass(frozen=True)
class _Job:
    loaded: models.Model
    config: SampleConfig
    context: list[int]
    json: bool

    @property
    def tokenizer(self) -> Tokenizer:
        return self.loaded.tokenizer


@dataclass
class _Sample:
    """A sample as --json shows it.

    Attributes:
        logprob_nats: of its tokens under the model itself, whatever temperature and truncation drew them.
        stopped_by: "stop" or "length".
    """

    text: str = ""
    n_tokens: int = 0
    logprob_nats: float = 0.0
    stopped_by: str = "length"


def _stream(job: _Job, shown: str, number: int) -> None:
    flush = sys.stdout.flush if sys.stdout.isatty() else lambda: None
    last = shown[-1:]
    sys.stdout.write(shown)
    flush()

    def write(text: str) -> None:
        nonlocal last
        if text:
            sys.stdout.write(text)
            flush()
            last = text[-1]

    _draw_batch(job, [number], write)
    if last != "\n":
        sys.stdout.write("\n")


def _samples(job: _Job) -> Iterator[_Sample]:
    total = job.config.num_samples
    for start in range(0, total, STREAMS_AT_A_TIME):
        yield from _draw_batch(job, list(range(start, min(total, start + STREAMS_AT_A_TIME))))
        sys.stdout.flush()


def _draw_batch(job: _Job, streams: list[int], write: Callable[[str], None] = lambda text: None) -> list[_Sample]:
    """Draw samples side by side; `write` gets the text of each piece as it comes."""
    import numpy as np

    from rnngen.engine.sampling import generate
    from rnngen.text.stop_strings import StopFilter

    decoders = [job.tokenizer.decoder() for _ in streams]
    for decoder in decoders:
        # What the prompt ends with decides, for words, whether a space comes next.
        for id in job.context:
            decoder.push(id)
    filters = [StopFilter(job.config.stop) for _ in streams]
    results = [_Sample() for _ in streams]
    pieces: list[list[str]] = [[] for _ in streams]
    running = set(range(len(streams)))
    never = job.tokenizer.never_drawn
    for drawn in generate(job.loaded.network, np.array(job.context), job.config, streams=streams, never=never):
        logprobs = drawn.logprobs if job.json else None
        for row in sorted(running):
            text = filters[row].push(decoders[row].push(int(drawn.ids[row])))
            pieces[row].append(text)
            write(text)
            results[row].n_tokens += 1
            if logprobs is not None:
                results[row].logprob_nats += float(logprobs[row])
            if filters[row].stopped:
                results[row].stopped_by = "stop"
                running.discard(row)
        if not running:
            break
    for row in sorted(running):
        # What the decoder holds back is part of a character that did not become whole.
        text = filters[row].flush()
        pieces[row].append(text)
        write(text)
    for result, parts in zip(results, pieces, strict=True):
        result.text = "".join(parts)
    return results


def _read_prompt(prompt: str | None, prompt_file: str | None, encoding: str) -> str:
    if prompt is not None and prompt_file is not None:
        raise ConfigError("--prompt and --prompt-file exclude each other: leave one out")
    if prompt_file is None:
        return prompt or ""
    from rnngen.text.corpus import FileText

    parts: list[str] = []
    for chunk in FileText([prompt_file], encoding).chunks():
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
