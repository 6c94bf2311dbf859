"""Training a tagger: its network is the engine's, it learns words by their spelling, and a stopped run goes on."""

from __future__ import annotations

import random
from itertools import islice

import numpy as np
import pytest
import torch
from small_runs import follow, weights_of

import rnngen
from rnngen.config import ModelOptions, TokenizerConfig, TrainConfig
from rnngen.engine.runner import tagger_of
from rnngen.engine.tagger import Tagger
from rnngen.runs.resume import resume
from rnngen.runs.train import training_events
from rnngen.text.corpus import StringText
from rnngen.text.dataset import prepare
from rnngen.training.plan import make_plan
from rnngen.training.tagging import Tagging

CHANCE = random.Random(1)
ENDINGS = {"ing": "VERB", "ly": "ADV", "ness": "NOUN"}


def made_up_word():
    ending = CHANCE.choice(list(ENDINGS))
    return "".join(CHANCE.choices("abcdefgh", k=4)) + ending, ENDINGS[ending]


def made_up_text(n_lines):
    lines = []
    for _ in range(n_lines):
        words, tags = zip(*(made_up_word() for _ in range(CHANCE.randint(1, 6))), strict=True)
        lines.append(" ".join(words) + "\t" + " ".join(tags) + "\n")
    return "".join(lines)


TEXT = made_up_text(200)
OPTIONS = ModelOptions(hidden_size=12, embedding_dim=8, tags=True)
SMALL = {"steps": 30, "batch_size": 8, "threads": 1, "lines": True}


@pytest.fixture(params=["gru", "lstm", "rnn"])
def task(request, tmp_path):
    options = ModelOptions(hidden_size=12, num_layers=2, cell=request.param, tags=True)
    config = TrainConfig(**SMALL, precision="float32")
    data = prepare(StringText(TEXT), None, config, None, TokenizerConfig("char"), tmp_path)
    torch.manual_seed(0)
    return Tagging(make_plan(config, options, data), data)


def generator_of():
    return np.random.Generator(np.random.PCG64(3))


def test_the_torch_network_is_that_of_the_engine(task):
    some = task._train[:9]
    batch = task._batch(
        some, np.ones((max(len(sentence.words) for sentence in some), len(some)))
    )  # no word is taken as unknown
    task.network.eval()
    _, losses, _ = task.loss(batch, ())
    tagger = Tagger(task._plan.model, task.weights(), task._tokenizer, task._known)
    for column, found in enumerate(tagger.logprobs([sentence.words for sentence in some])):
        ids = batch.targets[: len(found), column]
        np.testing.assert_allclose(found[range(len(ids)), ids], -losses[: len(ids), column].detach(), atol=1e-5)


def test_rare_words_are_taken_as_unknown_now_and_then(task):
    batches = list(islice(task.windows(generator_of(), 0), 50))
    unknown = sum(int(((batch.words == 0) & (batch.targets >= 0)).sum()) for batch in batches)
    assert 0.4 < unknown / sum(batch.n_tokens for batch in batches) < 0.6  # most words are met once: half of them


def test_an_epoch_has_every_sentence_once(task):
    batches = list(islice(task.windows(generator_of(), 0), 2 * -(-len(task._train) // 8)))
    first = [sentence for batch in batches[: len(batches) // 2] for sentence in batch.sentences]
    assert sorted(first) == sorted(task._train)
    [later] = islice(task.windows(generator_of(), skip=5), 1)
    assert (later.words == batches[5].words).all()
    assert later.sentences == batches[5].sentences


def test_words_that_nobody_has_met_are_tagged_by_their_spelling():
    model = rnngen.train(
        text=TEXT, model=OPTIONS, training=TrainConfig(steps=120, learning_rate=0.02, threads=1, batch_size=16)
    )
    assert model.training["lines"]  # a line is an example of its own
    tagger = tagger_of(model.runner)
    words, tags = zip(*(made_up_word() for _ in range(60)), strict=True)
    [logprobs] = tagger.logprobs([words])
    found = [tagger.known.tags[id] for id in logprobs.argmax(axis=1)]
    assert sum(map(str.__eq__, found, tags)) > 57
    assert sum(map(tagger.knows, words)) < 30


def test_a_stopped_run_goes_on_to_the_same_weights(tmp_path):
    def events(name, **settings):
        return training_events(
            text=TEXT, output=tmp_path / name, model=OPTIONS, force=True, training=TrainConfig(**SMALL), **settings
        )

    follow(lambda should_stop: events("whole", should_stop=should_stop))
    follow(lambda should_stop: events("cut", should_stop=should_stop), stop_after=11)
    assert list(tmp_path.glob("cut.resume*"))
    follow(lambda should_stop: resume(tmp_path / "cut", text=TEXT, should_stop=should_stop))
    assert weights_of(tmp_path / "cut.safetensors") == weights_of(tmp_path / "whole.safetensors")
