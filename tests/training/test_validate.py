"""The validation loss: every token once, as near one pass as its run-ups make it."""

import numpy as np
import pytest

from rnngen.config import ModelConfig
from rnngen.engine.scoring import score_lines, score_text
from rnngen.text.dataset import Dataset
from rnngen.text.ids_on_disk import IdsOnDisk
from rnngen.training import validate
from rnngen.training.network import RNNLM
from rnngen.training.torch_model import TorchModel
from rnngen.training.validate import validation_loss

V, NEWLINE = 7, 1


class FewSymbols:
    newline_id, unk_id = NEWLINE, 3


def dataset_of(ids, lines=False) -> Dataset:
    return Dataset(
        tokenizer=FewSymbols(), train=IdsOnDisk(ids=ids), valid=IdsOnDisk(ids=ids), lines=lines, survey=None,
        valid_chars=len(ids),
    )  # fmt: skip


def random_ids(n: int) -> np.ndarray:
    return np.random.default_rng(n).integers(V, size=n).astype(np.uint16)


@pytest.fixture
def model():
    network = RNNLM(ModelConfig(vocab_size=V, embedding_dim=6, hidden_size=8, num_layers=1, cell="gru"))
    for parameter in network.parameters():
        parameter.data.normal_(0, 0.5)
    return TorchModel(network)


@pytest.fixture
def short_segments(monkeypatch):
    monkeypatch.setattr(validate, "RUN_UP", 64)
    monkeypatch.setattr(validate, "SHORTEST_SEGMENT", 128)


@pytest.mark.usefixtures("short_segments")
@pytest.mark.parametrize("n", [1, 127, 255, 256, 257, 3000])
def test_segments_side_by_side_have_the_loss_of_one_pass(model, n):
    ids = random_ids(n)
    one_pass = -np.concatenate(list(score_text(model, ids, NEWLINE))).mean()
    assert validation_loss(model, dataset_of(ids)).loss == pytest.approx(one_pass, abs=1e-4)


@pytest.mark.usefixtures("short_segments")
@pytest.mark.parametrize("n", [255, 256, 300, 1023])
def test_every_token_counts_once(n):
    network = RNNLM(ModelConfig(vocab_size=V, embedding_dim=6, hidden_size=8, num_layers=1, cell="gru"))
    for parameter in network.parameters():
        parameter.data.zero_()
    ids = random_ids(n)
    chances = np.arange(1, V + 1) / np.arange(1, V + 1).sum()
    network.output.bias.data.copy_(network.output.bias.new_tensor(np.log(chances)))
    wanted = -np.log(chances)[ids].mean()
    assert validation_loss(TorchModel(network), dataset_of(ids)).loss == pytest.approx(wanted, rel=1e-5)


def test_lines_are_validated_each_by_itself(model):
    lines = [np.array(line, np.uint16) for line in ([2, 3], [4], [5, 6, 2, 3, 4])]
    ids = np.concatenate([np.append(line, NEWLINE) for line in lines]).astype(np.uint16)
    wanted = -np.concatenate(score_lines(model, lines, NEWLINE)).mean()
    assert validation_loss(model, dataset_of(ids, lines=True)).loss == pytest.approx(wanted, rel=1e-6)


@pytest.mark.usefixtures("short_segments")
@pytest.mark.parametrize("piece", [1, 40, 1000])
def test_a_text_is_read_piece_by_piece_and_its_loss_is_the_same(model, monkeypatch, piece):
    data = dataset_of(random_ids(3001))
    whole = validation_loss(model, data).loss
    monkeypatch.setattr(validate, "PIECE_TOKENS", piece)
    assert validation_loss(model, data).loss == pytest.approx(whole, rel=1e-6)


@pytest.mark.parametrize("piece", [1, 5, 50, 5000])
def test_lines_are_read_piece_by_piece_each_once(monkeypatch, piece):
    monkeypatch.setattr(validate, "PIECE_TOKENS", piece)
    ids = np.append(random_ids(700), NEWLINE)
    wanted = [line[:-1].tolist() for line in np.split(ids, np.flatnonzero(ids == NEWLINE) + 1)[:-1]]
    pieces = list(validate.lines_of(ids, NEWLINE))
    assert [line.tolist() for lines in pieces for line in lines] == wanted
    assert (len(pieces) == 1) is (piece > len(ids))
