"""What goes wrong: one line on stderr that helps, the exit code, an empty stdout, and nothing changed in the folder."""

import importlib
import json
import os
import re
import struct
import typing
from pathlib import Path

import numpy as np
import pytest
import typer.main
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from rnngen import checkpoint
from rnngen.cli.app import COMMANDS, app, run

TEXT = "the bell is slow to wake,\nthe ferry knows no king;\n" * 10
SMALL = "--hidden-size 8 --threads 1"


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A small checkpoint."""
    folder = tmp_path_factory.mktemp("good")
    (folder / "text.txt").write_text(TEXT)
    path = folder / "good.safetensors"
    assert run(["train", str(folder / "text.txt"), "-o", str(path), "--steps", "2", *SMALL.split(), "-q"]) == 0
    return path


def broken_checkpoints(good, scratch):
    """Name -> bytes of files that are no good checkpoints; `scratch` is a path that may be written."""
    whole = good.read_bytes()
    weights = load_file(good)
    with safe_open(good, framework="np") as file:
        metadata = file.metadata()
    model = json.loads(metadata["model"])

    def changed(new_weights=(), drop="", **new_metadata):
        tensors = {name: weight for name, weight in {**weights, **dict(new_weights)}.items() if name != drop}
        save_file(tensors, scratch, {**metadata, **new_metadata})
        return scratch.read_bytes()

    return {
        "empty": b"",
        "text": TEXT.encode(),
        "truncated": whole[:-100],
        "headless": whole[:50],
        "hugeheader": struct.pack("<Q", 1 << 60) + whole[8:],
        "foreign": changed(format="pt"),
        "version": changed(format_version="99"),
        "shape": changed({"output.bias": np.zeros(3, np.float32)}),
        "kind": changed({"output.bias": weights["output.bias"].astype(np.float64)}),
        "nan": changed({"output.bias": np.full_like(weights["output.bias"], np.nan)}),
        "lacking": changed(drop="rnn.weight_hh_l0"),
        "unknown-weight": changed({"other.weight": np.zeros(3, np.float32)}),
        "nojson": changed(model="{"),
        "noconfig": changed(model=json.dumps({**model, "cell": "transformer"})),
        "notokenizer": changed(tokenizer="{}"),
        "smalltokenizer": changed(tokenizer=json.dumps({"level": "char", "characters": "ab"})),
        "nohistory": changed(history="{}"),
    }


@pytest.fixture(scope="module")
def files(good):
    """Path -> content of all that a case may name."""
    files = {
        "text.txt": TEXT,
        "empty.txt": "",
        "two.txt": "ab",
        "blank.txt": "\n\n\n",
        "line.txt": "the only line\n",
        "short.txt": "the bell is slow to wake",
        "binary.bin": b"\x7fELF\x00\x00\x01\x02" * 20,
        "latin.txt": b"the bell of Lyon\xe9 \n" * 4,
        "cut.txt": b"ends within \xe2\x82",
        "fake.gz": "this is not gzip",
        "cut.gz": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcbH",
        "ids.txt": "3 4 nine\n",
        "far.txt": "3 4 999\n",
        "negative.txt": "3 -1\n",
        "tokens.json": '{"format": "rnngen-tokenizer", "format_version": 1, "level": "char", "characters": "ab"}',
        "newer.json": '{"format": "rnngen-tokenizer", "format_version": 99, "level": "byte"}',
        "odd.json": '{"format": "rnngen-tokenizer", "format_version": 1, "level": "rune"}',
        "list.json": "[1, 2]",
        "models/good.safetensors": good.read_bytes(),
        "checkpoints/text.safetensors": good.read_bytes(),
    }
    broken = broken_checkpoints(good, good.with_name("changed"))
    files |= {f"models/{name}.safetensors": data for name, data in broken.items()}
    return {name: data if isinstance(data, bytes) else data.encode() for name, data in files.items()}


@pytest.fixture
def lay_out(tmp_path, files):
    """A function: write a text, two good checkpoints, and the files that a command names, into the working folder."""

    def write(command):
        for name, data in files.items():
            if name in command or name in ("text.txt", "models/good.safetensors", "checkpoints/text.safetensors"):
                path = tmp_path / name
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(data)

    return write


GOOD = "-m models/good.safetensors"
RUN = f"-o new --steps 2 {SMALL}"
# arguments, exit code, words of the message
MISTAKES = [
    # The command line.
    ("nonsense", 2, "nonsense --help"),
    ("--nonsense", 2, "--nonsense --help"),
    ("train text.txt --nonsense", 2, "--nonsense train --help"),
    ("sample --temp", 2, "--temp argument see rnngen sample --help"),
    ("train --lines=3", 2, "--lines does not take a value: see rnngen train --help"),
    ("trian", 2, "'trian'. Did you mean 'train'? See rnngen --help"),
    ("score text.txt --format x", 2, "'--format': 'x' is not one of 'tsv', 'jsonl', 'kenlm', 'srilm': see"),
    ("sample --temp hot", 2, "--temp hot --help"),
    ("train text.txt --cell transformer", 2, "--cell transformer lstm gru rnn"),
    ("score text.txt --on-unknown guess", 2, "--on-unknown guess error unk skip"),
    ("info one two", 2, "two --help"),
    # Texts.
    ("train missing.txt " + RUN, 1, "missing.txt"),
    ("train missing.txt -o deep/in/a/new", 1, "missing.txt"),
    ("train -- text.txt --lines", 1, "cannot read --lines options stand before --"),
    ("train models " + RUN, 1, "models is a folder"),
    ("train empty.txt " + RUN, 1, "the text is empty"),
    ("train binary.bin " + RUN, 1, "NUL binary --encoding"),
    ("train latin.txt " + RUN, 1, "latin.txt utf-8 0xE9 offset 16 --encoding latin-1"),
    ("train latin.txt --encoding ascii " + RUN, 1, "latin.txt ascii 0xE9 offset 16 --encoding"),
    ("train cut.txt " + RUN, 1, "cut.txt utf-8 0xE2 offset 12 cut inside a character"),
    ("train text.txt --encoding klingon " + RUN, 2, "encoding klingon utf-16 latin-1"),
    ("train text.txt --encoding undefined " + RUN, 2, "encoding undefined"),
    ("train text.txt --encoding base64 " + RUN, 2, "encoding base64"),
    ("train fake.gz " + RUN, 1, "cannot read fake.gz gzip"),
    ("train cut.gz " + RUN, 1, "cannot read cut.gz"),
    ("train two.txt " + RUN, 1, "1 token more text"),
    ("train blank.txt --lines " + RUN, 1, "0 lines"),
    ("train line.txt --lines " + RUN, 1, "1 line more lines --valid"),
    ("train short.txt --bptt 64 " + RUN, 2, "bptt is 64 19 tokens --bptt 18"),
    ("train short.txt --batch-size 500 " + RUN, 2, "batch_size is 500 19 tokens --batch-size"),
    ("train text.txt --valid missing.txt " + RUN, 1, "missing.txt"),
    ("train text.txt --valid empty.txt " + RUN, 1, "empty"),
    ("train text.txt --valid latin.txt " + RUN, 1, "latin.txt 0xE9 --encoding"),
    ("train - - " + RUN, 2, "- twice standard input"),
    ("train text.txt --level subword --subword-model bpe --vocab-size 5000 " + RUN, 1, "5000 at most --vocab-size"),
    ("train text.txt --level subword --vocab-size 100 " + RUN, 1, "vocab_size is 100 or more"),
    ("score missing.txt " + GOOD, 1, "missing.txt"),
    ("score checkpoints " + GOOD, 1, "checkpoints is a folder"),
    ("score latin.txt " + GOOD, 1, "latin.txt 0xE9 offset 16 --encoding latin-1"),
    ("score fake.gz " + GOOD, 1, "cannot read fake.gz"),
    ("score binary.bin " + GOOD, 1, "binary.bin NUL character 5 binary --encoding"),
    ("score --nbest kaldi binary.bin " + GOOD, 1, "NUL binary --encoding"),
    ("sample --prompt-file binary.bin " + GOOD, 1, "NUL binary --encoding"),
    ("train text.txt --valid binary.bin " + RUN, 1, "binary.bin NUL binary --encoding"),
    ("tokenize binary.bin --level byte", 1, "NUL binary --encoding"),
    ("perplexity text.txt --cache --tune binary.bin " + GOOD, 1, "binary.bin NUL"),
    ("score latin.txt --encoding latin-1 --on-unknown error " + GOOD, 1, "line 1 L U+004C character 13 --on-unknown"),
    ("perplexity missing.txt " + GOOD, 1, "missing.txt"),
    ("perplexity checkpoints " + GOOD, 1, "checkpoints is a folder"),
    ("perplexity empty.txt " + GOOD, 1, "the text is empty"),
    ("perplexity empty.txt --state reset " + GOOD, 1, "the text is empty"),
    ("perplexity empty.txt --json " + GOOD, 1, "the text is empty"),
    ("perplexity latin.txt " + GOOD, 1, "latin.txt 0xE9 offset 16 --encoding latin-1"),
    ("perplexity binary.bin --on-unknown error " + GOOD, 1, "NUL binary --encoding"),
    ("tokenize missing.txt", 1, "missing.txt"),
    ("tokenize empty.txt", 1, "the text is empty"),
    ("tokenize empty.txt --level byte --stats", 1, "the text is empty"),
    ("tokenize binary.bin", 1, "NUL binary --encoding"),
    ("tokenize latin.txt --level byte", 1, "latin.txt 0xE9 offset 16 --encoding"),
    ("sample --prompt-file missing.txt " + GOOD, 1, "missing.txt"),
    ("sample --prompt-file empty.txt " + GOOD, 1, "empty.txt empty --prompt-file"),
    ("sample --prompt-file latin.txt " + GOOD, 1, "latin.txt 0xE9 --encoding"),
    ("sample --prompt Z --on-unknown error " + GOOD, 1, "the prompt 'Z' U+005A CAPITAL --on-unknown skip"),
    # Checkpoints.
    ("sample -m nowhere", 1, "checkpoints/nowhere.safetensors folder checkpoints has text"),
    ("sample -m no/where.safetensors", 1, "no/where.safetensors folder checkpoints has text"),
    ("sample -m models/", 1, "models is a folder .safetensors"),
    ("sample -m text.txt", 1, "text.txt"),
    ("sample -m models/empty.safetensors", 1, "models/empty.safetensors"),
    ("sample -m models/text.safetensors", 1, "models/text.safetensors"),
    ("sample -m models/truncated.safetensors", 1, "models/truncated.safetensors not a whole"),
    ("score text.txt -m models/headless.safetensors", 1, "models/headless.safetensors not a whole"),
    ("score text.txt -m models/hugeheader.safetensors", 1, "models/hugeheader.safetensors"),
    ("perplexity text.txt -m models/foreign.safetensors", 1, "models/foreign.safetensors not an rnngen checkpoint"),
    ("info models/version.safetensors", 1, "models/version.safetensors format 99 format 2"),
    ("info models/shape.safetensors", 1, "models/shape.safetensors output.bias shape (3,) needs"),
    ("info models/kind.safetensors", 1, "models/kind.safetensors output.bias F64 float32"),
    ("info models/nan.safetensors", 1, "models/nan.safetensors output.bias finite"),
    ("info models/lacking.safetensors", 1, "models/lacking.safetensors lacks rnn.weight_hh_l0"),
    ("info models/unknown-weight.safetensors", 1, "models/unknown-weight.safetensors other.weight"),
    ("info models/nojson.safetensors", 1, "models/nojson.safetensors model no usable JSON"),
    ("info models/noconfig.safetensors", 1, "models/noconfig.safetensors transformer"),
    ("info models/notokenizer.safetensors", 1, "models/notokenizer.safetensors tokenizer"),
    ("tokenize text.txt -m models/smalltokenizer.safetensors", 1, "models/smalltokenizer.safetensors two vocabularies"),
    ("info models/nohistory.safetensors", 1, "models/nohistory.safetensors broken"),
    (f"perplexity text.txt {GOOD} -m models/truncated.safetensors", 1, "models/truncated.safetensors"),
    # Tokenizers.
    ("tokenize text.txt --tokenizer missing.json", 1, "missing.json"),
    ("tokenize text.txt --tokenizer text.txt", 1, "text.txt not a tokenizer --save"),
    ("tokenize text.txt --tokenizer list.json", 1, "list.json is a text not a tokenizer file --save"),
    ("tokenize text.txt --tokenizer newer.json", 1, "newer.json 99"),
    ("tokenize text.txt --tokenizer odd.json", 1, "odd.json char byte word subword"),
    ("train text.txt --tokenizer models " + RUN, 1, "models"),
    ("tokenize ids.txt --decode " + GOOD, 1, "line 1 nine --ids"),
    ("tokenize far.txt --decode " + GOOD, 1, "line 1 999 0 to"),
    ("tokenize negative.txt --decode --tokenizer tokens.json", 1, "line 1 -1 0 to 3"),
    # Output files.
    ("train text.txt --steps 2", 1, "checkpoints/text.safetensors exists --force"),
    ("train text.txt -o text.txt/ --force --steps 2", 2, "--output text.txt reads"),
    ("tokenize text.txt --save text.txt --force", 2, "--save text.txt"),
    ("train text.txt --log models/good.safetensors " + RUN, 1, "models/good.safetensors exists --force"),
    ("train text.txt --cell gru --nonlinearity relu " + RUN, 2, "--nonlinearity --cell rnn"),
    ("train text.txt --subword-model bpe " + RUN, 2, "--subword-model --level subword"),
    ("train text.txt --threads 1099511627776 -o new --steps 2", 2, "threads 1099511627776"),
    ("tokenize text.txt --level byte --decode --json", 2, "--decode --json"),
    ("train text.txt -o models/ --steps 2", 1, "models is a folder"),
    ("train text.txt -o text.txt/new.safetensors --steps 2", 1, "text.txt"),
    ("train text.txt --log text.txt " + RUN, 2, "--log text.txt reads"),
    ("train text.txt --log models " + RUN, 1, "models is a folder"),
    ("train text.txt --log text.txt/log.jsonl " + RUN, 1, "text.txt"),
    ("train text.txt --log new.safetensors -o new.safetensors --steps 2", 2, "--log new.safetensors"),
    ("tokenize text.txt --save tokens.json", 1, "tokens.json exists --force"),
    ("tokenize text.txt --save text.txt/tokens.json", 1, "text.txt"),
    ("tokenize missing.txt --save new.json", 1, "missing.txt"),
    # Values out of range.
    *((f"train text.txt {option} {value} -o new", 2, f"{name or option[2:].replace('-', '_')} is {value}")
      for option, value, name in [
          ("--steps", "0", ""), ("--steps", "-3", ""), ("--epochs", "0.0", ""), ("--epochs", "nan", ""),
          ("--hidden-size", "0", ""),
          ("--embedding-dim", "-1", ""), ("--num-layers", "0", ""), ("--dropout", "1.0", ""),
          ("--weight-drop", "1", ""),
          ("--dropout", "-0.1", ""), ("--batch-size", "0", ""), ("--bptt", "0", ""), ("--lr", "0.0", "learning_rate"),
          ("--lr", "inf", "learning_rate"), ("--grad-clip", "0.0", ""), ("--weight-decay", "-1.0", ""),
          ("--seed", "-1", ""), ("--threads", "0", ""), ("--patience", "0", ""), ("--valid-fraction", "0.0", ""),
          ("--valid-fraction", "1.0", ""), ("--vocab-size", "2", ""), ("--min-count", "0", ""),
      ]),
    *((f"sample {option} {value} {GOOD}", 2, f"{option[2:].replace('-', '_')} is {value}") for option, value in [
        ("--temp", "-0.1"), ("--temp", "nan"), ("--top-k", "-1"), ("--top-p", "0.0"), ("--top-p", "1.1"),
        ("--min-p", "-0.5"), ("--min-p", "1.5"), ("--repetition-penalty", "0.0"), ("--length", "-1"),
        ("--num-samples", "-1"), ("--seed", "-1"),
    ]),
    *((f"train text.txt --time {time} -o new", 2, f"time {time} 90s") for time in ("soon", "3x", "1m1h", "-5")),
    ("train text.txt --time 0s -o new", 2, "time 1e-30"),
    ("train text.txt --time 0.0m -o new", 2, "time 1e-30"),
    (f"train text.txt -o new --steps 2 --seed {1 << 64}", 2, f"seed {1 << 64}"),
    (f"train text.txt --epochs 1e308 -o new {SMALL}", 2, "epochs 1e+308"),
    ("train text.txt -o new --steps 2 --hidden-size 4000000", 1, "memory"),
    # Options that contradict each other.
    ("train text.txt --steps 2 --epochs 3 -o new", 2, "--steps --epochs one of --time"),
    ("train text.txt --steps 2 --time 3m -o new", 2, "--steps --time one of"),
    ("train text.txt --valid two.txt --valid-fraction 0.2 -o new", 2, "--valid --valid-fraction"),
    ("train text.txt --valid two.txt --valid-part last -o new", 2, "--valid --valid-part"),
    ("train text.txt --lines --valid-part last -o new", 2, "--lines --valid-part"),
    ("train text.txt --tokenizer tokens.json --level word -o new", 2, "--tokenizer --level"),
    ("train text.txt --tie-weights --hidden-size 8 --embedding-dim 16 -o new", 2, "embedding_dim hidden_size 16 8"),
    ("train text.txt --level byte --vocab-size 100 -o new", 2, "byte 256 --vocab-size"),
    ("train text.txt --level subword --min-count 2 -o new", 2, "subword --min-count"),
    ("train text.txt --split whitespace -o new", 2, "--split whitespace --level word"),
    (f"sample --prompt a --prompt-file two.txt {GOOD}", 2, "--prompt --prompt-file"),
    ("tokenize text.txt --ids --decode --level byte", 2, "--ids --decode"),
    (f"tokenize text.txt --tokenizer tokens.json {GOOD}", 2, "--model --tokenizer"),
    (f"tokenize text.txt --level char {GOOD}", 2, "--model --level"),
    ("tokenize ids.txt --decode", 2, "--decode --model --tokenizer"),
]  # fmt: skip


@pytest.mark.parametrize(("command", "code", "words"), MISTAKES, ids=[command for command, _, _ in MISTAKES])
def test_a_mistake_gives_one_line_that_helps(rnngen, lay_out, contents, command, code, words):
    lay_out(command)
    before = contents()
    name, *arguments = command.split()
    result = rnngen(name, *["-q"] * bool(arguments), *arguments)
    assert result.out == ""
    assert result.err.count("\n") == 1
    assert result.err.startswith("rnngen: ")
    assert [word for word in words.split() if word not in result.err] == []
    assert result.code == code
    assert contents() == before


NUMERIC = [
    (command, parameter.opts[-1])
    for command in COMMANDS
    for parameter in typer.main.get_command(app).commands[command].params
    if typing.get_type_hints(getattr(importlib.import_module(f"rnngen.cli.{command}"), command)).get(parameter.name)
    in (int, int | None, float, float | None)
]
# What an option needs beside it.
BESIDE = {
    "--alternatives": "--json",
    "--weight": "--nbest moses --best",
    "--lambda": "--mix text.txt",
    "--ngram-size": "--ngram-order 2",
    "--min-count": "--level word",
}


@pytest.mark.parametrize("value", ["-9999999999999999999999999999999999", "9999999999999999999999999999999999", "nan"])
@pytest.mark.parametrize(("command", "option"), NUMERIC, ids=lambda name: name)
def test_every_numeric_option_names_both_its_bounds(rnngen, lay_out, command, option, value):
    lay_out("")
    options = f"{option}={value} {BESIDE.get(option, '')}".split()
    model = GOOD.split() if command in ("score", "perplexity", "sample") else []
    texts = ["text.txt"] if command != "sample" else []
    result = rnngen(command, *texts, *model, "-q", *options)
    if option == "--max-perplexity" and not value.startswith("-") and value != "nan":
        assert result.code == 0, "1e34 is a perplexity"
        return
    assert (result.code, result.out) == (2, "")
    if value == "nan" and "valid integer" in result.err:
        return
    number = r"[-+0-9.e]+"
    bounds = rf"(from {number} to|above {number} and at most|above {number} and below|at least {number} and below)"
    assert re.search(
        rf" is (-?[19]\S+|nan): it must be (a number |a whole number )?{bounds} {number}$", result.err.strip()
    )


@pytest.mark.parametrize("command", ["sample", "score -", "perplexity -", "info"])
@pytest.mark.parametrize("exists", [False, True])
def test_no_checkpoint_to_be_found_is_said_with_the_remedy(rnngen, contents, command, exists):
    if exists:
        os.mkdir("checkpoints")
    before = contents()
    result = rnngen(*command.split(), stdin=b"text")
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    for word in ("no checkpoint in ./checkpoints", "rnngen train", "--model"):
        assert word in result.err
    assert contents() == before


@pytest.mark.parametrize("command", ["score", "perplexity", "tokenize"])
def test_the_variable_s_model_that_is_missing_is_named(rnngen, lay_out, monkeypatch, command):
    lay_out(command)
    monkeypatch.setenv("RNNGEN_MODEL", "gone")
    result = rnngen(command, "text.txt", "-q")
    if command == "tokenize":
        assert result.code == 0, "it takes a model only when it is asked to"
    else:
        assert (result.code, result.out) == (1, "")
        assert "checkpoints/gone.safetensors" in result.err


@pytest.mark.parametrize(
    ("command", "output"),
    [("train text.txt --steps 2 -o ./{}", "m.safetensors"), ("tokenize text.txt --save {}", "t.json")],
)
def test_a_folder_that_cannot_be_written_is_named(rnngen, as_ordinary_user, shared_path, monkeypatch, command, output):
    monkeypatch.chdir(shared_path)
    Path("text.txt").write_text(TEXT)
    Path("locked").mkdir(mode=0o555)
    # The same way through the program: an ordinary user may not be allowed to import what root has installed.
    Path(output).touch()
    assert f"{output} exists already" in rnngen(*command.format(output).split(), "-q").err

    def call() -> None:
        result = rnngen(*command.format(f"locked/{output}").split(), "-q")
        assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
        assert f"{Path('locked', output)}: Permission denied; name another place" in result.err

    as_ordinary_user(call)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_log_that_cannot_be_written_costs_the_log_and_not_the_run(rnngen, lay_out, tmp_path):
    lay_out("train text.txt")
    (tmp_path / "full.jsonl").symlink_to("/dev/full")
    result = rnngen("train", "text.txt", *RUN.split(), "-q", "--log", "full.jsonl", "--force")
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert checkpoint.load(tmp_path / result.out.strip()).training["stopped_by"] == "budget"
    assert "full.jsonl" in result.err
    assert "No space left on device" in result.err


def test_with_rnngen_debug_a_mistake_shows_where_it_happened(process, monkeypatch):
    monkeypatch.setenv("RNNGEN_DEBUG", "1")
    result = process("score", "missing.txt", "-m", "nowhere")
    assert result.code != 0
    assert "Traceback" in result.err
    assert "CheckpointError" in result.err or "DataError" in result.err
