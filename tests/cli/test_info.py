"""`rnngen info` says what is in a checkpoint."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from rnngen import checkpoint as checkpoints
from rnngen.engine import compiled

TRAINING = {"texts", "text_sha256", "seed", "steps", "seconds", "n_tokens", "batch_size", "bptt", "learning_rate",
            "optimizer", "train_loss_nats", "valid_loss_nats", "rnngen_version", "torch_version"}  # fmt: skip


@pytest.mark.parametrize("name", ["char", "lstm", "lines", "word", "subword", "byte"])
def test_the_sizes_are_those_of_the_weights(rnngen, models, name):
    result = rnngen("info", models[name], "--json")
    assert result.code == 0
    [found] = result.records
    arrays = load_file(models[name])
    weights = {name: weight for name, weight in arrays.items() if not name.startswith(("tokenizer.", "counts."))}
    assert list(found) == ["checkpoint", "model", "tokenizer", "engine", "training", "history"]
    assert found["checkpoint"]["path"] == models[name]
    assert found["checkpoint"]["n_parameters"] == sum(weight.size for weight in weights.values())
    assert found["checkpoint"]["n_ngrams"] == len(arrays["counts.counts"])
    V, E = weights["embedding.weight"].shape
    assert (found["model"]["vocab_size"], found["model"]["embedding_dim"]) == (V, E)
    assert found["tokenizer"]["vocab_size"] == V
    assert found["model"]["hidden_size"] == weights["rnn.weight_hh_l0"].shape[1] == 24
    assert TRAINING.issubset(found["training"])


def test_the_configuration_is_the_one_asked_for(rnngen, models):
    char, lstm, lines, word = (
        rnngen("info", models[name], "--json").records[0] for name in ("char", "lstm", "lines", "word")
    )
    assert (char["model"]["cell"], char["model"]["num_layers"], char["model"]["tie_weights"]) == ("gru", 2, False)
    assert (lstm["model"]["cell"], lstm["model"]["num_layers"], lstm["model"]["tie_weights"]) == ("lstm", 1, True)
    assert (lines["training"]["lines"], char["training"]["lines"]) == (True, False)
    assert (word["tokenizer"]["level"], word["tokenizer"]["split"]) == ("word", "punctuation")
    assert char["training"]["steps"] == 30


def test_the_history_ends_with_the_last_step(rnngen, models):
    history = rnngen("info", models["byte"], "--json").records[0]["history"]
    assert history[-1]["step"] == 150
    assert [entry["step"] for entry in history] == sorted({entry["step"] for entry in history})
    assert (history[0]["step"], history[0]["train_loss_nats"]) == (0, None)  # the counts alone
    assert all(math.isfinite(entry["train_loss_nats"]) for entry in history[1:])
    assert history[-1]["valid_loss_nats"] < history[0]["valid_loss_nats"]


def test_a_person_sees_sections_and_a_drawing_of_the_losses(rnngen, models):
    result = rnngen("info", models["byte"])
    [found] = rnngen("info", models["byte"], "--json").records
    lines = result.out.splitlines()
    for section in ("checkpoint", "model", "tokenizer", "training", "engine"):
        assert section in lines
        for name in found[section]:
            assert any(len(line.split()) > 1 and line.split()[0] == name for line in lines)  # none is blank
    assert f"  n_parameters           {found['checkpoint']['n_parameters']:,}" in lines
    drawing = result.out[result.out.index("loss in nats") :]
    assert "150" in drawing.splitlines()[-1]
    assert drawing.count("o") > 2
    assert drawing.count("·") > 2
    assert f"{max(entry['train_loss_nats'] or 0 for entry in found['history']):.3f}" in drawing


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_the_drawing_fits_the_width_of_the_terminal(rnngen, models, monkeypatch, columns):
    whole = rnngen("info", models["byte"]).out
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = rnngen("info", models["byte"]).out
    drawing = shown[shown.index("loss in nats") :].splitlines()
    assert max(map(len, drawing)) == min(columns, 74)
    assert drawing[-1].split()[-1] == "150"
    if columns == 80:
        assert shown == whole


def test_quiet_leaves_stderr_empty(rnngen, models):
    assert rnngen("info", models["char"], "-q").err == ""
    assert rnngen("info", models["char"]).err == f"model: {models['char']}\n"


@pytest.mark.parametrize(
    ("training", "history"),
    [
        ({}, [{}]),
        ({"a": [None, {"b": []}], "seed": [1], "\n": "x\ny", "n": 2**127}, [{"step": "1", "train_loss_nats": []}]),
        ({"lines": {}, "x": float("nan")}, [{"step": 1, "valid_loss_nats": float("inf")}, {"step": None}]),
        ({"seed": "7\nvalid_loss_nats     0.0001"}, []),
        ({}, [{"step": 1, "train_loss_nats": 1e308}, {"step": 2, "train_loss_nats": -1e308}]),
        ({}, [{"step": 2**127, "valid_loss_nats": 2.0}, {"step": True, "valid_loss_nats": True}]),
    ],
)
def test_records_of_any_form_are_shown(rnngen, models, tmp_path, training, history):
    path = tmp_path / "strange.safetensors"
    strange = replace(checkpoints.load(Path(models["char"])), training=training, history=history)
    checkpoints.save(strange, path)
    lines = rnngen("info", path).out.splitlines()
    assert "training" in lines
    assert all(line.startswith("  ") for line in lines[lines.index("training") + 1 :] if "loss in nats" not in line)
    assert rnngen("info", path, "--json").records[0]["model"]["vocab_size"] == strange.config.vocab_size


@pytest.mark.parametrize("library", [None, compiled.LIBRARY], ids=["numpy", "as it is"])
def test_it_says_what_the_recurrence_runs_on(rnngen, models, monkeypatch, library):
    monkeypatch.setattr(compiled, "LIBRARY", library)
    monkeypatch.setattr(compiled, "WHY_NOT", "there was no C compiler")
    said = rnngen("info", models["char"], "--json").records[0]["engine"]
    if library is None:
        assert said == {"recurrence": "numpy", "because": "there was no C compiler"}
    else:
        assert said == {"recurrence": "compiled", "floats_a_vector": library.lanes, "threads": library.threads}
