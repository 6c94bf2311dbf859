"""Damage: to bytes, to lines of text and to JSON values, all drawn from one random generator."""

from __future__ import annotations

import copy
import json
from random import Random
from typing import Any

from rnngen.storage.untrusted_json import MOST_CHARS

ODD_TEXTS = (
    "", "\n", "\0", " ", "a b", "a\nb", "\ud800", "\udfff\ud800", "\x1b[2J\x1b]0;x\x07", "\u2028", "<unk>", "\u2581",
    "\ufeff", "\uffed", "x" * 5000, "\U0010ffff", "%s%n", "../../etc", "<0x0A>", "inf",
)  # fmt: skip
ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 3, 1 << 31, 1 << 62, 1 << 63, 10**15, 10**39, 10**400, -(10**15), 0.5, 1e308,
    float("nan"), float("inf"), float("-inf"), [], {}, [[]], [None], {"": None}, *ODD_TEXTS,
)  # fmt: skip
# What json.dumps would not write; one has almost as many objects as a record may have.
ODD_JSON = (
    "", "[" * 70, "[" * 100_000, '{"a":' * 100_000, "[" * 60 + "]" * 60, "[" * 400 + "]" * 400,
    "[" + "0," * 300_000 + "0]", '{"a": 1, "a": 2}', "1" * 5000, "-" + "9" * 60, "1e99999", "NaN", "nul", "\ufeff{}",
    '{"x":[' + '{"a":{}},' * (MOST_CHARS // 9 - 99) + "0]}", '"\\ud800"', '"' + "\\u0000" * 9 + '"',
)  # fmt: skip


def damaged(random: Random, content: bytes) -> bytes:
    """A few bits, a run of bytes, or the length changed, without regard for what it means."""
    data = bytearray(content)
    for _ in range(random.choice((1, 1, 1, 2, 5))):
        place = random.randrange(len(data) + 1)
        run = bytes(random.choices((0, 1, 9, 10, 32, 34, 44, 127, 128, 255, random.randrange(256)), k=_length(random)))
        match random.randrange(8):
            case 0 | 1 | 2 if data:
                data[place % len(data)] ^= 1 << random.randrange(8)
            case 3:
                data[place : place + len(run)] = run
            case 4:
                data[place:place] = run
            case 5:
                del data[place : place + len(run)]
            case 6:
                del data[place:]
            case _:
                other = random.randrange(len(data) + 1)
                data[place : place + len(run)] = data[other : other + len(run)]
    return bytes(data)


def damaged_line(random: Random, line: str, signs: tuple[str, ...]) -> str:
    """Words left out, doubled, swapped, or replaced by something odd or by a sign of the format."""
    words = line.split(" ")
    for _ in range(random.choice((1, 1, 2, 4))):
        place = random.randrange(len(words) + 1)
        match random.randrange(5):
            case 0:
                del words[place : place + 1]
            case 1:
                words[place:place] = words[place : place + 1] * random.choice((1, 1, 2, 5000))
            case 2:
                words[place : place + 1] = [random.choice(ODD_TEXTS)]
            case 3:
                words[place:place] = [random.choice(signs)] * random.choice((1, 1, 2, 5000))
            case _:
                random.shuffle(words)
    return random.choice((" ", " ", " ", "", "\t", "\u00a0", "\x1c")).join(words)


def damaged_value(random: Random, value: Any) -> Any:
    """A JSON value with something in it replaced, removed, added or doubled."""
    value = copy.deepcopy(value)
    places = _places(value)
    if not places or random.random() < 0.1:
        return random.choice(ODD_VALUES)
    container, key = random.choice(places)
    match random.randrange(5):
        case 0:
            del container[key]
        case 1 if isinstance(container, list):
            container.insert(key, container[random.randrange(len(container))])
        case 1:
            container[random.choice((*ODD_TEXTS, *container))] = container[key]
        case 2 if isinstance(container[key], str):
            container[key] = _damaged_text(random, container[key])
        case 3 if isinstance(container[key], (int, float)):
            container[key] = _damaged_number(random, container[key])
        case _:
            container[key] = random.choice(ODD_VALUES)
    return value


def damaged_json(random: Random, text: str) -> str:
    """A JSON text with its value damaged, or one that is no value, or the text itself damaged."""
    match random.randrange(8):
        case 0:
            return random.choice(ODD_JSON)
        case 1:
            return damaged(random, text.encode()).decode("utf-8", "replace")
        case 2:
            return text.replace("{", '{"split": 1, "level": 2,', 1)
    return json.dumps(damaged_value(random, json.loads(text)))


def _length(random: Random) -> int:
    return random.choice((1, 1, 2, 4, 8, 16, 100))


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every container of a value with every key in it."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        container = waiting.pop()
        if isinstance(container, (dict, list)):
            keys = list(container) if isinstance(container, dict) else list(range(len(container)))
            found += [(container, key) for key in keys]
            waiting += [container[key] for key in keys]
    return found


def _damaged_text(random: Random, text: str) -> str:
    place = random.randrange(len(text) + 1)
    match random.randrange(4):
        case 0:
            return text[:place] + random.choice(ODD_TEXTS) + text[place:]
        case 1:
            return text[:place] + text[place + 1 :]
        case 2:
            return text[:place] + text[place : place + 1] * 2 + text[place + 1 :]
    # As long as before, so that sizes still agree.
    return text[:place] + random.choice("\0\x1b\ud800\u2028 \u0301z") + text[place + 1 :]


def _damaged_number(random: Random, number: float) -> Any:
    return random.choice((number + 1, number - 1, -number, number * 1000, str(number), float(number), [number], 10**15))
