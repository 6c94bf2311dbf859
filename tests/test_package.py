"""What is installed: the source distribution builds by itself, and the wheel made of it holds the whole program."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
SOURCES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("rnngen/**/*.py", "rnngen/**/*.[ch]", "rnngen/py.typed", "corpora/*.py", "corpora/*.txt")
    for path in ROOT.glob(pattern)
)


def test_every_folder_of_the_program_is_a_package_that_is_installed():
    folders = {Path(name).parent.as_posix() for name in SOURCES if name.startswith("rnngen/") and name.endswith(".py")}
    packages = PYPROJECT["tool"]["setuptools"]["packages"]
    assert set(packages) == {folder.replace("/", ".") for folder in folders} | {"rnngen_corpora"}


def run_backend(function: str, source: Path, target: Path) -> Path:
    """Call a function of setuptools' build backend in a source tree; the path of what it makes."""
    code = f"import sys; from setuptools import build_meta; build_meta.{function}(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(target)], cwd=source, check=True, capture_output=True)
    (made,) = target.iterdir()
    return made


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution of a copy: setuptools writes into the tree that it builds from."""
    source = tmp_path_factory.mktemp("source")
    for name in ("rnngen", "corpora", "tests"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    for name in ("pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    return run_backend("build_sdist", source, tmp_path_factory.mktemp("sdist"))


def test_the_source_distribution_has_the_c_headers_the_corpora_and_no_half_of_the_tests(sdist: Path):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert set(SOURCES) <= names
    assert {name for name in SOURCES if name.endswith(".h")}
    assert not [name for name in names if name.startswith(("tests", "bench", "faults"))]


def test_the_wheel_of_the_source_distribution_has_all_modules_the_corpora_and_what_was_compiled(
    sdist: Path, tmp_path: Path
):
    shutil.unpack_archive(sdist, tmp_path)
    (source,) = tmp_path.iterdir()
    with zipfile.ZipFile(run_backend("build_wheel", source, tmp_path / "wheel")) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    compiled = {name for name in names if name.startswith(("rnngen/engine/_recurrence.", "rnngen/counts/_counts."))}
    installed = {name.replace("corpora/", "rnngen_corpora/") for name in SOURCES if not name.endswith((".c", ".h"))}
    assert names - compiled == installed
    # What was compiled when this program was installed can be compiled from the source distribution too.
    assert len(compiled) == sum(
        bool(importlib.util.find_spec(name)) for name in ("rnngen.engine._recurrence", "rnngen.counts._counts")
    )
