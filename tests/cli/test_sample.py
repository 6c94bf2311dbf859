"""`rnngen sample`: prompts, stopping, truncation, seeds; and how every command finds its model."""

import gzip
import math
import os
import re
import shlex
import shutil

import pytest

import rnngen as rnngen_library

PROMPT = "MATTHIAS:\nHaul"


@pytest.fixture
def sample(rnngen, models):
    def call(*arguments, model="char", **options):
        result = rnngen("sample", "-m", models[model], *arguments, **options)
        assert result.code == 0
        return result

    return call


def test_the_model_and_the_seed_are_named_on_stderr_and_the_seed_gives_the_text_again(sample, models):
    first = sample("--length", 80)
    model, seed = first.err.splitlines()
    assert model == f"model: {models['char']}"
    again = sample("--length", 80, "--seed", seed.removeprefix("seed: "))
    assert again == first
    assert len({sample("--length", 80, "--seed", n).out for n in range(4)}) == 4


def test_quiet_leaves_stderr_empty(sample):
    assert sample("--length", 5, "-q").err == ""


@pytest.mark.parametrize("model", ["char", "lstm", "lines", "word", "subword", "byte"])
def test_the_prompt_is_echoed_unless_no_echo(sample, model):
    prompt = {"lines": "Sal", "byte": "😀", "word": "the"}.get(model, PROMPT)
    options = ("--prompt", prompt, "--length", 40, "--seed", 3)
    echoed, bare = sample(*options, model=model).out, sample(*options, "--no-echo", model=model).out
    assert echoed == prompt + bare
    assert echoed.endswith("\n")
    assert bare.strip()


def test_a_word_that_goes_on_from_a_prompt_begins_with_a_space(sample):
    outs = [sample("--prompt", "the", "--length", 1, "--seed", seed, "--no-echo", model="word").out
            for seed in range(12)]  # fmt: skip
    letters = [out for out in outs if out.strip()[:1].isalpha()]
    assert letters
    assert all(out.startswith(" ") for out in letters)


@pytest.mark.parametrize("source", ["file", "-", "gz"])
def test_a_prompt_comes_from_a_file_or_stdin_as_from_the_command_line(sample, tmp_path, source):
    (tmp_path / "prompt.txt").write_text(PROMPT)
    (tmp_path / "prompt.gz").write_bytes(gzip.compress(PROMPT.encode()))
    name = {"file": "prompt.txt", "-": "-", "gz": "prompt.gz"}[source]
    options = ("--length", 30, "--seed", 1)
    given = sample("--prompt-file", name, *options, stdin=PROMPT.encode())
    assert given.out == sample("--prompt", PROMPT, *options).out


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_one_final_line_break_is_dropped_from_a_prompt_that_comes_from_a_file_or_a_pipe(sample, tmp_path, ending):
    options = ("-n", 5, "--seed", 1)
    expected = sample("--prompt", "Bel", *options, model="lines").out
    assert max(map(len, expected.splitlines())) > 3
    (tmp_path / "prompt.txt").write_bytes(f"Bel{ending}".encode())
    for source in ("prompt.txt", "-"):
        given = sample("--prompt-file", source, *options, model="lines", stdin=f"Bel{ending}".encode())
        assert given.out == expected
    # Only one: the others are a part of the prompt.
    assert sample("--prompt-file", "-", "--length", 0, stdin=b"Bel\n\n").out == "Bel\n"


def test_what_is_piped_in_is_the_prompt(sample):
    options = ("--length", 30, "--seed", 1)
    assert sample(*options, stdin=b"Haul\n").out == sample("--prompt", "Haul", *options).out
    assert sample(*options, stdin=b"").out == sample("--prompt", "", *options, stdin=b"Haul\n").out
    assert sample(*options, stdin=b"\n") == sample(*options, stdin=b"")


def test_a_prompt_with_escapes_is_written_as_a_stop_string_is(sample):
    options = ("--length", 30, "--seed", 1)
    for written, text in ((r"A\n", "A\n"), (r"A\r\nB", "A\nB")):
        assert sample("--prompt", written, *options).out == sample("--prompt", text, *options).out
    [record] = sample("--prompt", r"\\temp \alpha", "--length", 1, "--json", model="byte").records
    assert record["prompt"] == r"\temp \alpha"


@pytest.mark.parametrize("argument", ["PERRIN:", "the bell", "it's"])
def test_a_text_in_place_of_an_option_hints_at_prompt(rnngen, argument):
    result = rnngen("sample", argument)
    assert (result.code, result.out) == (2, "")
    assert result.err == f"rnngen: sample continues the text of an option: write --prompt {shlex.quote(argument)}\n"


def test_a_file_in_place_of_an_option_hints_at_prompt_file(rnngen, tmp_path):
    (tmp_path / "start.txt").write_text("the")
    assert rnngen("sample", "start.txt").err.endswith("write --prompt-file start.txt\n")


@pytest.mark.parametrize("command", ["score", "perplexity", "tokenize", "train"])
def test_a_text_in_place_of_a_file_hints_at_the_pipe(rnngen, command):
    for text in ("The bell", "Hello"):
        result = rnngen(command, text)
        assert (result.code, result.out) == (1, "")
        assert result.err == (
            f"rnngen: cannot read {text}: there is no such file; a text itself is piped in: "
            f"echo {shlex.quote(text)} | rnngen {command}\n"
        )
    long = rnngen(command, "The bell rings.\n" * 30)
    assert (long.code, long.out, long.err.count("\n")) == (1, "", 1)
    assert long.err.endswith(f"echo TEXT | rnngen {command}\n")
    assert len(long.err) < 250
    assert rnngen(command, "gone.txt").err == "rnngen: cannot read gone.txt: there is no such file\n"


def test_a_prompt_file_may_have_another_encoding(sample, tmp_path):
    (tmp_path / "prompt.txt").write_bytes("Haul".encode("utf-16"))
    options = ("--length", 10, "--seed", 1)
    given = sample("--prompt-file", "prompt.txt", "--encoding", "utf-16", *options)
    assert given.out == sample("--prompt", "Haul", *options).out


def test_the_prompt_changes_what_follows(sample):
    drawn = [sample("--prompt", prompt, "--length", 5, "--temp", 0, "--json").records[0]["logprob_nats"]
             for prompt in ("", "A", "AA", "Enter the")]  # fmt: skip
    assert len(set(drawn)) == 4


@pytest.mark.parametrize("prompt", ["Ha☃ul", "☃"])
def test_an_unknown_symbol_of_the_prompt_is_an_error_only_when_asked(rnngen, sample, models, prompt):
    options = ("--prompt", prompt, "--length", 20, "--seed", 1)
    refused = rnngen("sample", "-m", models["char"], *options, "--on-unknown", "error", "-q")
    assert (refused.code, refused.out) == (1, "")
    for word in ("☃", "U+2603 SNOWMAN", f"character {prompt.index('☃') + 1}", "--on-unknown skip"):
        assert word in refused.err
    skipped = sample(*options)
    assert skipped == sample(*options, "--on-unknown", "skip")
    assert "U+2603 SNOWMAN" in skipped.err
    assert "left out" in skipped.err
    assert skipped.out.startswith(prompt)
    known = sample("--prompt", prompt.replace("☃", ""), *options[2:], "--no-echo").out
    assert sample(*options, "--no-echo").out == known
    assert "taken as the unknown symbol" in sample(*options, "--on-unknown", "unk").err


@pytest.mark.parametrize("model", ["byte", "subword"])
def test_a_byte_or_subword_model_knows_every_prompt(sample, model):
    result = sample("--prompt", "☃ é", "--on-unknown", "error", "--length", 3, model=model)
    assert result.out.startswith("☃ é")
    assert "unknown" not in result.err


@pytest.mark.parametrize("model", ["char", "byte", "word", "subword"])
def test_a_prompt_that_is_not_utf8_is_handled_like_any_other(rnngen, models, model):
    prompt = b"a\xffb".decode("utf-8", "surrogateescape")
    result = rnngen("sample", "-m", models[model], "--prompt", prompt, "--length", 3, "-q")
    assert result.code == 0 or (result.err.count("\n") == 1 and not result.out)


def test_a_stop_string_ends_the_text_before_it(sample):
    options = ("--length", 300, "--seed", 2)
    whole = sample(*options).out
    for stop in (whole[40:43], whole[100:102]):
        stopped = sample(*options, "--stop", stop, "--stop", "no such string").out
        assert stopped.rstrip("\n") == whole[: whole.index(stop)].rstrip("\n")
        record = sample(*options, "--stop", stop, "--json").records[0]
        assert (record["text"], record["stopped_by"]) == (whole[: whole.index(stop)], "stop")


@pytest.mark.parametrize("stop", [r"\n", r"\r\n", "\r\n"])
def test_a_stop_string_may_be_written_as_an_escaped_line_break(sample, stop):
    whole = sample("--length", 300, "--seed", 2).out
    assert sample("--length", 300, "--seed", 2, "--stop", stop).out == whole[: whole.index("\n") + 1]


@pytest.fixture(scope="module")
def latex(tmp_path_factory):
    """A checkpoint that has learnt to write macros."""
    folder = tmp_path_factory.mktemp("latex")
    training = rnngen_library.TrainConfig(steps=150, learning_rate=0.02, threads=1)
    model = rnngen_library.ModelOptions(hidden_size=24, ngram_order=0)
    text = "a \\temp b \\new c\n" * 100
    return str(rnngen_library.train(text=text, output=folder / "latex", model=model, training=training).path)


@pytest.mark.parametrize("name", ["temp", "new"])
def test_a_stop_string_with_a_backslash_stops_at_a_macro_of_latex(rnngen, latex, name):
    options = ("sample", "-m", latex, "--temp", "0", "--length", 60)
    assert f"\\{name}" in rnngen(*options).out
    stopped = rnngen(*options, "--stop", rf"\\{name}", "--json").records[0]
    assert stopped["stop"] == rf"\{name}"
    assert f"\\{name}" not in stopped["text"]
    # Without the second backslash it is another string, and a note says how to write it.
    misread = rnngen(*options, "--stop", rf"\{name}", "--json")
    assert misread.records[0]["stopped_by"] == "length"
    kind = {"temp": "a tab", "new": "a line break"}[name]
    assert rf"\{name} starts with {kind}: write \\{name} for a backslash" in misread.err.splitlines()


def test_a_stop_string_that_can_never_match_is_noted(sample):
    notes = sample("--length", 5, "--stop", r"\temp", "--stop", "the").err.splitlines()[2:]
    assert notes == [r"the stop string '\temp' will not come: no symbol of the model has '\t' in it"]
    notes = sample("-n", 1, "--stop", r"a\nb", model="lines").err.splitlines()[2:]
    assert notes == [r"the stop string 'a\nb' will not come: '\n' ends the text before it"]


def test_a_prompt_of_several_lines_is_noted_where_a_model_has_learnt_each_by_itself(sample, rnngen, models):
    said = "has a line break, and this model has learnt each line by itself (--lines): give it one line"
    assert f"the prompt {said}" in sample("--prompt", r"Ada\nBel", model="lines").err.splitlines()
    assert said not in sample("--prompt", "Bel", model="lines").err + sample("--prompt", r"the\nbell").err
    scored = rnngen("score", "-", "-m", models["lines"], "--prefix", r"Ada\nBel", stdin=b"la\n")
    assert f"the prefix {said}" in scored.err.splitlines()


def test_the_next_tokens_have_their_probabilities(sample, models):
    result = sample("--prompt", "Haul", "--next", 3)
    assert result.err == f"model: {models['char']}\n"
    header, *rows = result.rows
    assert header == ["probability", "logprob_nats", "surprisal_bits", "token"]
    found = rnngen_library.load(models["char"]).next("Haul")
    assert [(token, f"{probability:.6f}") for token, probability in found.most_likely(3)] == [
        (row[3].replace("▁", " ").replace("␊", "\n"), row[0]) for row in rows
    ]
    for row in rows:
        probability, nats, bits = map(float, row[:3])
        assert (math.exp(nats), 2**-bits) == pytest.approx((probability, probability), abs=1e-4)


@pytest.mark.parametrize("model", ["char", "lines", "word", "subword", "byte"])
def test_the_probabilities_of_all_next_tokens_sum_to_one_and_follow_the_prompt(sample, model):
    records = sample("--next", 10**6, "--json", model=model).records
    assert list(records[0]) == ["prompt", "token", "id", "probability", "logprob_nats", "surprisal_bits"]
    probabilities = [record["probability"] for record in records]
    assert sum(probabilities) == pytest.approx(1)
    assert probabilities == sorted(probabilities, reverse=True)
    assert len({record["id"] for record in records}) == len(records)
    assert sample("--next", 1, "--prompt", "the", "--json", model=model).records[0]["probability"] not in probabilities


def test_the_next_token_goes_with_no_option_of_drawing(rnngen, models):
    result = rnngen("sample", "-m", models["char"], "--next", 3, "--temp", "0.5", "-n", 4)
    assert (result.code, result.out) == (2, "")
    assert result.err.endswith("draws nothing: leave out --temp, --num-samples\n")


def test_a_repetition_penalty_of_characters_is_noted_and_leaves_the_lines_their_length(sample):
    def mean(*options):
        return sum(map(len, sample("-n", 300, "--seed", 1, *options, model="lines").out.splitlines())) / 300

    plain = mean()
    assert mean("--repetition-penalty", 2) < 1.2 * plain
    penalized = sample("--repetition-penalty", 2, "--length", 1, model="lines")
    assert "--repetition-penalty is meant for words and subwords" in penalized.err
    assert "penalty" not in sample("--repetition-penalty", 2, "--length", 1, model="word").err


def test_json_has_stable_keys_and_counts_new_tokens_only(sample):
    records = sample("--json", "-n", 3, "--length", 25, "--prompt", "Haul", "--seed", 9).records
    assert [list(record) for record in records] == [
        ["sample", "seed", "prompt", "text", "n_tokens", "logprob_nats", "stopped_by", "stop"]
    ] * 3
    assert [record["sample"] for record in records] == [0, 1, 2]
    for record in records:
        assert (record["seed"], record["prompt"], record["stopped_by"]) == (9, "Haul", "length")
        assert record["n_tokens"] == len(record["text"]) == 25


def test_a_sample_does_not_depend_on_how_many_there_are(sample):
    few, many = (sample("--json", "-n", n, "--length", 20, "--seed", 4).records for n in (2, 70))
    assert [record["text"] for record in many[:2]] == [record["text"] for record in few]
    assert len({record["text"] for record in many}) == 70
    assert sample("-n", 1, "--length", 20, "--seed", 4).out.rstrip("\n") == few[0]["text"].rstrip("\n")


def test_a_model_of_lines_gives_one_line_a_sample(sample):
    result = sample("-n", 30, "--seed", 1, model="lines")
    assert result.out.count("\n") == 30
    assert result.out.strip()


def test_a_line_s_logprob_is_what_score_gives_it(sample, rnngen, models):
    records = sample("-n", 20, "--json", "--seed", 1, "--temp", 0.7, model="lines").records
    stopped = [record for record in records if record["stopped_by"] == "stop"]
    assert stopped
    text = "".join(record["text"] + "\n" for record in stopped)
    scored = rnngen("score", "-", "-m", models["lines"], "--json", stdin=text.encode()).records
    for drawn, score in zip(stopped, scored, strict=True):
        assert drawn["n_tokens"] == score["n_tokens"]
        assert drawn["logprob_nats"] == pytest.approx(score["logprob_nats"], abs=1e-3)


@pytest.mark.parametrize("options", [["--top-k", "1"], ["--top-p", "1e-9"], ["--min-p", "1"], ["--temp", "1e-9"]])
def test_the_narrowest_choice_is_the_greedy_one(sample, options):
    greedy = {sample("--temp", 0, "--length", 50, "--seed", seed).out for seed in (1, 2)}
    assert greedy == {sample(*options, "--length", 50, "--seed", 3).out}


@pytest.mark.parametrize(
    "options", [["--top-k", "2"], ["--top-p", "0.3"], ["--min-p", "0.5"], ["--repetition-penalty", "5"]]
)
def test_every_option_of_the_draw_changes_it(sample, options):
    assert sample("--length", 60, "--seed", 1, *options).out != sample("--length", 60, "--seed", 1).out


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("penalty", ["1e30", "1e-30"])
def test_an_extreme_penalty_draws_quietly(sample, penalty):
    result = sample("--repetition-penalty", penalty, "--length", 200, "--seed", 1, "-q")
    assert result.err == ""


def test_length_zero_gives_the_prompt_alone(sample):
    assert sample("--length", 0, "--prompt", "Haul").out == "Haul\n"


@pytest.mark.parametrize("length", [1, 4, 6, 8])
def test_at_byte_level_a_text_that_is_cut_ends_with_a_whole_character(sample, length):
    out = sample("--temp", 0, "--length", length, "--prompt", "\n", "--no-echo", model="byte").out
    assert set(out) <= set("😀漢ñ\n")
    [record] = sample("--temp", 0, "--length", length, "--prompt", "\n", "--json", model="byte").records
    assert set(record["text"]) <= set("😀漢ñ\n")


def test_an_unknown_symbol_is_never_drawn(sample):
    for model in ("char", "word"):
        out = sample("--temp", 3, "--length", 2000, "--seed", 1, model=model).out
        assert not re.search("\ufffd|<unk>", out)


def test_temperature_scales_how_surprising_the_text_is(sample):
    cold, warm = (sample("--temp", temp, "--length", 300, "--seed", 1, "--json").records[0] for temp in (0.3, 2))
    assert cold["logprob_nats"] > warm["logprob_nats"]
    assert math.isfinite(warm["logprob_nats"])


# How a model is found: the same for every command.


@pytest.fixture
def named(tmp_path, models):
    """Checkpoints old, new and newest in ./checkpoints, and other.safetensors beside the folder."""
    (tmp_path / "checkpoints").mkdir()
    for age, name in enumerate(["newest", "new", "old"]):
        path = tmp_path / "checkpoints" / f"{name}.safetensors"
        shutil.copy(models["char"], path)
        os.utime(path, (1_000_000_000 - 100 * age,) * 2)
    shutil.copy(models["char"], tmp_path / "other.safetensors")


@pytest.mark.parametrize(
    ("options", "variable", "found"),
    [
        ([], None, "checkpoints/newest.safetensors"),
        (["-m", "old"], None, "checkpoints/old.safetensors"),
        (["--model", "checkpoints/new.safetensors"], None, "checkpoints/new.safetensors"),
        (["-m", "./other.safetensors"], None, "other.safetensors"),
        ([], "old", "checkpoints/old.safetensors"),
        ([], "other.safetensors", "other.safetensors"),
        (["-m", "new"], "old", "checkpoints/new.safetensors"),
    ],
)
@pytest.mark.usefixtures("named")
def test_a_model_is_found_by_path_name_variable_and_age(rnngen, monkeypatch, options, variable, found):
    if variable:
        monkeypatch.setenv("RNNGEN_MODEL", variable)
    for command in (["sample", "--length", "1"], ["score", "-"], ["perplexity", "-"]):
        result = rnngen(*command, *options, stdin=b"Haul\n")
        assert result.code == 0
        assert result.err.splitlines()[0] == f"model: {found}"
    positional = rnngen("info", *options[1:])
    assert positional.code == 0
    assert positional.err == f"model: {found}\n"


@pytest.mark.usefixtures("named")
def test_a_file_to_resume_from_is_no_model(rnngen, tmp_path):
    (tmp_path / "checkpoints" / "newest.resume.safetensors").write_bytes(b"not a model")
    assert rnngen("info").err == "model: checkpoints/newest.safetensors\n"


def test_a_stop_string_does_not_take_the_line_end_from_a_model_of_lines(sample):
    out = sample("-n", 5, "--seed", 3, "--stop", "no such string", model="lines").out
    assert out.count("\n") == 5


def test_a_prompt_without_an_end_is_refused(rnngen, models):
    result = rnngen("sample", "-m", models["byte"], "--prompt-file", "-", "-q", stdin=b"a\n" * (1 << 20))
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert "more than 1,048,576 characters" in result.err


def test_a_lower_order_is_used_and_without_one_it_is_refused(sample, rnngen, models, tmp_path):
    whole, shorter, none_longer = (
        sample("--length", 200, "--seed", 1, *options).out for options in ([], ["--max-order", 2], ["--max-order", 16])
    )
    assert whole == none_longer != shorter
    by_library = rnngen_library.load(models["char"], max_order=2).sample(length=200, seed=1)
    assert "".join(by_library).strip() == shorter.strip()
    result = rnngen("sample", "-m", models["char"], "--max-order", 0)
    assert (result.code, "max_order is 0: it must be" in result.err) == (2, True)
    (tmp_path / "text.txt").write_text("hello\n" * 50)
    options = ["--steps", "1", "--hidden-size", "4", "--ngram-order", "none", "-q", "-o", tmp_path / "m"]
    assert rnngen("train", tmp_path / "text.txt", *options).code == 0
    result = rnngen("sample", "-m", tmp_path / "m.safetensors", "--max-order", 2)
    assert (result.code, result.err.splitlines()[-1]) == (
        2, "rnngen: the model has no n-grams: leave out --max-order"
    )  # fmt: skip
