"""Which options of a command contradict one another: one table for all commands, and the check that reads it.

A command calls `refuse_contradictions(context)` before anything else. To add a fact, add one entry to the command's
rules in `RULES`; the first entry that a command line breaks is the error. There are three kinds of entry:

    Excludes("--keep", ("--json", "--base"))                both together mean nothing
    Needs("--best", ("--nbest",), "... add --nbest")        the first means nothing without one of the others
    Alone("--resume", ("--log", "--quiet"), "... {others}") nothing else may be given beside the first

Options are named as they are written: `--no-header`; `--state carry` for one value only; `--model ...` where the
option is repeated; an argument by its metavar (`TEXT`). An option counts when the command line gives it, also with its
default value. What depends on a number, or holds for Python users too, belongs into the checks of `config.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import typer

from rnngen.errors import ConfigError

REPEATED = "..."

Given = Mapping[str, str]  # options that the command line gives, and their values; REPEATED for several values


@dataclass(frozen=True)
class Excludes:
    """An option that none of the others can be given with.

    Attributes:
        message: `{option}` stands for the option, `{other}` for the first of the others that is given, `{others}` for
            all of them that are.
    """

    option: str
    others: tuple[str, ...]
    message: str = "{other} does not go with {option}: leave one out"

    def error(self, given: Given) -> str | None:
        """What is wrong; None where nothing is."""
        found = [other for other in self.others if is_given(other, given)]
        if not found or not is_given(self.option, given):
            return None
        return self.message.format(option=self.option, other=found[0], others=", ".join(found))


@dataclass(frozen=True)
class Needs:
    """An option that means nothing without one of the others.

    Attributes:
        message: `{option}` stands for the option.
        beside: the rule holds only where this option is given.
    """

    option: str
    others: tuple[str, ...]
    message: str
    beside: str | None = None

    def error(self, given: Given) -> str | None:
        """What is wrong; None where nothing is."""
        holds = self.beside is None or is_given(self.beside, given)
        if not holds or not is_given(self.option, given) or any(is_given(other, given) for other in self.others):
            return None
        return self.message.format(option=self.option)


@dataclass(frozen=True)
class Alone:
    """An option beside which only the others can be given.

    Attributes:
        message: `{option}` stands for the option, `{others}` for all that cannot be given with it.
    """

    option: str
    others: tuple[str, ...]
    message: str

    def error(self, given: Given) -> str | None:
        """What is wrong; None where nothing is."""
        wrong = sorted(given.keys() - {self.option, *self.others})
        if not wrong or not is_given(self.option, given):
            return None
        return self.message.format(option=self.option, others=", ".join(wrong))


Rule = Excludes | Needs | Alone


def is_given(name: str, given: Given) -> bool:
    """Whether a command line gives an option (`--state`), or an option with one value (`--state carry`)."""
    option, _, value = name.partition(" ")
    return option in given and value in ("", given[option])


def given_options(context: typer.Context) -> Given:
    """The options and arguments that the command line gives, under the names that a rule has for them."""
    found = {}
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is None or source.name != "COMMANDLINE":
            continue
        value = context.params[parameter.name or ""]
        written = parameter.secondary_opts if value is False else parameter.opts
        long = [option for option in written if option.startswith("--")]
        name = long[0] if long else str(parameter.metavar)
        is_repeated = isinstance(value, (list, tuple)) and len(value) > 1
        found[name] = REPEATED if is_repeated else str(value)
    return found


def refuse_contradictions(context: typer.Context) -> None:
    """Check the command line of a command against its rules.

    Raises:
        ConfigError: options that cannot be meant together.
    """
    given = given_options(context)
    for rule in RULES[context.command.name or ""]:
        error = rule.error(given)
        if error is not None:
            raise ConfigError(error)


def exclusive(*options: str) -> tuple[Excludes, ...]:
    """Options of which at most one can be given."""
    message = "{option} and {other} contradict each other: leave one out"
    return tuple(Excludes(option, options[place + 1 :], message) for place, option in enumerate(options[:-1]))


# Options of `score`.
JSON = ("--json", "--format jsonl")
OTHER_TOOLS = ("--format kenlm", "--format srilm")
CHOICE = ("--max-perplexity", "--min-logprob", "--sort", "--top")
BOUNDARIES = ("--no-bos", "--no-eos", "--state carry")
# Options of `perplexity`.
ADAPTIVE = ("--cache", "--dynamic")

# Options of `sample`.
DRAWING = (
    "--temp", "--top-k", "--top-p", "--min-p", "--repetition-penalty", "--length", "--min-length", "--stop",
    "--keep-stop", "--num-samples", "--unique", "--not-in", "--separator", "--seed", "--no-echo",
)  # fmt: skip
# Options of `train` and `tokenize`.
NEW_VOCABULARY = ("--level", "--min-count", "--split", "--subword-model", "--vocab-size")
SIZES = (
    "--cell",
    "--bidirectional",
    "--embedding-dim",
    "--hidden-size",
    "--nonlinearity",
    "--num-layers",
    "--tie-weights",
)
OF_NETWORKS = (
    *SIZES[1:], "--batch-size", "--bptt", "--device", "--dropout", "--epochs", "--grad-clip", "--init-from", "--lr",
    "--optimizer", "--patience", "--precision", "--save-every", "--seed", "--steps", "--threads", "--time",
    "--weight-decay", "--weight-drop", "--ngram-order none", "--tags",
)  # fmt: skip

RULES: dict[str, tuple[Rule, ...]] = {
    "train": (
        Alone(
            "--resume",
            ("TEXT", "--valid", "--log", "--cache-dir", "--save-every", "--quiet"),
            "{option} goes on with the settings that the run has: leave out {others}",
        ),
        Excludes("--tokenizer", NEW_VOCABULARY, "{option} brings its own vocabulary: leave out {others}"),
        Excludes("--cell none", OF_NETWORKS, "{option} trains no network, it counts: leave out {others}"),
        Excludes(
            "--tags",
            ("--init-from", "--tokenizer", "--bptt", "--device cuda", "--bidirectional", *NEW_VOCABULARY),
            "{option} reads words and their characters, in both directions: leave out {others}",
        ),
        Excludes("--init-from", SIZES, "{option} brings the sizes of its model: leave out {others}"),
        *(
            Needs(option, ("--level",), "{option} is for a new vocabulary: add --level to --init-from", "--init-from")
            for option in NEW_VOCABULARY
        ),
        Excludes(
            "--valid", ("--valid-fraction", "--valid-part"), "{option} and {other} exclude each other: leave one out"
        ),
    ),
    "score": (
        *exclusive("--nbest", "--classify", "--color", "--keep", "--tokens", "--words"),
        Excludes("--nbest", (*BOUNDARIES, *CHOICE, *JSON, *OTHER_TOOLS, "--base", "--no-header")),
        Excludes("--classify", ("--alternatives", *BOUNDARIES, *CHOICE, *OTHER_TOOLS, "--base")),
        Excludes("--color", (*JSON, *OTHER_TOOLS, "--base", "--no-header")),
        Excludes("--keep", (*JSON, *OTHER_TOOLS, "--alternatives", "--base", "--no-header")),
        Excludes("--tokens", OTHER_TOOLS),
        Needs("--best", ("--nbest",), "{option} chooses from n-best lists: add --nbest"),
        Needs("--weight", ("--nbest",), "{option} is for n-best lists: add --nbest"),
        Needs("--feature", ("--nbest moses",), "{option} names a score in a list of Moses: add --nbest moses"),
        Needs("--weight", ("--best",), "{option} is for choosing the best hypothesis: add --best"),
        Needs("--alternatives", ("--color", *JSON), "{option} is shown with --color or --json: add one of them"),
        Excludes("--alternatives", ("--no-bos", "--state carry", "--prefix")),
        Excludes("--prefix", ("--nbest", "--classify")),
        Excludes("--prefix", OTHER_TOOLS, "{other} has no place for {option}: leave one out"),
        Excludes("--prefix", ("--no-bos", "--state carry"), "{option} stands before every line: leave out {other}"),
        Excludes("--json", ("--format tsv", *OTHER_TOOLS), "--json is --format jsonl: leave out {other}"),
        Excludes("--no-header", (*JSON, *OTHER_TOOLS), "{other} has no header: leave out --no-header"),
        Excludes("--state carry", ("--no-bos",), "with --state carry every line follows another: leave out --no-bos"),
        *(
            Excludes(f"--base {base}", OTHER_TOOLS, "{other} has logarithms to base 10: leave out {option}")
            for base in ("e", "2")
        ),
        Needs("--classify", ("--model ...",), "{option} compares models: name two or more, each with -m"),
        Needs("--model ...", ("--classify",), "several models: add --classify, or compare them with rnngen perplexity"),
    ),
    "perplexity": (
        Excludes("--context", (*ADAPTIVE, "--mix", "--state reset")),
        Excludes("--context", ("--model ...",), "--context does not go with several models: leave one out"),
        *(
            Excludes(option, ("--state reset",), "{option} learns from the text before a line: leave out {other}")
            for option in ADAPTIVE
        ),
        *(
            Excludes(option, ("--device cuda",), "{option} runs on the processor: leave out {other}")
            for option in ADAPTIVE
        ),
        Needs(
            "--tune", (*ADAPTIVE, "--mix"), "--tune chooses settings of --cache, --dynamic or --mix: add one of them"
        ),
        Needs("--lambda", ("--mix",), "{option} is the weight of an n-gram model: add --mix"),
        Excludes("--lambda", ("--tune",), "--lambda and --tune exclude each other: the weight is given or tuned"),
    ),
    "sample": (
        Excludes("--prompt", ("--prompt-file",), "{option} and {other} exclude each other: leave one out"),
        Excludes("--prompt-file -", ("--not-in -",), "- is given twice: standard input can be read once"),
        Excludes(
            "--next", DRAWING, "{option} shows the model's own probabilities and draws nothing: leave out {others}"
        ),
        Excludes("--separator", ("--json",), "JSON lines end at line breaks: leave out {option}"),
    ),
    "tokenize": (
        Alone("--clear-cache", ("--cache-dir", "--quiet"), "{option} goes with --cache-dir only: leave out {others}"),
        Needs(
            "--cache-dir", ("--clear-cache",), "{option} is for --clear-cache here: tokenize prints, and keeps nothing"
        ),
        *(
            Excludes(option, others, "--ids, --lmplz, --decode and --stats exclude each other: give one of them")
            for option, others in (
                ("--ids", ("--lmplz", "--decode", "--stats")),
                ("--lmplz", ("--decode", "--stats")),
                ("--decode", ("--stats",)),
            )
        ),
        Excludes("--decode", ("--json",), "{option} prints text: leave out {other}"),
        Excludes("--lmplz", ("--json",), "{option} prints text: leave out {other}"),
        *(
            Excludes(option, others, "{option} and {others} exclude each other: a tokenizer has one origin")
            for option, others in (("--model", ("--tokenizer", *NEW_VOCABULARY)), ("--tokenizer", NEW_VOCABULARY))
        ),
        Needs(
            "--decode",
            ("--model", "--tokenizer", "--level byte"),
            "{option} needs the tokenizer that made the ids: add --model, --tokenizer or --level byte",
        ),
    ),
    "tag": (
        *exclusive("--json", "--format"),
        *exclusive("--measure", "--format"),
        *exclusive("--measure", "--probabilities"),
        Excludes("--no-header", (*JSON, "--format slash", "--measure"), "{other} has no header: leave out --no-header"),
    ),
    "info": (Excludes("CHECKPOINT", ("--model",), "the checkpoint is named twice: leave out {other}"),),
}
