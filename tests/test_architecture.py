"""The rules of the code: which way imports run, and the sizes and docstrings of files and functions."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import rnngen

ROOT = Path(rnngen.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
LONGEST_FILE, LONGEST_FUNCTION = 350, 60

# What each package may import besides itself. Each may import from those above it.
LOWEST = {
    "rnngen.errors", "rnngen.checks", "rnngen.config", "rnngen.shapes", "rnngen.cores", "rnngen.native",
    "rnngen.printable", "rnngen.work",
}  # fmt: skip
STORAGE = LOWEST | {"rnngen.storage"}
TOKENIZERS = STORAGE | {"rnngen.tokenizers"}
TEXT = TOKENIZERS | {"rnngen.text"}
COUNTS = TEXT | {"rnngen.counts"}
CHECKPOINT = COUNTS | {"rnngen.checkpoint"}
ENGINE = CHECKPOINT | {"rnngen.engine"}
TRAINING = ENGINE | {"rnngen.training"}
EVALUATE = TRAINING | {"rnngen.evaluate"}
RUNS = EVALUATE | {"rnngen.runs", "rnngen.models", "rnngen.runners", "rnngen.uses", "rnngen"}
MAY_IMPORT = {
    "rnngen": RUNS,
    "rnngen.errors": set(),
    "rnngen.checks": {"rnngen.errors"},
    "rnngen.config": {"rnngen.checks", "rnngen.errors", "rnngen.shapes"},
    "rnngen.shapes": set(),
    "rnngen.cores": set(),
    "rnngen.native": {"rnngen.errors"},
    "rnngen.printable": set(),
    "rnngen.work": set(),
    "rnngen.storage": LOWEST,
    "rnngen.tokenizers": STORAGE,
    "rnngen.text": TOKENIZERS,
    "rnngen.counts": TEXT,
    "rnngen.checkpoint": COUNTS,
    "rnngen.engine": CHECKPOINT,
    "rnngen.training": ENGINE,
    "rnngen.evaluate": TRAINING,
    "rnngen.models": RUNS,
    "rnngen.runners": EVALUATE,
    "rnngen.uses": RUNS,
    "rnngen.runs": RUNS,
    "rnngen.cli": RUNS,
    "rnngen.__main__": {"rnngen.cli"},
}
ONLY_IN = {"torch": "rnngen.training", "typer": "rnngen.cli", "rich": "rnngen.cli"}


def name_of(path: Path) -> str:
    return ".".join(("rnngen", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")


def is_in(module: str, package: str) -> bool:
    return module == package or (package != "rnngen" and module.startswith(package + "."))


def package_of(module: str) -> str:
    return max((package for package in MAY_IMPORT if is_in(module, package)), key=len)


def is_module(name: str) -> bool:
    path = ROOT.parent.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").exists()


def imports_of(module: str, source: str, is_package: bool = False) -> Iterator[str]:
    """Full names of the modules that a source imports, at its top, in functions and for type checking alike."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = module.split(".")[: -(node.level - is_package) or None] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            for alias in node.names:
                yield f"{base}.{alias.name}" if is_module(f"{base}.{alias.name}") else base


def wrong_imports(module: str, source: str, is_package: bool = False) -> list[str]:
    allowed = MAY_IMPORT[package_of(module)] | {package_of(module)}

    def is_wrong(name: str) -> bool:
        top = name.split(".")[0]
        if top == "rnngen":
            return not any(is_in(name, package) for package in allowed)
        return top in ONLY_IN and not is_in(module, ONLY_IN[top])

    return [name for name in imports_of(module, source, is_package) if is_wrong(name)]


def test_imports_run_one_way():
    wrong = {
        name_of(path): wrong_imports(name_of(path), path.read_text(encoding="utf-8"), path.name == "__init__.py")
        for path in FILES
    }
    assert {module: names for module, names in wrong.items() if names} == {}


@pytest.mark.parametrize(
    ("module", "source", "wrong"),
    [
        ("rnngen.engine.cells", "from rnngen.training import loop", ["rnngen.training.loop"]),
        ("rnngen.engine.cells", "def f():\n    import torch.nn", ["torch.nn"]),
        ("rnngen.engine.cells", "from rnngen.evaluate import report", ["rnngen.evaluate.report"]),
        ("rnngen.evaluate.report", "from rnngen.models import Model", ["rnngen.models"]),
        ("rnngen.training.loop", "from rnngen.engine import scoring", []),
        ("rnngen.text.corpus", "from rnngen import checkpoint", ["rnngen.checkpoint"]),
        ("rnngen.text.corpus", "from .. import checkpoint", ["rnngen.checkpoint"]),
        ("rnngen.text.splits", "from . import corpus", []),
        ("rnngen.tokenizers.char", "from rnngen.text import corpus", ["rnngen.text.corpus"]),
        ("rnngen.errors", "import rnngen.config", ["rnngen.config"]),
        ("rnngen.runs.run", "from rnngen.cli import output", ["rnngen.cli.output"]),
        ("rnngen.config", "import typer", ["typer"]),
        ("rnngen.training.plan", "from rich.text import Text", ["rich.text"]),
        ("rnngen.cli.app", "import typer, rich\nfrom rnngen.training import loop\nfrom rnngen import __version__", []),
        ("rnngen.cli.app", "import torch", ["torch"]),
    ],
)
def test_an_arrow_that_runs_the_wrong_way_is_seen(module, source, wrong):
    assert wrong_imports(module, source) == wrong


def test_a_file_can_be_read_in_one_sitting():
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {module: length for module, length in lengths.items() if length > LONGEST_FILE} == {}


def is_command(function: ast.FunctionDef) -> bool:
    """Whether a function's parameters are a command's options, most of them declared with typer."""
    defaults = len(function.args.defaults) + sum(default is not None for default in function.args.kw_defaults)
    return "typer.Option" in ast.unparse(function.args) and defaults > 0


def n_lines(function: ast.FunctionDef) -> int:
    first = function.body[0].lineno if is_command(function) else function.lineno
    return (function.end_lineno or first) - first + 1


def test_a_function_fits_on_a_page():
    too_long = [
        f"{name_of(path)}.{node.name} has {n_lines(node)} lines"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and n_lines(node) > LONGEST_FUNCTION
    ]
    assert too_long == []


def test_modules_and_public_functions_and_classes_are_explained():
    silent = []
    for path in FILES:
        module = ast.parse(path.read_text(encoding="utf-8"))
        silent += [name_of(path)] * (not ast.get_docstring(module))
        silent += [
            f"{name_of(path)}.{node.name}"
            for node in module.body
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
            and not node.name.startswith("_")
            and not ast.get_docstring(node)
        ]
    assert silent == []


def test_every_method_of_a_protocol_says_what_it_does_unless_it_only_names_a_value():
    silent = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Protocol" for base in node.bases):
                silent += [
                    f"{node.name}.{method.name}"
                    for method in node.body
                    if isinstance(method, ast.FunctionDef)
                    and not ast.get_docstring(method)
                    and not any(ast.unparse(decorator) == "property" for decorator in method.decorator_list)
                ]
    assert silent == []


def refused_patterns(source: str) -> list[str]:
    """The strings in a module with `re`, docstrings aside, that have a possessive quantifier or an atomic group."""
    if "re" not in imports_of("module", source):
        return []
    nodes = list(ast.walk(ast.parse(source)))
    statements = [node.value for node in nodes if isinstance(node, ast.Expr)]
    strings = [node.value for node in nodes if isinstance(node, ast.Constant) and node not in statements]
    return [text for text in strings if isinstance(text, str) and re.search(r"(?<!\\)[+*?}][+]|[(][?]>", text)]


def test_no_pattern_has_what_python_3_11_2_matches_wrongly():
    paths = [
        path for folder in ("rnngen", "bench", "faults", "tests") for path in ROOT.parent.glob(f"{folder}/**/*.py")
    ]
    found = {path: refused_patterns(path.read_text(encoding="utf-8")) for path in paths if path != Path(__file__)}
    assert {path: patterns for path, patterns in found.items() if patterns} == {}


def test_a_pattern_that_python_3_11_2_may_match_wrongly_is_seen():
    wrong = ["a++", "(?: a+)*+b", "a?+", "a{2,}+", "(?>a)"]
    assert refused_patterns(f"import re\nre.compile({[*wrong, chr(92) + '++', '[+]+']})") == wrong
