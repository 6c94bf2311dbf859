"""A checkpoint is plain torch: ten lines that know nothing of rnngen give the log-probabilities of `score --tokens`."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from rnngen.cli.app import run

PLAY = (Path(__file__).parents[1] / "corpora" / "marrowmere.txt").read_text("utf-8")[:6000]
LINES = ["Haul gently, lads, and let the windlass breathe.", "", "☃ is unknown", "no end"]


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
        if "ngram.weight" in weights:
            logits += plain_ngrams(path, weights["ngram.weight"].float(), ids[:-1])
        return logits.log_softmax(-1)[range(len(ids) - 1), ids[1:]]  # [T]


def plain_ngrams(path: str, table: torch.Tensor, ids: list[int]) -> torch.Tensor:
    """The sum of the rows of every place's contexts, [T, V]: ten lines, too."""
    with safe_open(path, framework="pt") as file:
        config = json.loads(file.metadata()["model"])
    V, bits, first, total = config["vocab_size"], config["ngram_bits"], 0, torch.zeros(len(ids), config["vocab_size"])
    for n in config["ngram_orders"]:
        hashed = V**n > 2**bits
        for t in range(len(ids)):
            row = 0
            for id in ([0] * n + ids)[t + n : t : -1]:  # from the latest to the earliest; before the text are zeros
                row = (row * 1640531527 % 2**32 if hashed else row * V) + id
            total[t] += table[first + (row * 1640531527 % 2**32 >> (32 - bits) if hashed else row)]
        first += min(V**n, 2**bits)
    return total


@pytest.mark.parametrize(
    ("module", "options"),
    [
        (torch.nn.GRU, ["--cell", "gru"]),
        (torch.nn.GRU, ["--cell", "gru", "--num-layers", "3", "--level", "byte"]),
        (torch.nn.LSTM, ["--cell", "lstm", "--num-layers", "2"]),
        (torch.nn.LSTM, ["--cell", "lstm", "--tie-weights", "--level", "word"]),
        (torch.nn.RNN, ["--cell", "rnn", "--level", "subword", "--vocab-size", "320"]),
        (torch.nn.GRU, ["--ngram-orders", "1,3", "--ngram-bits", "9"]),
        (torch.nn.LSTM, ["--cell", "lstm", "--ngram-orders", "none"]),
        (torch.nn.GRU, ["--level", "byte", "--ngram-orders", "2,3,4,5"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value.__name__,
)
def test_score_gives_the_log_probabilities_of_plain_torch(tmp_path, capsys, module, options):
    (tmp_path / "text.txt").write_text(PLAY, "utf-8")
    (tmp_path / "lines.txt").write_text("\n".join(LINES), "utf-8")
    path = str(tmp_path / "model.safetensors")
    budget = ["--steps", "30", "--lr", "0.02", "--hidden-size", "32", "--threads", "1"]
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
