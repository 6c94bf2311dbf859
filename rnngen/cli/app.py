"""The command `rnngen`: its subcommands, and the one place where errors become a line and an exit code."""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any

import typer
import typer.core
import typer.main

from rnngen import __version__
from rnngen.cli.out_of_memory import MESSAGE as OUT_OF_MEMORY
from rnngen.cli.out_of_memory import has_room, is_out_of_memory, take_blas_memory
from rnngen.cli.output import drop_closed_stderr, drop_stdout, use_utf8
from rnngen.errors import RnngenError, brief

# The commands, and what `rnngen --help` says of them: the first sentence of their own help. The command NAME is the
# function of that name in `NAME.py`.
COMMANDS = {
    "train": "Train a model on a text.",
    "sample": "Write new text with a model.",
    "score": "How likely each line is: one record a line, in order.",
    "perplexity": "How well a model predicts a text.",
    "fill": "What is missing in the gaps of lines.",
    "tag": "A tag for each word.",
    "tokenize": "Show a text as tokens, line by line.",
    "info": "What is in a checkpoint.",
    "export": "The counts of a model as an ARPA file, which KenLM and SRILM read.",
    "models": "The checkpoints in a folder, the newest first.",
}
INTERRUPTED = "interrupted"
PLAIN: dict[str, Any] = {
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
    "add_completion": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}


class _OnDemand(Mapping[str, Any]):
    """The commands by name, each made when it is asked for: making all of them takes longer than a short command."""

    def __getitem__(self, name: str) -> Any:
        if name not in COMMANDS:
            raise KeyError(name)
        module = importlib.import_module(f"rnngen.cli.{name}")
        alone = typer.Typer(**PLAIN)
        settings = PLAIN["context_settings"] | getattr(module, "CONTEXT_SETTINGS", {})
        alone.command(name, context_settings=settings)(getattr(module, name))
        return typer.main.get_command(alone)

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class _InterruptedError(RnngenError):
    exit_code = 130


class _Group(typer.core.TyperGroup):
    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _OnDemand()  # type: ignore[assignment]

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:  # typer would end the process without a message
            raise _InterruptedError(INTERRUPTED) from None

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


app = typer.Typer(
    name="rnngen",
    cls=_Group,
    help="Train a small recurrent language model on your text; sample, score and measure with it.",
    epilog="Start with: rnngen train TEXT, then: rnngen sample --temp 0.8",
    **PLAIN | {"add_completion": True},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"rnngen {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


def main() -> None:
    """The entry point of the command."""
    code = run(sys.argv[1:])
    drop_closed_stderr()
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code."""
    use_utf8()
    if sys.stdout is None:
        return _fail("standard output is closed: there is nowhere to write to", 1)
    computes = _runs_a_command(arguments)
    if computes and not has_room(torch=arguments[0] == "train"):
        return _fail("out of memory before the start: the limit of this process (ulimit -v) is too low, raise it", 1)
    try:
        if computes:
            take_blas_memory()
        code = app(args=list(arguments), prog_name="rnngen", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except RnngenError as error:
        return _fail(str(error), error.exit_code)
    except typer.TyperException as error:
        return _usage_error(error, arguments)
    except (KeyboardInterrupt, typer.Abort):
        return _fail(INTERRUPTED, 130)
    except BrokenPipeError:
        drop_stdout()
        return 0
    except OSError as error:
        drop_stdout()
        if is_out_of_memory(error):
            return _fail(OUT_OF_MEMORY, 1)
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
            return _fail(f"cannot write: {error.strerror}; free some space or write elsewhere", 1)
        return _fail(str(error), 1)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return _fail(OUT_OF_MEMORY, 1)


def _runs_a_command(arguments: Sequence[str]) -> bool:
    """Whether a command will compute something, and not only print its help."""
    return bool(arguments) and arguments[0] in COMMANDS and not {"-h", "--help"} & set(arguments)


def _usage_error(error: typer.TyperException, arguments: Sequence[str]) -> int:
    context = getattr(error, "ctx", None)
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    message = " ".join(message.split()).removesuffix(".").replace("Value error, ", "")
    options = getattr(getattr(error, "param", None), "opts", [])
    for option, value in pairwise(arguments):
        if option in options and brief(value) not in message:
            message += f", and {option} has {brief(value)}"
    # An option without its value has no context.
    known = f"rnngen {arguments[0]}" if arguments[0] in COMMANDS else "rnngen"
    command = context.command_path if context is not None else known
    return _fail(message + (" See " if message.endswith("?") else ": see ") + f"{command} --help", 2)


def _fail(message: str, code: int) -> int:
    if os.environ.get("RNNGEN_DEBUG") == "1" and sys.exc_info()[0]:
        raise
    # The terminal may be closed; the exit code still reports the failure.
    with contextlib.suppress(OSError):
        print("rnngen: " + " ".join(message.split("\n")), file=sys.stderr, flush=True)
    return code
