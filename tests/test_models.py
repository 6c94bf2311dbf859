"""A model does from Python what the commands do: samples, scores, measures, encodes, is saved and found."""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise
from pathlib import Path

import pytest

import rnngen
from rnngen.evaluate.scored_lines import Boundaries


def test_a_sample_depends_on_the_seed_alone(hello):
    def drawn(seed):
        return "".join(hello.sample(temperature=2, length=60, seed=seed))

    assert drawn(1) == drawn(1)
    assert len({drawn(seed) for seed in range(4)}) == len({drawn(None) for _ in range(4)}) == 4


def test_every_setting_of_a_sample_is_used(hello):
    def drawn(**settings):
        return "".join(hello.sample("h", length=60, seed=1, **{"temperature": 3.0, **settings}))

    plain = drawn()
    for settings in ({"temperature": 1.0}, {"top_k": 2}, {"top_p": 0.3}, {"min_p": 0.5}, {"repetition_penalty": 9.0}):
        assert drawn(**settings) != plain
    assert drawn(stop=["l"]) == drawn(stop="l") == plain[: plain.index("l")]
    assert len("".join(hello.sample(length=7))) == 7


def test_a_wrong_setting_or_prompt_is_refused_at_the_call_and_not_at_the_first_piece(hello):
    with pytest.raises(rnngen.ConfigError, match="top_p is 2"):
        hello.sample(top_p=2)
    with pytest.raises(rnngen.TokenizerError, match="the prompt has a symbol that the model does not know: 'x'"):
        hello.sample("hex")
    with pytest.raises(rnngen.TokenizerError, match="'x'"):
        hello.samples(prompt="hex")


def test_unknown_symbols_of_a_prompt_can_be_left_out(hello):
    options = {"temperature": 0, "length": 4}
    assert list(hello.sample("hxe", on_unknown="skip", **options)) == list(hello.sample("he", **options))


def test_a_model_of_lines_ends_a_sample_at_the_line_break(hello):
    of_lines = dataclasses.replace(
        hello, checkpoint=dataclasses.replace(hello.checkpoint, training={**hello.training, "lines": True})
    )
    assert "".join(of_lines.sample("h", temperature=0)) == "ello"
    [sample] = of_lines.samples(rnngen.SampleConfig(temperature=0), "h")
    assert (sample.text, sample.stopped_by) == ("ello", "stop")


def test_scores_are_those_of_the_step_function(hello):
    [line] = hello.score(["hel"])
    stepper, symbols = hello.start(), "\nhel\n"
    by_hand = [stepper.step(one).logprob_nats(two) for one, two in pairwise(symbols)]
    assert line.logprobs.tolist() == pytest.approx(by_hand, abs=1e-4)
    assert line.totals.logprob_nats == pytest.approx(sum(by_hand), abs=1e-4)


def test_lines_are_scored_in_order_with_or_without_their_line_breaks(hello):
    lines = ["hello", "", "he\n"]
    scored = list(hello.score(iter(lines)))
    assert [(line.number, line.text, line.totals.n_tokens) for line in scored] == [
        (1, "hello", 6), (2, "", 1), (3, "he", 3),
    ]  # fmt: skip
    [bare] = hello.score(["hello"], boundaries=Boundaries(eos=False))
    assert bare.totals.n_tokens == 5


def test_more_lines_than_a_block_are_scored_like_few(hello, monkeypatch):
    lines = ["hello", "hell", "he", "h", "lo"]
    wanted = [line.totals.logprob_nats for line in hello.score(lines)]
    monkeypatch.setattr("rnngen.text.sources.LINES_AT_A_TIME", 2)
    found = list(hello.score(lines))
    assert [line.number for line in found] == [1, 2, 3, 4, 5]
    assert [line.totals.logprob_nats for line in found] == pytest.approx(wanted, abs=1e-4)


def test_a_line_with_a_line_break_inside_is_refused(hello):
    with pytest.raises(rnngen.DataError, match="line 2 has a line break inside: give its parts as lines of their own"):
        list(hello.score(["hello", "he\nllo\n"]))


def test_a_line_or_text_with_a_nul_is_refused_in_python_too(hello):
    with pytest.raises(rnngen.DataError, match="line 2 has a NUL character at character 3: leave it out"):
        list(hello.score(["hello", "he\0llo\n"]))
    with pytest.raises(rnngen.DataError, match="the text has a NUL character at character 3: leave it out"):
        hello.measure(text="he\0llo\n")
    with pytest.raises(rnngen.DataError, match="the text has a NUL character at character 3: leave it out"):
        rnngen.build_tokenizer(text="he\0llo\n")


def test_unknown_symbols_of_lines_and_texts_are_handled_as_asked(hello):
    assert next(hello.score(["hexlo"])).totals.n_unknown == 1
    with pytest.raises(rnngen.TokenizerError, match="line 1 has a symbol that the model does not know: 'x'"):
        list(hello.score(["hexlo"], on_unknown="error"))
    assert hello.measure(text="hex\n").unknowns.count == 1
    with pytest.raises(rnngen.TokenizerError, match="'x'"):
        hello.measure(text="hex\n", on_unknown="error")


def test_a_text_is_measured_from_a_file_as_from_a_string(hello, tmp_path):
    text = "hello\nhello\nhelo\n"
    (tmp_path / "text").write_text(text)
    from_string, from_file = hello.measure(text=text), hello.measure(tmp_path / "text")
    assert from_file.estimate("perplexity") == from_string.estimate("perplexity")
    by_lines = hello.measure(text=text, state="reset").estimate("loss_nats").value
    scored = list(hello.score(text.splitlines()))
    n_tokens = sum(line.totals.n_tokens for line in scored)
    assert by_lines == pytest.approx(-sum(line.totals.logprob_nats for line in scored) / n_tokens, abs=1e-4)
    assert math.isfinite(from_string.estimate("perplexity").standard_error)


def test_ids_are_encoded_and_decoded_and_wrong_ones_refused(hello):
    assert hello.decode(hello.encode("hello\n")) == "hello\n"
    assert hello.decode([]) == ""
    for ids in ([99], [-1]):
        with pytest.raises(rnngen.DataError, match="this tokenizer has 0 to 5"):
            hello.decode(ids)


def test_a_model_is_saved_and_loaded_and_never_overwritten_unasked(hello):
    path = hello.save("copy")
    assert path == Path("checkpoints/copy.safetensors")
    again = rnngen.load("copy")
    assert (again.path, again.config, again.training) == (path, hello.config, hello.training)
    assert list(again.sample(seed=1, length=20)) == list(hello.sample(seed=1, length=20))
    with pytest.raises(rnngen.OutputError, match=r"copy.safetensors exists already.*: give replace=True"):
        hello.save("copy")
    assert hello.save(Path("copy"), replace=True) == path
    assert hello.save("folder/copy") == Path("folder/copy.safetensors")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda model: model.sample("h", on_unknown="foo"), "on_unknown is 'foo': it must be one of error, unk, skip"),
        (lambda model: list(model.score(["h"], on_unknown="foo")), "on_unknown is 'foo'"),
        (lambda model: model.measure(text="h", on_unknown="foo"), "on_unknown is 'foo'"),
        (lambda model: model.measure(text="h", state="foo"), "state is 'foo': it must be one of reset, carry"),
        (lambda model: model.sample(None), "the prompt is None: it must be a string"),
        (lambda model: model.score("hello"), "lines is one string: give a list of lines"),
        (lambda model: rnngen.load("hello", device="foo"), "device is 'foo': it must be one of cpu, cuda"),
    ],
)
def test_a_wrong_argument_is_named_and_never_taken_for_another(hello, wrong, message):
    with pytest.raises(rnngen.ConfigError, match=message):
        wrong(hello)


def test_the_newest_model_is_loaded_without_a_name_and_the_caller_is_told(hello, monkeypatch):
    monkeypatch.delenv("RNNGEN_MODEL", raising=False)
    said = []
    assert rnngen.load(say=said.append).path == hello.path
    assert said == [f"model: {hello.path}"]
    monkeypatch.setenv("RNNGEN_MODEL", "nothing")
    with pytest.raises(rnngen.CheckpointError, match="nothing"):
        rnngen.load()


def test_a_model_is_shown_by_its_path_and_can_be_a_key(hello):
    assert repr(hello) == f"Model(path={hello.path!r})"
    assert {hello: "a"}[hello] == "a"


def test_layers_are_new_ones_each_time(hello):
    one, other = hello.layers(), hello.layers()
    one.recurrent[0].step(one.embedding.step(3))
    assert one.recurrent[0].h.any()
    assert not other.recurrent[0].h.any()
