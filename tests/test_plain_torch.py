"""A checkpoint is plain torch: ten lines that know nothing of rnngen give the log-probabilities of `score --tokens`."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import rnngen
from rnngen.cli.app import run

FORMATS = (Path(__file__).parents[1] / "docs" / "formats.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", FORMATS, re.DOTALL | re.MULTILINE)
PLAY = (Path(__file__).parents[1] / "corpora" / "marrowmere.txt").read_text("utf-8")[:3000]
LINES = ["Haul gently, lads, and let the windlass breathe.", "", "☃ is unknown", "no end"]


def run_document(part: str, path: str, **names: Any) -> dict[str, Any]:
    """Run the lines of plain torch in docs/formats.md that hold `part`, on a checkpoint; what they define."""
    (block,) = (block for block in BLOCKS if part in block)
    assert "checkpoints/marrowmere.safetensors" in block
    namespace = dict(names)
    exec(block.replace("checkpoints/marrowmere.safetensors", path), namespace)
    return namespace


def plain_logprobs(path: str, module: type[torch.nn.RNNBase], ids: list[int]) -> torch.Tensor:
    """Natural log-probability of each of `ids` but the first, given those before it."""
    weights = load_file(path)
    recurrent = {name.removeprefix("rnn."): weight for name, weight in weights.items() if name.startswith("rnn.")}
    (_, E), H = weights["embedding.weight"].shape, recurrent["weight_hh_l0"].shape[1]
    rnn = module(E, H, num_layers=sum(name.startswith("weight_hh") for name in recurrent))
    rnn.load_state_dict(recurrent)
    with torch.no_grad():
        outputs, _ = rnn(weights["embedding.weight"][ids[:-1]])  # [T, H]
        logits = outputs @ weights.get("output.weight", weights["embedding.weight"]).T + weights["output.bias"]
        if "mix" in weights:
            logprobs = run_document("def count_logprobs", path)["count_logprobs"]
            network, counts = weights["mix"].tolist()
            by_counts = [torch.from_numpy(logprobs(ids[: t + 1])).float() for t in range(len(ids) - 1)]
            logits = network * logits + counts * torch.stack(by_counts)
        return logits.log_softmax(-1)[range(len(ids) - 1), ids[1:]]  # [T]


@pytest.mark.parametrize(
    ("module", "options"),
    [
        (torch.nn.GRU, ["--cell", "gru"]),
        (torch.nn.GRU, ["--cell", "gru", "--num-layers", "3", "--level", "byte"]),
        (torch.nn.LSTM, ["--cell", "lstm", "--num-layers", "2"]),
        (torch.nn.LSTM, ["--cell", "lstm", "--tie-weights", "--level", "word"]),
        (torch.nn.RNN, ["--cell", "rnn", "--level", "subword", "--vocab-size", "320"]),
        (torch.nn.GRU, ["--ngram-order", "3", "--ngram-size", "0.01"]),
        (torch.nn.LSTM, ["--cell", "lstm", "--ngram-order", "none"]),
        (torch.nn.GRU, ["--lines", "--ngram-order", "1"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value.__name__,
)
def test_score_gives_the_log_probabilities_of_plain_torch(tmp_path, capsys, module, options):
    (tmp_path / "text.txt").write_text(PLAY, "utf-8")
    (tmp_path / "lines.txt").write_text("\n".join(LINES), "utf-8")
    path = str(tmp_path / "model.safetensors")
    budget = ["--steps", "10", "--lr", "0.05", "--hidden-size", "24", "--threads", "1"]
    assert run(["train", str(tmp_path / "text.txt"), "-o", path, *budget, *options]) == 0
    capsys.readouterr()
    assert run(["score", str(tmp_path / "lines.txt"), "-m", path, "--tokens", "--json"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.split("\n")[:-1]]
    assert [record["text"] for record in records] == LINES
    for record in records:
        ids = [token["id"] for token in record["tokens"]]
        expected = plain_logprobs(path, module, [ids[-1], *ids])
        found = torch.tensor([token["logprob_nats"] for token in record["tokens"]])
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
        assert record["logprob_nats"] == pytest.approx(expected.sum().item(), abs=1e-3)


def test_three_lines_of_the_document_load_the_recurrent_layer(tmp_path):
    (tmp_path / "text.txt").write_text(PLAY, "utf-8")
    path = str(tmp_path / "model.safetensors")
    assert run(["train", str(tmp_path / "text.txt"), "-o", path, "--steps", "1", "--hidden-size", "12", "-q"]) == 0
    made = run_document("reversed(weights", path)
    assert torch.equal(made["rnn"].weight_hh_l0, made["weights"]["rnn.weight_hh_l0"])


@pytest.mark.parametrize(
    ("module", "options"),
    [
        (torch.nn.GRU, []),
        (torch.nn.LSTM, ["--cell", "lstm", "--num-layers", "3", "--level", "word"]),
        (torch.nn.RNN, ["--cell", "rnn", "--tie-weights", "--lines"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value.__name__,
)
def test_a_bidirectional_model_is_plain_torch_too(tmp_path, capsys, module, options):
    (tmp_path / "text.txt").write_text(PLAY, "utf-8")
    (tmp_path / "lines.txt").write_text("\n".join(LINES), "utf-8")
    path = str(tmp_path / "model.safetensors")
    budget = ["--steps", "10", "--lr", "0.05", "--hidden-size", "24", "--threads", "1", "--bidirectional"]
    assert run(["train", str(tmp_path / "text.txt"), "-o", path, *budget, *options]) == 0
    capsys.readouterr()
    assert run(["score", str(tmp_path / "lines.txt"), "-m", path, "--tokens", "--json"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.split("\n")[:-1]]
    newline = 1  # of characters and of words
    logits_of = run_document("def both_sides_logits", path)["both_sides_logits"]
    for record in records:
        ids = [token["id"] for token in record["tokens"]]
        with torch.no_grad():
            logprobs = logits_of([newline, *ids, newline], module=module).log_softmax(-1) if ids else torch.empty(0, 1)
        found = torch.tensor([token["pseudo_logprob_nats"] for token in record["tokens"]])
        torch.testing.assert_close(found, logprobs[range(len(ids)), ids], atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("module", "options"), [(torch.nn.GRU, ["--num-layers", "2"]), (torch.nn.LSTM, ["--cell", "lstm"])]
)
def test_a_tagger_is_plain_torch_too(tmp_path, capsys, module, options):
    (tmp_path / "tags.tsv").write_text("the bell rings\tDET NOUN VERB\na tide turns\tDET NOUN VERB\n" * 20, "utf-8")
    path = str(tmp_path / "model.safetensors")
    budget = ["--steps", "10", "--lr", "0.05", "--hidden-size", "24", "--threads", "1", "--tags"]
    assert run(["train", str(tmp_path / "tags.tsv"), "-o", path, *budget, *options]) == 0
    (tmp_path / "lines.txt").write_text("the tide\nrings unknown bell turns\n", "utf-8")
    capsys.readouterr()
    assert run(["tag", str(tmp_path / "lines.txt"), "-m", path, "--probabilities", "--json"]) == 0
    encode = rnngen.load(path).encode
    logprobs_of = run_document("def tag_logprobs", path)["tag_logprobs"]
    for record in map(json.loads, capsys.readouterr().out.split("\n")[:-1]):
        words = [one["word"] for one in record["words"]]
        with torch.no_grad():
            best = logprobs_of(words, lambda word: encode(word).tolist(), module=module).max(1).values.exp()
        assert best.tolist() == pytest.approx([one["probability"] for one in record["words"]], abs=1e-5)
