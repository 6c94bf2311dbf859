"""The documents say what the program does: commands and options exist, links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from rnngen.cli.app import COMMANDS, app, run

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(ROOT.glob("*.md"))
README = (ROOT / "README.md").read_text("utf-8")
GROUP = typer.main.get_command(app)
_PUNCTUATION = set("|;&<>()")


def code_blocks(text, language=r"[^\n]*"):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def command_lines(text):
    """Every `rnngen ...` in the code blocks, as its words, without prompts, pipes, redirections and variables."""
    for block in code_blocks(text):
        for line in block.replace("\\\n", " ").splitlines():
            if not re.match(r"(\$ )?([A-Za-z_]\w*=\S* )*([^#\n]*\| *)?(\.venv/bin/)?(rnngen|python -m rnngen) ", line):
                continue
            lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars=True)
            lexer.whitespace_split = True
            part: list[str] = []
            for word in [*lexer, ";"]:
                if set(word) <= _PUNCTUATION:
                    names = [Path(name).name for name in part]
                    if "rnngen" in names:
                        yield part[names.index("rnngen") + 1 :]
                    part = []
                else:
                    part.append(word)


README_COMMANDS = list(command_lines(README))


def parse(arguments):
    """Parse as the program does, without running anything."""
    context = GROUP.make_context("rnngen", list(arguments))
    name, command, rest = GROUP.resolve_command(context, list(arguments))
    command.make_context(name, rest, parent=context)


@pytest.mark.parametrize("arguments", README_COMMANDS or [["--help"]], ids=" ".join)
def test_every_command_line_of_the_readme_parses(arguments):
    assert README_COMMANDS, "the README shows no command line"
    if not {"-h", "--help", "--version"} & set(arguments):
        parse(arguments)


@pytest.mark.parametrize(
    "arguments", [["train", "--stepz", "3"], ["sing"], ["sample", "--temp", "hot"], ["info", "a", "b"]]
)
def test_a_command_line_that_is_wrong_would_be_found(arguments):
    with pytest.raises(typer.TyperException):
        parse(arguments)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_their_own_help_begins_with(name):
    assert GROUP.commands[name].help.startswith(COMMANDS[name].removesuffix("."))


@pytest.mark.parametrize("name", GROUP.commands)
def test_the_readme_shows_every_command(name):
    assert re.search(rf"^\|[^|\n]*\b{name}\b[^\n]*\|", README, re.MULTILINE), "its table of commands lacks it"
    assert any(arguments[:1] == [name] for arguments in README_COMMANDS), "no code block uses it"


def test_the_readme_names_no_option_that_does_not_exist():
    known = {option for command in GROUP.commands.values() for parameter in command.params
             for option in (*parameter.opts, *parameter.secondary_opts)} | {"--help", "--version"}  # fmt: skip
    shown = set(re.findall(r"`(--[a-z][a-z-]*)", README))
    others = set(re.findall(r"`(?:pip|make|git)[^`\n]*`", README))
    assert {option for option in shown if not any(option in other for other in others)} <= known
    assert known > {"--model", "--json"}


@pytest.mark.parametrize("block", code_blocks(README, "python"))
def test_the_python_of_the_readme_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("the bell is slow to wake\n" * 20)
    for path in re.findall(r"[\"'](\S+\.safetensors)[\"']", block):
        assert run(["train", "text.txt", "-o", path, "--steps", "1", "--hidden-size", "8", "--threads", "1", "-q"]) == 0
    exec(compile(block, "README.md", "exec"), {})


@pytest.mark.parametrize(
    ("command", "parameter"),
    [(name, parameter.name) for name, command in GROUP.commands.items() for parameter in command.params],
)
def test_every_option_and_argument_has_a_help_text(command, parameter):
    [found] = [entry for entry in GROUP.commands[command].params if entry.name == parameter]
    assert found.help
    assert found.help.rstrip().endswith(".")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_relative_link_leads_to_a_file(document):
    text = re.sub(r"^```.*?^```", "", document.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    targets = re.findall(r"\]\(<?([^)\s>]+)", text) + re.findall(r"^\[[^\]]+\]: *(\S+)", text, re.MULTILINE)
    headings = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
                for heading in re.findall(r"^#+ +(.*)$", text, re.MULTILINE)}  # fmt: skip
    for target in targets:
        if re.match(r"[a-z]+:", target):
            continue
        path, _, place = target.partition("#")
        assert not path or (document.parent / path).exists(), target
        assert path or place in headings, target


def test_the_documents_a_reader_looks_for_exist():
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md"} <= {path.name for path in DOCUMENTS}
    assert (ROOT / "LICENSE").read_text("utf-8").startswith("MIT License")
