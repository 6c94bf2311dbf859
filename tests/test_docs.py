"""The documents say what the program does: commands and options exist, links lead somewhere, Python code runs."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from rnngen.cli.app import COMMANDS, app, run

ROOT = Path(__file__).parents[1]
PATHS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("checkpoints/*.md")])
DOCUMENTS = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in PATHS}
README = DOCUMENTS["README.md"]
LONGEST_README = 150
LONGEST_CONTRIBUTING = 160
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


def parse(arguments):
    """Parse as the program does, without running anything."""
    context = GROUP.make_context("rnngen", list(arguments))
    name, command, rest = GROUP.resolve_command(context, list(arguments))
    command.make_context(name, rest, parent=context)


def broken_command_lines(text):
    """The command lines of a document that the program does not understand, with the reason."""
    for arguments in command_lines(text):
        if {"-h", "--help", "--version"} & set(arguments):
            continue
        try:
            parse(arguments)
        except (typer.TyperException, SystemExit) as error:
            yield f"rnngen {shlex.join(arguments)}: {error}"


def test_every_command_line_of_the_documents_parses():
    assert [f"{name}: {line}" for name, text in DOCUMENTS.items() for line in broken_command_lines(text)] == []


@pytest.mark.parametrize("line", ["train --stepz 3", "sing", "sample --temp hot", "x | rnngen info a b"])
def test_a_command_line_that_is_wrong_is_found(line):
    line = line if "|" in line else f"rnngen {line}"
    assert len(list(broken_command_lines(f"```sh\n{line}\n```\n"))) == 1


def test_the_list_of_commands_says_what_their_own_help_says_first():
    assert [name for name, text in COMMANDS.items() if not GROUP.commands[name].help.startswith(text.rstrip("."))] == []


@pytest.mark.parametrize("document", ["README.md", "docs/commands.md"])
def test_every_command_is_shown(document):
    shown = {arguments[0] for arguments in command_lines(DOCUMENTS[document])}
    assert shown == set(GROUP.commands)
    if document == "README.md":
        assert [name for name in GROUP.commands if f"\n| `rnngen {name}" not in README] == [], "its table lacks them"


def parameters():
    return [(name, parameter) for name, command in GROUP.commands.items() for parameter in command.params]


def test_the_documents_name_no_option_that_does_not_exist():
    known = {option for _, parameter in [*parameters(), *(("", parameter) for parameter in GROUP.params)]
             for option in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}  # fmt: skip
    assert known > {"--model", "--json"}
    unknown = []
    for name, text in DOCUMENTS.items():
        others = re.findall(r"`(?:pip|make|git|python|gdb|valgrind)[^`\n]*`", text)  # options of other programs
        options = set(re.findall(r"`(?:rnngen |train |sample |score |tokenize |perplexity )?(--[a-z][a-z-]*)", text))
        unknown += [f"{name}: {option}" for option in sorted(options - known) if not any(option in o for o in others)]
    assert unknown == []


def test_every_option_and_argument_has_a_help_text_that_ends_with_a_full_stop():
    assert [f"{command} {parameter.name}" for command, parameter in parameters()
            if not (parameter.help or "").rstrip().endswith(".")] == []  # fmt: skip


@pytest.mark.parametrize("document", [name for name in DOCUMENTS if code_blocks(DOCUMENTS[name], "python")])
def test_the_python_of_a_document_runs(document, tmp_path, monkeypatch):
    """In order, in one namespace and one folder, beside a small checkpoint under each name that the code reads."""
    monkeypatch.chdir(tmp_path)
    blocks = code_blocks(DOCUMENTS[document], "python")
    (tmp_path / "text.txt").write_text("the bell is slow to wake\n" * 20)
    for path in sorted(set(re.findall(r"[\"'](\S+\.safetensors)[\"']", "".join(blocks)))):
        assert run(["train", "text.txt", "-o", path, "--steps", "1", "--hidden-size", "8", "--threads", "1", "-q"]) == 0
    namespace = {}
    for block in blocks:
        exec(compile(block, document, "exec"), namespace)


def headings(text):
    """The anchors of a document's headings."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            for heading in re.findall(r"^#+ +(.*)$", text, re.MULTILINE)}  # fmt: skip


def broken_links(name, text):
    """The relative links of a document that lead to no file or no heading."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    targets = re.findall(r"\]\(<?([^)\s>]+)", text) + re.findall(r"^\[[^\]]+\]: *(\S+)", text, re.MULTILINE)
    for target in targets:
        if re.match(r"[a-z]+:", target):
            continue
        path, _, place = target.partition("#")
        file = ((ROOT / name).parent / path).resolve() if path else ROOT / name
        is_there = file.exists() and (not place or place in headings(file.read_text("utf-8")))
        if not is_there:
            yield f"{name}: {target}"


def test_every_relative_link_leads_to_a_file_or_a_heading():
    assert [link for name, text in DOCUMENTS.items() for link in broken_links(name, text)] == []
    assert list(broken_links("README.md", "[a](docs/none.md) [b](README.md#none) [c](README.md#five-minutes)")) == [
        "README.md: docs/none.md",
        "README.md: README.md#none",
    ]


def test_the_documents_a_reader_looks_for_exist_and_the_readme_leads_to_the_rest():
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md"} <= set(DOCUMENTS)
    assert [name for name in DOCUMENTS if name.startswith("docs/") and f"({name})" not in README] == []
    assert (ROOT / "LICENSE").read_text("utf-8").startswith("MIT License")


def test_readme_and_contributing_can_be_read_in_one_sitting():
    assert len(README.splitlines()) <= LONGEST_README
    assert len(DOCUMENTS["CONTRIBUTING.md"].splitlines()) <= LONGEST_CONTRIBUTING
