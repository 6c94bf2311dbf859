"""`rnngen sample` for other programs: unique, new, endless and separated samples, and what ended each."""

import itertools

import pytest


@pytest.fixture
def names(rnngen, models):
    def call(*arguments, code=0):
        result = rnngen("sample", "-m", models["lines"], "--seed", 3, *arguments)
        assert result.code == code
        return result

    return call


def test_unique_samples_come_once_and_in_the_order_of_all(names):
    options = ("--temp", "0.3")
    everything = names("-n", 400, *options).out.splitlines()
    unique = names("-n", 40, "--unique", *options).out.splitlines()
    assert len(set(everything)) < 400
    assert unique == list(dict.fromkeys(everything))[:40]
    assert [record["text"] for record in names("-n", 40, "--unique", "--json", *options).records] == unique


def test_no_sample_is_a_line_of_the_file_of_not_in(names, tmp_path):
    everything = names("-n", 200, "--temp", "0.3").out.splitlines()
    (tmp_path / "known.txt").write_bytes("\r\n".join(everything[:20]).encode())
    new = names("-n", 30, "--temp", "0.3", "--not-in", "known.txt").out.splitlines()
    assert new == [name for name in everything if name not in everything[:20]][:30]


def test_what_is_compared_is_the_line_with_its_prompt(names, tmp_path):
    everything = names("-n", 200, "--prompt", "An").out.splitlines()
    (tmp_path / "known.txt").write_text("\n".join(everything[:20]))
    for echo in ((), ("--no-echo",)):
        new = names("-n", 30, "--prompt", "An", "--not-in", "known.txt", *echo).out.splitlines()
        expected = [name for name in everything if name not in everything[:20]][:30]
        assert new == [name.removeprefix("An") if echo else name for name in expected]


def test_unique_least_length_and_not_in_work_together(names, tmp_path):
    options = ("--temp", "0.5", "--min-length", 7)
    everything = names("-n", 900, *options).out.splitlines()
    assert min(map(len, everything)) >= 7
    (tmp_path / "known.txt").write_text("\n".join(everything[:5]) + "\n")
    found = names("-n", 30, *options, "--unique", "--not-in", "known.txt").out.splitlines()
    assert found == [name for name in dict.fromkeys(everything) if name not in everything[:5]][:30]


def test_the_list_may_come_from_standard_input_which_is_then_no_prompt(rnngen, names, models):
    first, second = names("-n", 2).out.splitlines()
    arguments = ("sample", "-m", models["lines"], "--seed", 3)
    assert rnngen(*arguments, "--not-in", "-", stdin=f"{first}\n".encode()).out == f"{second}\n"
    twice = rnngen(*arguments, "--not-in", "-", "--prompt-file", "-", stdin=b"a\n")
    assert (twice.code, twice.out) == (2, "")
    assert "- is given twice" in twice.err


def test_when_nothing_new_can_be_drawn_the_search_ends_with_one_clear_line(names):
    result = names("-n", 100, "--unique", "--length", 1, "-q", code=1)
    assert 2 < len(result.out.splitlines()) < 60
    n = len(result.out.splitlines())
    assert result.err == (f"rnngen: no new sample among the last 10,000, after {n} of 100: raise --temp, or lower -n\n")
    greedy = names("-n", 0, "--unique", "--temp", 0, "-q", code=1)
    assert len(greedy.out.splitlines()) == 1
    assert greedy.err == "rnngen: no new sample at --temp 0, where all are the same, after 1: raise --temp\n"


def test_an_endless_stream_is_ended_by_head(shell, names, models):
    command = f"rnngen sample -m {models['lines']} --seed 3 -n 0"
    for options in ((), ("--unique", "--min-length", "4")):
        result = shell(f"{{ {command} {' '.join(options)} </dev/null; echo $? >&2; }} | head -n 70")
        assert result.out == names("-n", 70, *options).out
        assert result.err.splitlines()[2:] == ["0"]  # the closed pipe is no fault, and there is no word of it


@pytest.mark.parametrize("model", ["char", "word", "subword"])
def test_the_stop_string_is_kept_where_that_is_asked_for_and_json_names_the_one_that_matched(rnngen, models, model):
    arguments = ("sample", "-m", models[model], "--seed", 2, "--length", 200, "--stop", "ou", "--stop", r"\n")
    [kept], [cut] = (rnngen(*arguments, "--json", *options).records for options in (["--keep-stop"], []))
    assert cut["stopped_by"] == kept["stopped_by"] == "stop"
    assert cut["stop"] == kept["stop"] in ("ou", "\n")
    assert kept["text"] == cut["text"] + cut["stop"]
    assert rnngen(*arguments, "--keep-stop").out.removesuffix("\n") == kept["text"].removesuffix("\n")
    [endless] = rnngen("sample", "-m", models[model], "--length", 2, "--json").records
    assert (endless["stopped_by"], endless["stop"]) == ("length", None)


@pytest.mark.parametrize(("written", "separator"), [(r"\0", "\0"), (r"\r\n", "\r\n"), ("\n%%\n", "\n%%\n"), ("", "")])
def test_a_separator_comes_after_every_sample_and_nothing_else(rnngen, models, names, written, separator):
    texts = [record["text"] for record in names("-n", 3, "--json").records]
    assert names("-n", 3, "--separator", written).out == "".join(text + separator for text in texts)
    assert names("-n", 1, "--separator", written).out == texts[0] + separator
    ended = names("-n", 3, "--separator", written, "--keep-stop").out
    assert ended == "".join(f"{text}\n{separator}" for text in texts)


def test_a_separator_is_not_for_json(names):
    result = names("--json", "--separator", r"\0", code=2)
    assert (result.out, result.err) == ("", "rnngen: JSON lines end at line breaks: leave out --separator\n")


def test_a_least_length_that_changes_nothing_is_noted(rnngen, models, names):
    alone = rnngen("sample", "-m", models["char"], "--min-length", 3, "--length", 5)
    assert "--min-length changes nothing" in alone.err
    assert "changes nothing" not in names("--min-length", 3).err
    too_long = names("--min-length", 9, "--length", 5, code=2)
    assert too_long.err == "rnngen: min_length is 9: it must be at most the length, 5\n"


def test_the_least_length_is_that_of_every_sample(names):
    for least in (1, 6, 12):
        records = names("-n", 70, "--min-length", least, "--json").records
        assert min(len(record["text"]) for record in records) >= least
        assert {record["stop"] for record in records} == {"\n"}
    lengths = [len(record["text"]) for record in names("-n", 300, "--json").records]
    assert min(lengths) < 6


def test_of_an_endless_search_on_a_model_every_sample_is_flushed_when_it_comes(start, models):
    child = start("sample", "-m", models["lines"], "-n", 0, "--seed", 3, "--unique", "-q")
    child.stdin.close()
    assert len(list(itertools.islice(child.stdout, 5))) == 5
    assert child.poll() is None
