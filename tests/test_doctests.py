"""The examples of the public names run, and so do those of docs/python.md."""

from __future__ import annotations

import doctest
import inspect
from importlib import import_module
from pathlib import Path

import pytest

import rnngen

PAGE = Path(__file__).parents[1] / "docs" / "python.md"
OPTIONS = doctest.REPORT_ONLY_FIRST_FAILURE | doctest.NORMALIZE_WHITESPACE
VALUES = {name for name in rnngen.__all__ if name.endswith(("Error", "Config", "Options"))}  # classes without behaviour


def failures_of(test: doctest.DocTest) -> str:
    """What is wrong with the examples; empty where all are right."""
    report: list[str] = []
    doctest.DocTestRunner(verbose=False, optionflags=OPTIONS).run(test, out=report.append)
    return "".join(report)


@pytest.mark.parametrize("module", rnngen._MODULES)
@pytest.mark.usefixtures("hello")
def test_the_examples_of_a_public_module_run(module):
    tests = doctest.DocTestFinder(exclude_empty=True).find(import_module(module), module)
    assert "".join(failures_of(test) for test in tests if test.examples) == ""


def test_every_public_function_and_class_and_every_method_of_a_model_has_an_example():
    named = {name: getattr(rnngen, name) for name in rnngen.__all__ if name not in VALUES}
    named |= {
        f"Model.{name}": method
        for name, method in vars(rnngen.Model).items()
        if inspect.isfunction(method) and not name.startswith("_")
    }
    assert [name for name, value in named.items() if ">>>" not in (value.__doc__ or "")] == []


def test_the_examples_of_the_page_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest(PAGE.read_text("utf-8"), {}, PAGE.name, str(PAGE), 0)
    assert len(test.examples) > 30
    assert failures_of(test) == ""


def test_an_example_that_is_wrong_is_found():
    test = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, 0)
    assert "Got:\n    2" in failures_of(test)
