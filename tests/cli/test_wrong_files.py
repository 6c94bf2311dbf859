"""A file given where another kind is wanted: the message says what it is, and which command or option takes it."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pytest
import torch

import rnngen
from rnngen.runs.events import ResumeSaved
from rnngen.storage.checkpoint_paths import resume_path

TEXT = "the bell is slow to wake,\nthe ferry knows no king;\n" * 10
ARPA = "\\data\\\nngram 1=2\nngram 2=1\n\n\\1-grams:\n-1\t<s>\n-1\t</s>\n\n\\2-grams:\n-1\t<s> </s>\n\n\\end\\\n"

# What each kind of file is called, and what takes it.
KINDS = {
    "text.txt": ("is a text,", "rnngen train text.txt"),
    "model.safetensors": ("is an rnngen checkpoint,", "--model (-m) takes it, and train --init-from"),
    "run.resume.safetensors": ("is a resume file,", "rnngen train --resume run.resume.safetensors goes on with"),
    "tokens.json": ("is a tokenizer file,", "train and tokenize take it with --tokenizer"),
    "lm.arpa": ("is an ARPA file,", "perplexity --mix takes it"),
    "text.gz": ("is a gzip file,", "gzip -dc text.gz unpacks it"),
    "torch.pt": ("is a file of torch.save,", "rnngen reads only its own checkpoints"),
    "other.safetensors": ("is a safetensors file of another program,", "rnngen reads only its own checkpoints"),
    "folder": ("is a folder", "name "),
}
NO_TEXTS = ("model.safetensors", "run.resume.safetensors", "torch.pt", "other.safetensors", "folder")
RUN = "--steps 1 --hidden-size 8 --threads 1 -o new"
# What each place wants, and the kinds of file that are wrong there.
PLACES = {
    "sample -m {}": "model.safetensors",
    "info {}": "model.safetensors",
    "info -m {}": "model.safetensors",
    "score text.txt -m {}": "model.safetensors",
    "perplexity text.txt -m model.safetensors -m {}": "model.safetensors",
    "tokenize text.txt -m {}": "model.safetensors",
    "train text.txt --init-from {} --steps 1 -o new": "model.safetensors",
    "train --resume {}": "run.resume.safetensors",
    "tokenize text.txt --tokenizer {}": "tokens.json",
    "train text.txt --tokenizer {} " + RUN: "tokens.json",
    "train {} " + RUN: "text.txt",
    "train text.txt --valid {} " + RUN: "text.txt",
    "score {} -m model.safetensors": "text.txt",
    "score --nbest kaldi {} -m model.safetensors": "text.txt",
    "perplexity {} -m model.safetensors": "text.txt",
    "perplexity text.txt --cache --tune {} -m model.safetensors": "text.txt",
    "tokenize {}": "text.txt",
    "sample --prompt-file {} -m model.safetensors": "text.txt",
}
CASES = [
    (place, wrong)
    for place, wanted in PLACES.items()
    for wrong in (NO_TEXTS if wanted == "text.txt" else KINDS)
    # A run that has ended leaves a checkpoint of the same name, so --resume says that.
    if wrong != wanted and (place, wrong) != ("train --resume {}", "model.safetensors")
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, hello_file: Path) -> Path:
    """A folder with a file of each kind."""
    folder = tmp_path_factory.mktemp("kinds")
    (folder / "text.txt").write_text(TEXT)
    (folder / "text.gz").write_bytes(gzip.compress(TEXT.encode()))
    (folder / "lm.arpa").write_text(ARPA)
    (folder / "folder").mkdir()
    shutil.copy(hello_file, folder / "model.safetensors")
    rnngen.save_tokenizer(rnngen.build_tokenizer(text=TEXT), folder / "tokens.json")
    torch.save({"weight": torch.zeros(3)}, folder / "torch.pt")
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(3)}, folder / "other.safetensors")
    config = rnngen.TrainConfig(steps=100, threads=1)
    model = rnngen.ModelOptions(hidden_size=8, ngram_order=0)
    output = folder / "run.safetensors"
    events = rnngen.training_events(text=TEXT, output=output, training=config, model=model, save_every=1e-9)
    assert any(isinstance(event, ResumeSaved) for event in events)
    events.close()  # type: ignore[attr-defined]
    assert resume_path(output).exists()
    return folder


@pytest.mark.parametrize(("place", "wrong"), CASES, ids=[place.format(wrong) for place, wrong in CASES])
def test_a_file_of_another_kind_is_named_with_what_takes_it(rnngen, files, monkeypatch, place, wrong):
    monkeypatch.chdir(files)
    name, use = KINDS[wrong]
    command, *arguments = place.format(wrong).split()
    result = rnngen(command, "-q", *arguments)
    assert (result.out, result.code, result.err.count("\n")) == ("", 1, 1)
    assert f"{wrong} {name}" in result.err
    if PLACES[place] == "tokens.json" and wrong == "text.txt":
        use = "rnngen tokenize text.txt --save FILE"
    assert use in result.err


def test_a_checkpoint_given_to_resume_names_init_from(rnngen, files, monkeypatch):
    monkeypatch.chdir(files)
    assert "the run of model.safetensors has ended; --init-from" in rnngen("train", "--resume", "model.safetensors").err


@pytest.mark.parametrize(("wrong", "use"), [("tokens.json", "--tokenizer"), ("lm.arpa", "perplexity --mix")])
def test_a_tokenizer_or_arpa_file_is_read_as_a_text_with_a_note(rnngen, files, monkeypatch, wrong, use):
    monkeypatch.chdir(files)
    result = rnngen("tokenize", wrong, "--ids")
    assert result.code == 0
    assert result.out
    assert [line for line in result.err.splitlines() if use in line and "read as a text" in line]


def test_a_gzip_file_is_a_text(rnngen, files, monkeypatch):
    monkeypatch.chdir(files)
    assert rnngen("tokenize", "text.gz", "--ids").out == rnngen("tokenize", "text.txt", "--ids").out
