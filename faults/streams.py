"""Standard streams that are closed, end at once, or are not read to the end: a quiet end or one line."""

from __future__ import annotations

from random import Random

from faults.outcome import Outcome
from faults.processes import (
    MODEL,
    TEXT,
    Ended,
    Place,
    Trial,
    campaign,
    end_of,
    expect,
    expect_end,
    expect_refusal,
    some,
    whole,
    write_model,
)

_OF_MODEL = ("-m", f"./{MODEL}", "-q")
# Every command, with much to say.
_COMMANDS: dict[str, tuple[str, ...]] = {
    "score": ("score", TEXT, "--tokens", *_OF_MODEL),
    "sample": ("sample", "--length", "3000", *_OF_MODEL),
    "perplexity": ("perplexity", TEXT, *_OF_MODEL),
    "tokenize": ("tokenize", TEXT, "-q"),
    "info": ("info", f"./{MODEL}", "-q"),
    "train": (
        "train",
        TEXT,
        "--steps",
        "3",
        "--hidden-size",
        "8",
        "--threads",
        "1",
        "--force",
        "-o",
        f"./{MODEL}",
        "-q",
    ),
}
_READERS: dict[str, tuple[str, ...]] = {
    "score -": ("score", "-", *_OF_MODEL),
    "tokenize -": ("tokenize", "-", "-q"),
    "perplexity -": ("perplexity", "-", *_OF_MODEL),
    "sample --prompt-file -": ("sample", "--prompt-file", "-", *_OF_MODEL),
    "train -": ("train", "-", "--steps", "3", "-o", "./other.safetensors", "-q"),
}


def streams_closed(scale: float, seed: int) -> Outcome:
    """stdout, stderr and stdin of every command, closed before or while it runs."""
    return campaign("streams-closed", some(_trials(), scale), seed)


def _trials() -> list[Trial]:
    """Of every fault first the first command, then the second: a small part of them has some of each."""
    faults = (_stdout_closed, _head, _stderr_closed)
    return [
        *(fault(name) for name in _COMMANDS for fault in faults),
        *(fault(name) for name in _READERS for fault in (_stdin_ended, _stdin_closed)),
    ]


def _stdout_closed(name: str) -> Trial:
    def attempt(place: Place, random: Random) -> None:
        write_model(place)
        expect_refusal(place.run(*_COMMANDS[name], after=">&-"), "standard output")
        whole(place.model)

    return f"{name} >&-", attempt


def _head(name: str) -> Trial:
    def attempt(place: Place, random: Random) -> None:
        write_model(place)
        with place.started(*_COMMANDS[name]) as process:
            assert process.stdout is not None
            first = process.stdout.read(1)
            process.stdout.close()
            process.stdout = None
            ended = end_of(process)
        expect(first, f"it has printed nothing: {ended.err[-200:]!r}")
        expect_end(ended, 0, -13)  # SIGPIPE
        expect(not ended.err, f"it complains: {ended.err[-200:]!r}")
        whole(place.model)

    return f"{name} | head -c 1", attempt


def _stderr_closed(name: str) -> Trial:
    def attempt(place: Place, random: Random) -> None:
        write_model(place)
        # Not quiet: what it would say must go nowhere, not to a file that happens to have that number.
        loud = [part for part in _COMMANDS[name] if part != "-q"]
        said, silent = place.run(*loud), place.run(*loud, after="2>&-")
        expect_end(silent, 0)
        expect(name == "sample" or said.out == silent.out, "stdout is another with stderr closed")
        expect(silent.out, "it has printed nothing")
        whole(place.model)

    return f"{name} 2>&-", attempt


def _stdin_ended(name: str) -> Trial:
    def attempt(place: Place, random: Random) -> None:
        write_model(place)
        _expect_result_or_line(place.run(*_READERS[name]))

    return f"{name} < /dev/null", attempt


def _stdin_closed(name: str) -> Trial:
    def attempt(place: Place, random: Random) -> None:
        write_model(place)
        expect_refusal(place.run(*_READERS[name], after="<&-"), "standard input")

    return f"{name} <&-", attempt


def _expect_result_or_line(ended: Ended) -> None:
    if ended.code:
        expect_refusal(ended)
    else:
        expect_end(ended, 0)
        expect(not ended.err, f"it ends well and complains: {ended.err!r}")
