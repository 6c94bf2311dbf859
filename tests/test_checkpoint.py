"""One file holds a whole model; a file that does not is refused with the reason."""

from __future__ import annotations

import json
import resource
import struct
import tracemalloc
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from random_models import random_weights
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from rnngen import checkpoint as checkpoints
from rnngen.checkpoint import Checkpoint
from rnngen.config import ModelConfig
from rnngen.errors import CheckpointError, OutputError
from rnngen.runs.history import MOST_RECORDS
from rnngen.tokenizers.base import Tokenizer
from rnngen.tokenizers.char import ByteTokenizer, CharTokenizer
from rnngen.tokenizers.subword import SubwordTokenizer
from rnngen.tokenizers.word import WordTokenizer

TEXT: Any = SimpleNamespace(chunks=lambda: iter(["to be or not to be, that is the question\n" * 9]))
TOKENIZERS: dict[str, Tokenizer] = {
    "char": CharTokenizer("ehlo \u0301\U0001f600"),
    "byte": ByteTokenizer(),
    "word": WordTokenizer(["\t", "don't", "\uffed!"], "punctuation"),
    "split word": WordTokenizer(["don't", "@-@"], "whitespace"),
    "subword": SubwordTokenizer.build(TEXT, None, "unigram"),
}


def make(tokenizer: Tokenizer | None = None, **options: Any) -> Checkpoint:
    """A small checkpoint with random weights."""
    tokenizer = tokenizer or TOKENIZERS["char"]
    config = ModelConfig(vocab_size=tokenizer.vocab_size, embedding_dim=3, hidden_size=3, **options)
    weights = random_weights(config, seed=1)
    weights["output.bias"][:4] = [-0.0, 1e-45, 3.4028235e38, 1 / 3]
    training = {"corpus": {"sha256": "0f", "n_chars": 10}, "seed": 1, "note": "é\n"}
    return Checkpoint(config, tokenizer, weights, training, [{"step": 10, "loss_nats": 1 / 3}])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A good checkpoint file."""
    path = tmp_path / "model.safetensors"
    checkpoints.save(make(), path)
    return path


def rewrite(path: Path, metadata: dict[str, str | None] | None = None, **tensors: Any) -> None:
    """Change the metadata or the tensors of a checkpoint; None takes one out. `__` stands for a dot."""
    with safe_open(path, framework="np") as file:
        whole = {**file.metadata(), **(metadata or {})}
    found = load_file(path) | {name.replace("__", "."): tensor for name, tensor in tensors.items()}
    save_file(
        {name: tensor for name, tensor in found.items() if tensor is not None},
        path,
        {key: value for key, value in whole.items() if value is not None},
    )


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as error:
        checkpoints.load(path)
    assert error.value.exit_code == 1
    assert "\n" not in str(error.value)
    return str(error.value)


# Good files


@pytest.mark.parametrize(
    "options",
    [
        {"cell": "rnn", "nonlinearity": "relu"},
        {"cell": "gru", "num_layers": 2, "dropout": 0.1},
        {"cell": "lstm", "num_layers": 3, "tie_weights": True},
        {"cell": "lstm", "ngram_order": 3},
    ],
    ids=lambda options: options["cell"],
)
@pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS)
def test_a_loaded_checkpoint_is_the_saved_one_to_the_bit(
    tmp_path: Path, tokenizer: Tokenizer, options: dict[str, Any]
) -> None:
    saved = make(tokenizer, **options)
    checkpoints.save(saved, tmp_path / "model.safetensors")
    loaded = checkpoints.load(tmp_path / "model.safetensors")
    assert loaded.config == saved.config
    assert loaded.tokenizer.to_dict() == saved.tokenizer.to_dict()
    assert (loaded.training, loaded.history) == (saved.training, saved.history)
    assert loaded.weights.keys() == saved.weights.keys()
    for name, weight in saved.weights.items():
        assert loaded.weights[name].dtype == weight.dtype
        assert loaded.weights[name].shape == weight.shape
        assert loaded.weights[name].tobytes() == weight.tobytes(), name


def test_weights_in_another_memory_order_are_saved_by_their_values(tmp_path: Path) -> None:
    saved = make()
    saved.weights["embedding.weight"] = np.asfortranarray(saved.weights["embedding.weight"])
    checkpoints.save(saved, tmp_path / "model")
    loaded = checkpoints.load(tmp_path / "model").weights["embedding.weight"]
    assert loaded.tolist() == saved.weights["embedding.weight"].tolist()


def test_the_file_holds_the_weights_under_torchs_names_and_json_beside_them(path: Path) -> None:
    saved = make()
    shapes = {name: tensor.shape for name, tensor in load_file(path).items()}
    assert shapes == {**saved.config.weight_shapes(), "tokenizer.characters": (11,)}
    with safe_open(path, framework="np") as file:
        metadata = file.metadata()
    assert (metadata["format"], metadata["format_version"]) == ("rnngen", "2")
    assert json.loads(metadata["model"]) == saved.config.to_dict()
    assert json.loads(metadata["tokenizer"]) == {"level": "char"}


def test_a_checkpoint_from_before_ngrams_has_none(path: Path) -> None:
    with safe_open(path, framework="np") as file:
        model = json.loads(file.metadata()["model"])
    del model["ngram_order"]
    rewrite(path, {"model": json.dumps(model)})
    assert checkpoints.load(path).config == make().config


@pytest.mark.parametrize(
    ("level", "name", "content"),
    [
        ("char", "tokenizer.characters", "ehlo \u0301\U0001f600".encode()),
        ("word", "tokenizer.words", "\t\ndon't\n\uffed!\n".encode()),
        ("split word", "tokenizer.words", b"don't\n@-@\n"),
        ("subword", "tokenizer.sentencepiece", getattr(TOKENIZERS["subword"], "model", b"")),
    ],
    ids=["char", "word", "split word", "subword"],
)
def test_a_vocabulary_is_a_tensor_of_bytes(tmp_path: Path, level: str, name: str, content: bytes) -> None:
    checkpoints.save(make(TOKENIZERS[level]), tmp_path / "model")
    tensor = load_file(tmp_path / "model")[name]
    assert tensor.dtype == np.uint8
    assert tensor.tobytes() == content


@pytest.mark.parametrize("level", ["char", "word", "split word"])
def test_a_checkpoint_with_its_vocabulary_in_json_is_still_read(tmp_path: Path, level: str) -> None:
    path, tokenizer = tmp_path / "model", TOKENIZERS[level]
    checkpoints.save(make(tokenizer), path)
    rewrite(path, {"tokenizer": json.dumps(tokenizer.to_dict())}, tokenizer__characters=None, tokenizer__words=None)
    assert checkpoints.load(path).tokenizer.to_dict() == tokenizer.to_dict()


def test_a_vocabulary_in_json_that_is_too_long_is_refused_with_what_to_do(path: Path) -> None:
    words = list(map(str, range(200_000)))
    rewrite(path, {"tokenizer": json.dumps({"level": "word", "split": "whitespace", "words": words})})
    assert refusal(path) == (
        f"{path} has a tokenizer record of 1,888,941 characters, and this rnngen reads 1,000,000 at most: "
        "use the rnngen that made it, or train again"
    )


def test_the_longest_history_fits_into_its_record(tmp_path: Path) -> None:
    loss = 1.2345678901234567e-05
    record: dict[str, Any] = {
        "step": 10**12,
        "seconds": 1234567.123,
        "n_tokens": 10**15,
        "train_loss_nats": loss,
        "valid_loss_nats": loss,
    }
    saved = replace(make(), history=[record] * MOST_RECORDS)
    checkpoints.save(saved, tmp_path / "model")
    assert checkpoints.load(tmp_path / "model").history == saved.history


# Files that are no checkpoint


def test_a_missing_checkpoint_is_named_with_a_remedy(tmp_path: Path) -> None:
    path = tmp_path / "gone"
    assert refusal(path) == f"there is no checkpoint {path}: train one with rnngen train TEXT"


def test_a_folder_is_no_checkpoint(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"{tmp_path} is a folder: name a .safetensors file in it"


def test_a_name_too_long_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 300)
    assert refusal(path) == f"cannot read the checkpoint {path}: File name too long"


@pytest.mark.parametrize(
    "content",
    [b"\x80\x04\x95.", struct.pack("<Q", 9) + b"not json!", b"\x7fELF" * 9 + b"\0"],
    ids=["pickle", "header", "program"],
)
def test_a_file_of_another_kind_is_no_checkpoint(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    message = refusal(path)
    assert message.startswith(f"{path} is not a whole safetensors file (")
    assert message.endswith("): copy it or train it again")


def test_a_checkpoint_cut_anywhere_is_refused(path: Path) -> None:
    content = path.read_bytes()
    for size in [*range(10, len(content), 37), len(content) - 1]:
        path.write_bytes(content[:size])
        assert refusal(path).startswith(f"{path} is not a whole safetensors file (")


def test_a_flipped_bit_in_the_header_is_refused_or_harmless_and_never_a_crash(path: Path) -> None:
    content = bytearray(path.read_bytes())
    (size,) = struct.unpack("<Q", content[:8])
    messages = []
    for place in range(0, 8 + size, 3):
        content[place] ^= 1
        path.write_bytes(content)
        content[place] ^= 1
        try:
            checkpoints.load(path)
        except CheckpointError as error:
            messages.append(str(error))
    assert len(messages) > size / 6
    assert all(str(path) in message for message in messages)


def test_a_safetensors_file_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    for metadata in (None, {"format": "pt"}):
        save_file({"weight": np.zeros(3, np.float32)}, path, metadata)
        assert refusal(path) == (
            f"{path} is a safetensors file of another program, not an rnngen checkpoint: "
            "rnngen reads only its own checkpoints"
        )


# Checkpoints that are broken


@pytest.mark.parametrize("version", ["1", "3", None])
def test_another_format_version_is_refused_with_a_remedy(path: Path, version: str | None) -> None:
    rewrite(path, {"format_version": version})
    assert refusal(path) == (
        f"{path} has checkpoint format {version}; this rnngen reads format 2: "
        "use the rnngen that made it, or train again"
    )


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"output__bias": None}, "it lacks the weight output.bias"),
        ({"rnn__weight_ih_l7": np.zeros(1, np.float32)}, "it has the unknown weight rnn.weight_ih_l7"),
        (
            {"rnn__weight_hh_l0": np.zeros((3, 9), np.float32)},
            "rnn.weight_hh_l0 has the shape (3, 9), its model needs (9, 3)",
        ),
        ({"rnn__bias_hh_l0": np.zeros(9, np.float16)}, "rnn.bias_hh_l0 has the type F16, not float32"),
        ({"rnn__bias_hh_l0": np.zeros(9, np.float64)}, "rnn.bias_hh_l0 has the type F64, not float32"),
        ({"rnn__bias_hh_l0": np.full(9, np.nan, np.float32)}, "rnn.bias_hh_l0 holds numbers that are not finite"),
        ({"rnn__bias_hh_l0": np.full(9, -np.inf, np.float32)}, "rnn.bias_hh_l0 holds numbers that are not finite"),
        ({"tokenizer__sentencepiece": np.zeros(9, np.int8)}, "tokenizer.sentencepiece has the type I8, not uint8"),
    ],
)
def test_weights_that_do_not_fit_the_model_are_named(path: Path, tensors: dict[str, Any], message: str) -> None:
    rewrite(path, **tensors)
    assert refusal(path) == f"{path} is broken: {message}"


MODEL = ModelConfig(vocab_size=9, embedding_dim=3, hidden_size=3).to_dict()


@pytest.mark.parametrize("value", [None, "{", "[" * 100_000], ids=["missing", "not JSON", "deep"])
@pytest.mark.parametrize("key", ["model", "tokenizer", "training", "history"])
def test_a_record_that_is_missing_or_not_json_is_named(path: Path, key: str, value: str | None) -> None:
    rewrite(path, {key: value})
    assert refusal(path).startswith(
        f"{path} is broken: "
        + (f"it has no {key} record" if value is None else f"its {key} record is no usable JSON (")
    )


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model", [], "ModelConfig is list: it must be a JSON object"),
        ("model", MODEL | {"cell": "mlp"}, "cell is 'mlp': it must be one of lstm, gru, rnn, none"),
        ("model", MODEL | {"hidden_size": -3}, "hidden_size is -3: it must be a whole number from 1 to 16777216"),
        ("model", MODEL | {"colour": 1}, "ModelConfig field is 'colour': it must be a known one"),
        ("model", MODEL | {"dropout": 10**30}, "it must be at least 0 and below 1"),
        ("tokenizer", {"level": "letter"}, "it describes no tokenizer of level char, byte, word or subword"),
        ("tokenizer", 5, "it describes no tokenizer of level char, byte, word or subword"),
        ("tokenizer", {"level": "char", "characters": "aa"}, "a char vocabulary needs distinct characters"),
        ("tokenizer", {"level": "char", "characters": "ab"}, "its tokenizer has 4 symbols, its model 9"),
        ("training", [], "its training record has another form"),
        ("history", {}, "its training record has another form"),
        ("history", [1, 2], "its training record has another form"),
    ],
)
def test_a_record_of_another_form_is_named(path: Path, key: str, value: object, message: str) -> None:
    # Without the tensor, a vocabulary is looked for in the record, as in older checkpoints.
    rewrite(path, {key: json.dumps(value)}, **{"tokenizer__characters": None} if key == "tokenizer" else {})
    found = refusal(path)
    assert found.startswith(f"{path} is broken: ")
    assert message in found


@pytest.mark.parametrize("value", ["[]", "5", "null", '{"level": "byte"}', '{"level": "char"}'])
def test_a_vocabulary_with_a_record_that_does_not_fit_is_refused(tmp_path: Path, value: str) -> None:
    path = tmp_path / "model"
    checkpoints.save(make(TOKENIZERS["subword"]), path)
    rewrite(path, {"tokenizer": value})
    assert refusal(path) == f"{path} is broken: its vocabulary is not that of its level"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\nb\n", "its tokenizer has 4 symbols, its model 5"),
        (b"\n" * 10_000_000, "its tokenizer has 10000002 symbols, its model 5"),
        (b"a\nb\nc\nd", "its last word is cut"),
        (b"a\nb\n\xff\n", "its vocabulary is not UTF-8"),
        (b"a\na\nb\n", "a word vocabulary needs distinct words, none empty"),
        (b"a\n\nb\n", "a word vocabulary needs distinct words, none empty"),
        (b"a\nb c\nd\n", "a word vocabulary needs words without white space in them"),
    ],
    ids=range(7),
)
def test_words_that_are_no_vocabulary_of_the_model_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "model"
    checkpoints.save(make(TOKENIZERS["word"]), path)
    rewrite(path, tokenizer__words=np.frombuffer(content, np.uint8))
    tracemalloc.start()
    assert refusal(path) == f"{path} is broken: {message}"
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 4 * len(content) + (1 << 20)


def test_a_broken_sentencepiece_model_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model"
    checkpoints.save(make(TOKENIZERS["subword"]), path)
    rewrite(path, tokenizer__sentencepiece=np.zeros(99, np.uint8))
    assert refusal(path).startswith(f"{path} is broken: not a SentencePiece model: ")


# Writing


def test_a_save_that_fails_keeps_the_old_checkpoint(path: Path) -> None:
    old = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OutputError, match=f"^cannot write {path}: File too large; "):
            checkpoints.save(make(num_layers=2), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == old
    assert list(path.parent.iterdir()) == [path]
    assert checkpoints.load(path).config == make().config


# Untrusted checkpoints


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_layers": 10**15}, "num_layers is 1000000000000000: it must be a whole number from 1 to 1024"),
        ({"vocab_size": 10**15}, "vocab_size is 1000000000000000: it must be a whole number from 1 to 2147483647"),
        ({"hidden_size": 10**7}, "its model needs (30000000, 3)"),
        ({"num_layers": 1000}, "it lacks the weight rnn.bias_hh_l1"),
        ({"cell": "x" * 100_000}, "it must be one of lstm, gru, rnn, none"),
        ({"\x1b[2J" * 1000: 1}, "ModelConfig field is '\\x1b[2J"),
        ({"ngram_order": 17}, "ngram_order is 17: it must be a whole number from 0 to 16"),
        ({"ngram_order": 3}, "it lacks the weight counts.children"),
        ({"cell": "none"}, "embedding_dim is 3: it must be a whole number from 0 to 0"),
        ({"tie_weights": 1}, "tie_weights is 1: it must be true or false"),
    ],
)
def test_a_model_that_no_file_has_is_refused_in_a_short_line(path: Path, changes: dict[str, Any], message: str) -> None:
    rewrite(path, {"model": json.dumps(MODEL | changes)})
    found = refusal(path)
    assert message in found
    assert found.isprintable()
    assert len(found) < 400


def test_the_name_of_a_weight_cannot_take_over_a_terminal(path: Path) -> None:
    rewrite(path, **{"\x1b[2J\n" * 99: np.zeros(1, np.float32)})
    found = refusal(path)
    assert found.isprintable()
    assert "it has the unknown weight \\x1b[2J\\n" in found
    assert len(found) < 700
