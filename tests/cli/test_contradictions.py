"""Options that contradict one another: the rules by hand, and the command lines that every command refuses."""

from __future__ import annotations

import importlib
import shlex

import pytest
import typer

from rnngen.cli.app import COMMANDS
from rnngen.cli.contradictions import (
    RULES,
    Alone,
    Excludes,
    Needs,
    exclusive,
    given_options,
    is_given,
    refuse_contradictions,
)
from rnngen.errors import ConfigError


def test_an_option_excludes_each_of_the_others():
    rule = Excludes("--keep", ("--json", "--base 2"), "{option}: not {other}, nor {others}")
    assert rule.error({"--keep": "True", "--base": "10"}) is None
    assert rule.error({"--json": "True", "--base": "2"}) is None
    assert rule.error({"--keep": "True", "--base": "2", "--json": "True"}) == "--keep: not --json, nor --json, --base 2"


def test_an_option_needs_one_of_the_others_perhaps_only_beside_a_third():
    rule = Needs("--best", ("--nbest", "--json"), "{option} needs a list")
    assert rule.error({"--nbest": "moses"}) is None
    assert rule.error({"--best": "True", "--json": "True"}) is None
    assert rule.error({"--best": "True"}) == "--best needs a list"
    beside = Needs("--best", ("--nbest",), "{option} needs a list", beside="--tokens")
    assert beside.error({"--best": "True"}) is None
    assert beside.error({"--best": "True", "--tokens": "True"}) == "--best needs a list"


def test_an_option_that_stands_alone_refuses_everything_but_the_others():
    rule = Alone("--resume", ("--log", "TEXT"), "{option} knows: leave out {others}")
    assert rule.error({"--resume": "a", "--log": "b", "TEXT": "c"}) is None
    assert rule.error({"--steps": "3"}) is None
    assert rule.error({"--resume": "a", "--steps": "3", "--lr": "1"}) == "--resume knows: leave out --lr, --steps"


def test_of_exclusive_options_every_pair_is_refused():
    rules = exclusive("--a", "--b", "--c")
    for one, other in (("--a", "--b"), ("--a", "--c"), ("--b", "--c")):
        errors = [rule.error({one: "True", other: "True"}) for rule in rules]
        assert list(filter(None, errors)) == [f"{one} and {other} contradict each other: leave one out"]
    assert [rule.error({"--b": "True"}) for rule in rules] == [None, None]


def command_of(name: str):
    app = typer.Typer()
    app.command(name)(getattr(importlib.import_module(f"rnngen.cli.{name}"), name))
    return typer.main.get_command(app)


def given(name: str, arguments: str):
    """What a command line gives, without running it."""
    return given_options(command_of(name).make_context(name, shlex.split(arguments)))


def test_options_are_named_as_they_are_written_with_their_values():
    found = given("score", "text.txt --no-header -m a --base 2 --sort perplexity --keep")
    assert found == {"TEXT": "['text.txt']", "--no-header": "False", "--model": "['a']", "--base": "2",
                     "--sort": "perplexity", "--keep": "True"}  # fmt: skip
    assert is_given("--base", found)
    assert is_given("--base 2", found)
    assert not is_given("--base 10", found)
    assert not is_given("--json", found)


def test_a_repeated_option_is_one_of_its_own():
    assert is_given("--model ...", given("score", "-m a -m b"))
    assert not is_given("--model ...", given("score", "-m a"))


def test_every_option_of_a_rule_is_one_of_its_command():
    unknown = []
    for name, rules in RULES.items():
        assert name in COMMANDS
        parameters = command_of(name).params
        known = {option for one in parameters for option in (*one.opts, *one.secondary_opts, one.metavar)}
        named = {
            option
            for rule in rules
            for option in (rule.option, *rule.others, getattr(rule, "beside", None) or "--help")
        }
        unknown += [f"{name}: {option}" for option in named if option.split(" ")[0] not in known | {"--help"}]
    assert unknown == []


REFUSED = [
    ("score --tokens --words", "--tokens and --words contradict each other: leave one out"),
    ("score --keep --color", "--color and --keep contradict each other"),
    ("score --nbest moses --json", "--json does not go with --nbest"),
    ("score --nbest moses --top 3", "--top does not go with --nbest"),
    ("score --classify --no-eos", "--no-eos does not go with --classify"),
    ("score --color --base 2", "--base does not go with --color"),
    ("score --color --format jsonl", "--format jsonl does not go with --color"),
    ("score --keep --json", "--json does not go with --keep"),
    ("score --tokens --format kenlm", "--format kenlm does not go with --tokens"),
    ("score --best", "--best chooses from n-best lists: add --nbest"),
    ("score --weight 2", "--weight is for n-best lists: add --nbest"),
    ("score --nbest srilm --weight 2", "--weight is for choosing the best hypothesis: add --best"),
    ("score --alternatives 3", "--alternatives is shown with --color or --json: add one of them"),
    ("score --alternatives 3 --json --state carry", "--state carry does not go with --alternatives"),
    ("score --json --format srilm", "--json is --format jsonl: leave out --format srilm"),
    ("score --json --format tsv", "--json is --format jsonl: leave out --format tsv"),
    ("score --format jsonl --no-header", "--format jsonl has no header: leave out --no-header"),
    ("score --color --no-header", "--no-header does not go with --color"),
    ("score --classify --alternatives 3 --json", "--alternatives does not go with --classify"),
    ("score --no-bos --state carry", "with --state carry every line follows another: leave out --no-bos"),
    ("score --format kenlm --base 2", "--format kenlm has logarithms to base 10: leave out --base 2"),
    ("score --prefix a --nbest moses", "--nbest does not go with --prefix"),
    ("score --prefix a --classify", "--classify does not go with --prefix"),
    ("score --prefix a --format kenlm", "--format kenlm has no place for --prefix: leave one out"),
    ("score --prefix a --format srilm", "--format srilm has no place for --prefix: leave one out"),
    ("score --prefix a --no-bos", "--prefix stands before every line: leave out --no-bos"),
    ("score --prefix a --state carry", "--prefix stands before every line: leave out --state carry"),
    ("score --prefix a --color --alternatives 3", "--prefix does not go with --alternatives"),
    ("score -m other -m another", "several models: add --classify"),
]


@pytest.mark.parametrize(("line", "said"), REFUSED)
def test_a_command_line_that_contradicts_itself_is_refused_with_the_reason(line, said):
    name, *arguments = shlex.split(line)
    with pytest.raises(ConfigError) as caught:
        refuse_contradictions(command_of(name).make_context(name, arguments))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "line", ["score --json --format jsonl", "score --format kenlm --base 10 --words", "score --state reset --no-bos",
             "score --json --alternatives 2 --tokens", "score --prefix a --no-eos --words --top 3",
             "score --classify --format jsonl -m a -m b"]
)  # fmt: skip
def test_options_that_can_be_meant_together_are_not(line):
    name, *arguments = shlex.split(line)
    refuse_contradictions(command_of(name).make_context(name, arguments))
