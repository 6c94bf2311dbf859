"""The cache folder: what is reused, what is written anew, and what is left alone."""

from __future__ import annotations

import json
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rnngen.config import TokenizerConfig
from rnngen.errors import DataError, TokenizerError
from rnngen.text import ids_cache as caches
from rnngen.text.ids_cache import HEADER_BYTES, Cache, Part, default_folder
from rnngen.text.ids_on_disk import release
from rnngen.tokenizers.char import ByteTokenizer, CharTokenizer

TEXT = "to be or not to be\n" * 100
AB = CharTokenizer("ab")


def part_of(content: str, which: str = "whole") -> Part:
    text: Any = SimpleNamespace(chunks=lambda: iter([content]))
    return Part(text, sha256(content.encode()).hexdigest(), (which,))


def unreadable(part: Part) -> Part:
    """The same part, of a text that must not be read."""

    def fail() -> Any:
        raise AssertionError("the text was read")

    text: Any = SimpleNamespace(chunks=fail)
    return Part(text, part.sha256, part.which)


def entry(cache: Cache, suffix: str = "ids") -> Path:
    [path] = cache.folder.glob(f"*.{suffix}")
    return path


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


# Reuse


def test_ids_are_reused_without_reading_the_text(cache: Cache) -> None:
    first = cache.tokens(part_of("ab?b"), AB)
    again = cache.tokens(unreadable(part_of("ab?b")), AB)
    assert (first.reused, again.reused) == (False, True)
    assert first.ids.tolist() == again.ids.tolist() == [2, 3, 0, 3]
    assert again.ids.dtype == np.uint8
    for tokens in (first, again):
        assert (tokens.n_unknown, tokens.n_chars, str(tokens.first_unknown)) == (
            1, 4, "'?' (U+003F QUESTION MARK) at character 3",
        )  # fmt: skip


@pytest.mark.parametrize(
    "other",
    [
        lambda cache: cache.tokens(part_of("ab"), AB),
        lambda cache: cache.tokens(part_of("ab?b", "valid"), AB),
        lambda cache: cache.tokens(part_of("ab?b"), CharTokenizer("abc")),
        lambda cache: cache.tokens(part_of("ab?b"), AB, "skip"),
    ],
    ids=["another text", "another part", "another tokenizer", "unknown symbols handled otherwise"],
)
def test_ids_of_anything_else_are_not_taken_for_these(cache: Cache, other: Callable[[Cache], Any]) -> None:
    cache.tokens(part_of("ab?b"), AB)
    assert not other(cache).reused
    assert len(list(cache.folder.iterdir())) == 2


def test_a_text_without_tokens_is_reused_too(cache: Cache) -> None:
    for reused in (False, True):
        tokens = cache.tokens(part_of("??"), AB, "skip")
        assert (tokens.ids.shape, tokens.n_unknown, tokens.reused) == ((0,), 2, reused)


@pytest.mark.parametrize("level", ["char", "byte", "word", "subword"])
def test_a_tokenizer_is_reused_without_reading_the_text(cache: Cache, level: Any) -> None:
    config = TokenizerConfig(level)
    first = cache.tokenizer(part_of(TEXT), config)
    again = cache.tokenizer(unreadable(part_of(TEXT)), config)
    assert again.to_dict() == first.to_dict()
    others = part_of("a rose is a rose\n" * 90)
    assert level == "byte" or cache.tokenizer(others, config).to_dict() != first.to_dict()


def test_an_unknown_symbol_of_any_length_has_room(cache: Cache) -> None:
    config = TokenizerConfig("word")
    tokenizer = cache.tokenizer(part_of(TEXT), config)
    first, again = (cache.tokens(part_of("😀" * 100_000), tokenizer) for _ in range(2))
    assert (first.reused, again.reused) == (False, True)
    assert first.first_unknown == again.first_unknown is not None


# What is not to be trusted


@pytest.mark.parametrize("suffix", ["ids", "tokenizer"])
def test_an_entry_that_is_damaged_anywhere_is_written_anew(cache: Cache, suffix: str) -> None:
    config = TokenizerConfig("char")

    def make() -> Any:
        return (cache.tokenizer(part_of(TEXT), config).to_dict(), cache.tokens(part_of(TEXT), AB).ids.tolist())

    expected = make()
    path = entry(cache, suffix)
    whole = path.read_bytes()
    rng = np.random.default_rng(1)
    damaged = [b"", whole[:-1], whole[:HEADER_BYTES], whole[:100], whole + b"\0", b"\0" * len(whole), b"[" * 9000]
    for place in [*rng.integers(len(whole), size=20), 3, HEADER_BYTES - 1, HEADER_BYTES, len(whole) - 1]:
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(rng.integers(8))
        damaged.append(bytes(flipped))
    for content in damaged:
        path.write_bytes(content)
        assert make() == expected
        assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "lie",
    [
        {"n_tokens": 1 << 60}, {"n_tokens": -1}, {"n_tokens": "4"}, {"n_chars": 0}, {"n_unknown": None},
        {"dtype": "float64"}, {"first_unknown": [1, "a"]}, {"first_unknown": {}}, {"version": 0}, {"name": "x.ids"},
    ],
    ids=str,
)  # fmt: skip
def test_a_header_that_lies_with_a_right_digest_is_not_believed(cache: Cache, lie: dict[str, Any]) -> None:
    cache.tokens(part_of("abab"), AB)
    rewrite(entry(cache), lie, b"\2\3\2\3")
    tokens = cache.tokens(part_of("abab"), AB)
    assert (tokens.reused, tokens.ids.tolist()) == (False, [2, 3, 2, 3])


def test_ids_beyond_the_vocabulary_are_not_believed(cache: Cache) -> None:
    cache.tokens(part_of("abab"), AB)
    rewrite(entry(cache), {}, b"\2\3\2\4")
    assert cache.tokens(part_of("abab"), AB).ids.tolist() == [2, 3, 2, 3]


@pytest.mark.parametrize("content", [b"[]", b'{"level": "char", "characters": "aa"}', b"[" * 100_000, b"\xff"])
def test_a_tokenizer_that_is_none_is_not_believed(cache: Cache, content: bytes) -> None:
    config = TokenizerConfig("char")
    cache.tokenizer(part_of("abab"), config)
    rewrite(entry(cache, "tokenizer"), {}, content)
    assert cache.tokenizer(part_of("abab"), config).to_dict()["characters"] == "ab"


def rewrite(path: Path, changes: dict[str, Any], content: bytes) -> None:
    """Another header and content, and the digest that goes with them."""
    header = json.loads(path.read_bytes()[: HEADER_BYTES - 64]) | changes
    fields = json.dumps(header).encode().ljust(HEADER_BYTES - 64)
    path.write_bytes(fields + sha256(content + fields).hexdigest().encode() + content)


def test_a_rewritten_entry_that_tells_the_truth_is_taken(cache: Cache) -> None:
    cache.tokens(part_of("abab"), AB)
    rewrite(entry(cache), {}, b"\2\3\2\3")
    assert cache.tokens(part_of("abab"), AB).reused


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_an_entry_of_another_user_is_not_trusted(cache: Cache) -> None:
    cache.tokens(part_of("abab"), AB)
    os.chown(entry(cache), 12345, 12345)
    assert not cache.tokens(part_of("abab"), AB).reused
    assert cache.tokens(part_of("abab"), AB).reused


def test_a_link_in_the_place_of_an_entry_is_not_followed(cache: Cache, tmp_path: Path) -> None:
    cache.tokens(part_of("abab"), AB)
    path = entry(cache)
    precious = tmp_path / "precious"
    path.rename(precious)
    path.symlink_to(precious)
    content = precious.read_bytes()
    assert not cache.tokens(part_of("abab"), AB).reused
    assert not path.is_symlink()
    assert precious.read_bytes() == content


def test_a_named_pipe_in_the_place_of_an_entry_holds_nobody_up(cache: Cache) -> None:
    cache.tokens(part_of("abab"), AB)
    path = entry(cache)
    path.unlink()
    os.mkfifo(path)
    assert cache.tokens(part_of("abab"), AB).ids.tolist() == [2, 3, 2, 3]


def test_only_the_user_can_read_the_folder_and_what_is_in_it(cache: Cache) -> None:
    cache.tokens(part_of("abab"), AB)
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(entry(cache).stat().st_mode) == 0o600


# Faults


def test_a_text_that_fails_leaves_nothing_behind(cache: Cache) -> None:
    with pytest.raises(TokenizerError):
        cache.tokens(part_of("ab?"), AB, "error")
    assert list(cache.folder.iterdir()) == []


def test_ids_stay_when_the_cache_is_cleared_and_when_its_folder_goes(cache: Cache) -> None:
    tokens = cache.tokens(part_of(TEXT), ByteTokenizer())
    assert cache.clear()[0] == 1
    cache.folder.rmdir()
    assert tokens.ids[:5].tobytes() == b"to be"
    release(tokens.ids)
    assert tokens.ids.tobytes() == TEXT.encode()


def test_a_cache_that_is_cleared_while_it_is_written_gives_the_ids_all_the_same(cache: Cache) -> None:
    class Clearing:
        def chunks(self) -> Any:
            yield "abab"
            cache.clear()
            cache.folder.rmdir()
            yield "ba"

    assert cache.tokens(Part(Clearing(), "0", ()), AB).ids.tolist() == [2, 3, 2, 3, 3, 2]
    assert not cache.folder.exists()


def test_two_processes_on_one_cache_both_have_the_ids(cache: Cache) -> None:
    script = (
        "import sys, pathlib, hashlib\n"
        "from rnngen.text.ids_cache import Cache, Part\nfrom rnngen.tokenizers.char import ByteTokenizer\n"
        "class T:\n    def chunks(self):\n        for _ in range(300): yield 'to be or not to be\\n' * 500\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "for _ in range(3):\n"
        "    ids = Cache(pathlib.Path(sys.argv[1])).tokens(Part(T(), 'x', ()), ByteTokenizer()).ids\n"
        "    print(len(ids), hashlib.sha256(ids.tobytes()).hexdigest(), flush=True)\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", script, str(cache.folder)], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    text = b"to be or not to be\n" * 150_000
    expected = f"{len(text)} {sha256(text).hexdigest()}\n" * 3
    assert [process.communicate(timeout=60)[0] for process in processes] == [expected] * 3
    assert [path.suffix for path in cache.folder.iterdir()] == [".ids"]


def test_a_full_disk_is_named_with_a_remedy_and_leaves_nothing_behind(cache: Cache) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (HEADER_BYTES + 1000, hard))
    try:
        with pytest.raises(DataError) as error:
            cache.tokens(part_of("x" * 100_000), ByteTokenizer())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(error.value) == (
        f"cannot keep the tokens in {cache.folder}: File too large; "
        "name a folder with room that can be written, with --cache-dir"
    )
    assert list(cache.folder.iterdir()) == []


@pytest.mark.parametrize("make", ["tokens", "tokenizer"])
def test_a_folder_that_cannot_be_made_is_named_with_a_remedy_before_the_text_is_read(tmp_path: Path, make: str) -> None:
    (tmp_path / "file").write_text("")
    cache = Cache(tmp_path / "file" / "cache")
    with pytest.raises(DataError, match=r"^cannot keep the tokens in .*cache: Not a directory; .*--cache-dir$"):
        getattr(cache, make)(unreadable(part_of("ab")), AB if make == "tokens" else TokenizerConfig())


# Clearing


def test_clearing_removes_entries_and_leftovers_and_nothing_else(cache: Cache, tmp_path: Path) -> None:
    cache.tokens(part_of("ab"), AB)
    cache.tokenizer(part_of("ab"), TokenizerConfig())
    key = "0" * 64
    (cache.folder / f".{key}.ids.{'0' * 16}.tmp").write_bytes(b"12345")
    n_bytes = sum(path.stat().st_size for path in cache.folder.iterdir())
    kept = {"notes.txt", "x.ids", f"{key}.idsx", f".{key}.ids.tmp", f"{key.upper()}A.ids"}
    for name in kept:
        (cache.folder / name).write_text("dear")
    assert cache.clear() == (3, n_bytes)
    assert {path.name for path in cache.folder.iterdir()} == kept
    assert cache.clear() == (0, 0)


def test_clearing_removes_links_and_not_what_they_lead_to(cache: Cache, tmp_path: Path) -> None:
    cache.folder.mkdir()
    precious = tmp_path / "precious"
    precious.write_text("dear")
    for digit, target in ("1", precious), ("2", tmp_path), ("3", tmp_path / "gone"):
        (cache.folder / f"{digit * 64}.ids").symlink_to(target)
    os.mkfifo(cache.folder / f"{'4' * 64}.ids")
    assert cache.clear()[0] == 4
    assert list(cache.folder.iterdir()) == []
    assert precious.read_text() == "dear"


def test_clearing_names_a_folder_that_it_leaves_after_it_has_removed_all_else(cache: Cache) -> None:
    cache.tokens(part_of("ab"), AB)
    folders = [cache.folder / f"{digit * 64}.ids" for digit in "ab"]
    for folder in folders:
        folder.mkdir()
    with pytest.raises(DataError) as error:
        cache.clear()
    assert sorted(cache.folder.iterdir()) == folders
    named = min(folders, key=lambda folder: str(error.value).find(str(folder)) < 0)
    assert str(error.value) == (
        f"{named} is a folder where the cache has a file, and stays (and 1 more): move it away by hand; "
        "all else is removed"
    )


def test_a_folder_in_the_place_of_an_entry_is_named_before_the_text_is_read(cache: Cache) -> None:
    cache.tokens(part_of("ab"), AB)
    path = entry(cache)
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError) as error:
        cache.tokens(unreadable(part_of("ab")), AB)
    assert str(error.value) == (
        f"{path} is a folder where the cache keeps a file: move it away, "
        "or name another folder for the cache with --cache-dir"
    )
    assert list(cache.folder.iterdir()) == [path]


def test_a_file_as_the_folder_is_named_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("dear")
    for act in (lambda cache: cache.clear(), lambda cache: cache.tokens(unreadable(part_of("ab")), AB)):
        with pytest.raises(
            DataError, match=r"text.txt is no folder to keep tokens in: name a folder with --cache-dir$"
        ):
            act(Cache(path))
    assert path.read_text() == "dear"


def test_clearing_a_cache_that_is_not_there_removes_nothing(tmp_path: Path) -> None:
    assert Cache(tmp_path / "none").clear() == (0, 0)


def test_what_a_killed_process_left_is_removed_when_it_is_old(cache: Cache) -> None:
    cache.folder.mkdir()
    old, new = (cache.folder / f".{'0' * 64}.ids.{digit * 16}.tmp" for digit in "01")
    for path in (old, new):
        path.write_text("")
    os.utime(old, (0, 0))
    cache.tokens(part_of("ab"), AB)
    assert (old.exists(), new.exists()) == (False, True)


def test_the_default_folder_is_where_the_system_keeps_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for value, folder in (("/x", "/x/rnngen"), ("", f"{tmp_path}/.cache/rnngen"), ("x", f"{tmp_path}/.cache/rnngen")):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert str(default_folder()) == folder


def test_the_version_of_sentencepiece_is_a_part_of_what_subwords_are_made_of(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TokenizerConfig("subword")
    cache.tokenizer(part_of(TEXT), config)
    monkeypatch.setattr(caches, "version", lambda name: "another")
    with pytest.raises(AssertionError, match="the text was read"):
        cache.tokenizer(unreadable(part_of(TEXT)), config)
