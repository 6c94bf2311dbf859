"""White space at the ends of prompts and of scored lines: one space where one belongs."""

import pytest

from rnngen import SampleConfig, load

OPTIONS = ("--length", 8, "--seed", 5, "-q")


@pytest.fixture
def continued(rnngen, models, tmp_path):
    """The prompt with the text after it, in each way to ask for one."""

    def call(model, prompt):
        (tmp_path / "prompt.txt").write_text(prompt, "utf-8")
        sample = ("sample", "-m", models[model], *OPTIONS)
        [record] = rnngen(*sample, "--prompt", prompt, "--json").records
        loaded, config = load(models[model]), SampleConfig(length=8, seed=5)
        [drawn] = loaded.samples(config, prompt, "skip")
        texts = {
            "streamed": rnngen(*sample, "--prompt", prompt).out,
            "without echo": prompt + rnngen(*sample, "--prompt", prompt, "--no-echo").out,
            "from a file": rnngen(*sample, "--prompt-file", "prompt.txt").out,
            "first of two": rnngen(*sample, "--prompt", prompt, "-n", 2).out[: len(prompt + record["text"])],
            "json": record["prompt"] + record["text"],
            "python": prompt + drawn.text,
            "python, streamed": prompt + "".join(loaded.sample(prompt, length=8, seed=5, on_unknown="skip")),
        }
        return {way: text.removesuffix("\n") for way, text in texts.items()}  # the command adds one where none is

    return call


@pytest.mark.parametrize("prompt", ["Zyxxy", "Zyxxy ", "The bell", "The bell ", "The Zyxxy "])
def test_one_space_stands_between_a_prompt_and_the_next_word(continued, models, prompt):
    texts = set(continued("word", prompt).values())
    assert len(texts) == 1
    [text] = texts
    # A second space is no token, and a word that hangs on an unknown one is a part of it: neither comes back.
    tokenizer = load(models["word"]).tokenizer
    assert tokenizer.decode(tokenizer.encode(text)) == text.replace("Zyxxy", "<unk>")
    assert len(tokenizer.encode(text)) - len(tokenizer.encode(prompt.rstrip())) in (7, 8)


def test_after_a_space_a_prompt_of_subwords_goes_on_with_a_piece_that_starts_with_it(continued, models):
    texts = set(continued("subword", "The bell ").values())
    assert len(texts) == 1
    model = load(models["subword"])
    tokenizer = model.tokenizer
    reader = model.start()
    reader.step("\n")
    for id in tokenizer.encode("The bell").tolist():
        found = reader.step(id)
    best = max(
        (id for id in range(tokenizer.vocab_size) if tokenizer.token(id)[0] == " "), key=lambda id: found.probs[id]
    )
    assert "".join(model.sample("The bell ", length=1, temperature=0)) == tokenizer.token(best)[1:]


@pytest.mark.parametrize("line", ["The bell ", " The bell", "\tThe bell  "])
def test_blanks_at_the_ends_of_a_scored_line_are_no_unknown_word(rnngen, models, line):
    def numbers(text, *options):
        scored = rnngen("score", "-", "-m", models["word"], "--json", *options, stdin=f"{text}\n".encode())
        [record] = scored.records
        return record | {"text": ""}

    assert numbers(line) == numbers("The bell")
    assert numbers(line, "--words") == numbers("The bell", "--words")
    measured = [
        rnngen("perplexity", "-", "-m", models["word"], "--json", stdin=f"{text}\n".encode()).records[0]["loss_nats"]
        for text in (line, "The bell")
    ]
    assert measured[0] == measured[1]


def test_blanks_at_the_ends_of_a_scored_line_are_tokens_of_characters_and_subwords(rnngen, models):
    for model in ("char", "subword"):
        scored = rnngen("score", "-", "-m", models[model], "--json", "--tokens", stdin=b"The bell \n")
        [record] = scored.records
        assert "".join(token["token"] for token in record["tokens"]) == "The bell \n"
