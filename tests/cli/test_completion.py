"""Shell completion: the scripts for shells, and what they are given while somebody types."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rnngen.cli.app import run
from rnngen.storage.checkpoint_paths import RESUME_SUFFIX


@pytest.fixture
def completed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[str], list[str]]:
    """A function: a line that somebody types in bash to what its last word may become."""

    def call(line: str) -> list[str]:
        monkeypatch.setenv("_RNNGEN_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(line.count(" ")))
        with pytest.raises(SystemExit) as ended:
            run([])
        assert ended.value.code == 0
        out, err = capsys.readouterr()
        assert err == ""
        return out.split()

    return call


@pytest.fixture
def _checkpoints(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    for name in ("names.safetensors", "novel.safetensors", "play.safetensors", "night" + RESUME_SUFFIX):
        (tmp_path / "checkpoints" / name).touch()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("rnngen s", {"sample", "score"}),
        ("rnngen sample --te", {"--temp", "--temperature"}),
        ("rnngen train --level w", {"word"}),
        ("rnngen score --nbest ", {"moses", "srilm", "kaldi"}),
        ("rnngen sample --model n", {"names", "novel"}),
        ("rnngen perplexity -m p", {"play"}),
        ("rnngen info n", {"names", "novel"}),
        ("rnngen train --init-from ", {"names", "novel", "play"}),
        ("rnngen train --resume ", {"night"}),
        ("rnngen score text", set()),  # files, which the shell completes itself
        ("rnngen score -m folder/n", set()),
    ],
)
@pytest.mark.usefixtures("_checkpoints")
def test_a_shell_completes_commands_options_choices_and_names_of_models(completed, line, words):
    assert set(completed(line)) == words


def test_install_completion_writes_the_script_of_the_shell(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("typer._completion_shared._get_shell_name", lambda: "bash")
    with pytest.raises(SystemExit) as ended:
        run(["--install-completion"])
    assert ended.value.code == 0
    script = (tmp_path / ".bash_completions" / "rnngen.sh").read_text()
    assert "_RNNGEN_COMPLETE=complete_bash" in script
    assert "rnngen.sh" in (tmp_path / ".bashrc").read_text()
    capsys.readouterr()
    monkeypatch.setattr("typer.completion._get_shell_name", lambda: "bash")
    with pytest.raises(SystemExit):
        run(["--show-completion"])
    assert capsys.readouterr().out.strip() == script.strip()
