"""What is fuzzed: functions that damage a good file, read it, and use what was read.

Each is `(good file, where the damaged one goes, random) -> "loaded", "refused" or what was wrong`.
"""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from faults.fuzz_child import refusal
from faults.fuzz_mutations import damaged, damaged_json, damaged_line
from faults.fuzz_tensors import damaged_file
from rnngen import checkpoint as checkpoints
from rnngen.cli.info import write_description
from rnngen.engine.runner import from_both_sides, from_the_left, tagger_of
from rnngen.engine.sides import Sides
from rnngen.errors import CheckpointError, ConfigError, DataError, RnngenError, TokenizerError
from rnngen.evaluate import arpa
from rnngen.runners import make_runner
from rnngen.text import nbest
from rnngen.tokenizers import levels
from rnngen.tokenizers.base import Tokenizer

_TEXT = "to be\n\tor \u2581not\u0301 \U0001f600 q\0"
_NBEST_SIGNS = (
    "|||",
    "RNNLM=",
    "Name=",
    "-1.5",
    "1" * 400,
    "1e999",
    "NaN",
    "<s>",
    "</s>",
    "7",
    "-inf",
    "\u0660",
    "0x1p3",
)
_ARPA_SIGNS = (
    "\t",
    "\\data\\",
    "\\1-grams:",
    "\\end\\",
    "ngram 1=6",
    "1e999",
    "nan",
    "-inf",
    "5",
    "<s>",
    "<UNK>",
    "-9" * 50,
)


def read_checkpoint(seed: Path, path: Path, random: Random) -> str:
    """Load, run a step, encode and decode, and print what `rnngen info` prints."""
    path.write_bytes(damaged_file(random, seed.read_bytes()))
    try:
        loaded = checkpoints.load(path)
    except RnngenError as error:
        return refusal(error, (CheckpointError,))
    _use_tokenizer(loaded.tokenizer)
    runner = make_runner(loaded, "cpu")
    ids = np.arange(4).reshape(2, 2) % loaded.config.vocab_size
    with np.errstate(all="ignore"):
        if loaded.config.is_tagger:
            [logprobs] = tagger_of(runner).logprobs([["to", "b\u00e9"]])
            return "loaded" if logprobs.shape == (2, loaded.config.n_tags) else f"tags of the shape {logprobs.shape}"
        if loaded.config.bidirectional:
            logits = from_both_sides(runner).logits(Sides(ids, ids, ids % 2, ids % 2))
        else:
            engine = from_the_left(runner)
            logits, _ = engine.forward(ids, engine.initial_state(2))
    if logits.shape != (2, 2, loaded.config.vocab_size):
        return f"logits of the shape {logits.shape}"
    for as_json in (False, True):
        write_description(path, as_json)
    return "loaded"


def read_tokenizer_file(seed: Path, path: Path, random: Random) -> str:
    """Load a tokenizer, encode and decode."""
    content = seed.read_bytes()
    if random.random() < 0.4:
        path.write_bytes(damaged(random, content))
    else:
        path.write_bytes(damaged_json(random, content.decode()).encode("utf-8", "surrogatepass"))
    try:
        tokenizer = levels.load(path)
    except RnngenError as error:
        return refusal(error, (TokenizerError,))
    _use_tokenizer(tokenizer)
    return "loaded"


def read_nbest_list(seed: Path, path: Path, random: Random) -> str:
    """Take a line apart and put it together again."""
    line = seed.read_text("utf-8")
    if random.random() < 0.3:
        line = damaged(random, line.encode()).decode("utf-8", random.choice(("replace", "surrogateescape")))
    else:
        line = damaged_line(random, line, _NBEST_SIGNS)
    line = line.replace("\n", " ")
    path.write_bytes(line.encode("utf-8", "surrogatepass"))
    form: Any = seed.suffix[1:]
    try:
        hypothesis = nbest.parse(line, form, "line 3")
    except RnngenError as error:
        return refusal(error, (DataError,))
    if hypothesis is not None and "-7.5" not in hypothesis.with_number("-7.5"):
        return "the new number is not in the line"
    return "loaded"


def read_arpa(seed: Path, path: Path, random: Random) -> str:
    """Load an ARPA file and ask for a probability."""
    content = seed.read_bytes()
    if random.random() < 0.5:
        path.write_bytes(damaged(random, content))
    else:
        lines = content.decode().split("\n")
        place = random.randrange(len(lines))
        match random.randrange(4):
            case 0:
                lines[place : place + 1] = [lines[place]] * random.choice((0, 2))
            case 1:
                other = random.randrange(len(lines))
                lines[place], lines[other] = lines[other], lines[place]
            case _:
                lines[place] = damaged_line(random, lines[place].replace("\t", " \t "), _ARPA_SIGNS).replace(
                    " \t ", "\t"
                )
        path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    try:
        model = arpa.Arpa.load(path)
        tokenizer = levels.from_dict({"level": "word", "split": "whitespace", "words": ["to", "be", "or"]})
        model.reader(tokenizer)(np.array([2, 3, 1, 4, 0]))  # type: ignore[arg-type]
    except RnngenError as error:
        return refusal(error, (DataError, ConfigError))
    return "loaded"


def _use_tokenizer(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode(_TEXT)
    tokenizer.decode(ids)
    decoder = tokenizer.decoder()
    for id in range(min(tokenizer.vocab_size, 400)):
        decoder.push(id)
        tokenizer.token(id)
    list(tokenizer.unknowns(_TEXT))
    json.dumps(tokenizer.to_dict())
    if ids.min() < 0 or ids.max() >= tokenizer.vocab_size:
        raise AssertionError(f"an id beyond the vocabulary of {tokenizer.vocab_size}")
