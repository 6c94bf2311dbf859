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
from rnngen.text.ids_cache import HEADER_BYTES, IdsCache, KeyedText, default_folder
from rnngen.text.ids_on_disk import IdsOnDisk, release
from rnngen.tokenizers.char import ByteTokenizer, CharTokenizer

TEXT = "to be or not to be\n" * 100
AB = CharTokenizer("ab")


def keyed(content: str, which: str = "whole") -> KeyedText:
    text: Any = SimpleNamespace(chunks=lambda: iter([content]))
    return KeyedText.whole(text, sha256(content.encode()).hexdigest(), (which,))


def unreadable(text: KeyedText) -> KeyedText:
    """The same text, which must not be read."""

    def fail() -> Any:
        raise AssertionError("the text was read")

    return KeyedText(SimpleNamespace(pieces=fail), text.sha256, text.keys)


def ids_of(cache: IdsCache, text: KeyedText, tokenizer: Any, on_unknown: Any = "unk") -> IdsOnDisk:
    [ids] = cache.ids(text, tokenizer, on_unknown)
    return ids


def entry(cache: IdsCache, suffix: str = "ids") -> Path:
    [path] = cache.folder.glob(f"*.{suffix}")
    return path


@pytest.fixture
def cache(tmp_path: Path) -> IdsCache:
    return IdsCache(tmp_path / "cache")


# Reuse


def test_ids_are_reused_without_reading_the_text(cache: IdsCache) -> None:
    first = ids_of(cache, keyed("ab?b"), AB)
    again = ids_of(cache, unreadable(keyed("ab?b")), AB)
    assert (first.reused, again.reused) == (False, True)
    assert first.ids.tolist() == again.ids.tolist() == [2, 3, 0, 3]
    assert again.ids.dtype == np.uint8
    for tokens in (first, again):
        assert (tokens.n_unknown, tokens.n_chars, str(tokens.first_unknown)) == (
            1, 4, "'?' (U+003F QUESTION MARK) at character 3",
        )  # fmt: skip


def test_parts_are_encoded_in_one_reading_and_only_those_that_are_not_here(cache: IdsCache) -> None:
    reads = []

    def pieces() -> Any:
        reads.append(1)
        yield from [(0, "ab"), (1, "ba"), (0, "a"), (1, "?b")]

    text = KeyedText(SimpleNamespace(pieces=pieces), "hash", (("train",), ("valid",)))
    train, valid = cache.ids(text, AB)
    assert (train.ids.tolist(), valid.ids.tolist(), len(reads)) == ([2, 3, 2], [3, 2, 0, 3], 1)
    assert (train.n_unknown, valid.n_unknown, str(valid.first_unknown)[-11:]) == (0, 1, "character 3")
    os.unlink(max(cache.folder.iterdir(), key=lambda path: path.stat().st_size))
    train, valid = cache.ids(text, AB)
    assert (train.reused, valid.reused, len(reads)) == (True, False, 2)
    assert (train.ids.tolist(), valid.ids.tolist()) == ([2, 3, 2], [3, 2, 0, 3])
    assert [ids.reused for ids in cache.ids(unreadable(text), AB)] == [True, True]


def test_a_text_that_fails_in_one_part_leaves_neither(cache: IdsCache) -> None:
    def pieces() -> Any:
        yield 0, "ab"
        raise DataError("the text changed")

    with pytest.raises(DataError, match="changed"):
        cache.ids(KeyedText(SimpleNamespace(pieces=pieces), "hash", (("train",), ("valid",))), AB)
    assert list(cache.folder.iterdir()) == []


@pytest.mark.parametrize(
    "other",
    [
        lambda cache: ids_of(cache, keyed("ab"), AB),
        lambda cache: ids_of(cache, keyed("ab?b", "valid"), AB),
        lambda cache: ids_of(cache, keyed("ab?b"), CharTokenizer("abc")),
        lambda cache: ids_of(cache, keyed("ab?b"), AB, "skip"),
    ],
    ids=["another text", "another part", "another tokenizer", "unknown symbols handled otherwise"],
)
def test_ids_of_anything_else_are_not_taken_for_these(cache: IdsCache, other: Callable[[IdsCache], Any]) -> None:
    ids_of(cache, keyed("ab?b"), AB)
    assert not other(cache).reused
    assert len(list(cache.folder.iterdir())) == 2


def test_a_text_without_tokens_is_reused_too(cache: IdsCache) -> None:
    for reused in (False, True):
        tokens = ids_of(cache, keyed("??"), AB, "skip")
        assert (tokens.ids.shape, tokens.n_unknown, tokens.reused) == ((0,), 2, reused)


@pytest.mark.parametrize("level", ["char", "byte", "word", "subword"])
def test_a_tokenizer_is_reused_without_reading_the_text(cache: IdsCache, level: Any) -> None:
    config = TokenizerConfig(level)
    first = cache.tokenizer(keyed(TEXT), config)
    again = cache.tokenizer(unreadable(keyed(TEXT)), config)
    assert again.to_dict() == first.to_dict()
    others = keyed("a rose is a rose\n" * 90)
    assert level == "byte" or cache.tokenizer(others, config).to_dict() != first.to_dict()


def test_an_unknown_symbol_of_any_length_has_room(cache: IdsCache) -> None:
    config = TokenizerConfig("word")
    tokenizer = cache.tokenizer(keyed(TEXT), config)
    first, again = (ids_of(cache, keyed("😀" * 100_000), tokenizer) for _ in range(2))
    assert (first.reused, again.reused) == (False, True)
    assert first.first_unknown == again.first_unknown is not None


# What is not to be trusted


@pytest.mark.parametrize("suffix", ["ids", "tokenizer"])
def test_an_entry_that_is_damaged_anywhere_is_written_anew(cache: IdsCache, suffix: str) -> None:
    config = TokenizerConfig("char")

    def make() -> Any:
        return (cache.tokenizer(keyed(TEXT), config).to_dict(), ids_of(cache, keyed(TEXT), AB).ids.tolist())

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
def test_a_header_that_lies_with_a_right_digest_is_not_believed(cache: IdsCache, lie: dict[str, Any]) -> None:
    ids_of(cache, keyed("abab"), AB)
    rewrite(entry(cache), lie, b"\2\3\2\3")
    tokens = ids_of(cache, keyed("abab"), AB)
    assert (tokens.reused, tokens.ids.tolist()) == (False, [2, 3, 2, 3])


def test_ids_beyond_the_vocabulary_are_not_believed(cache: IdsCache) -> None:
    ids_of(cache, keyed("abab"), AB)
    rewrite(entry(cache), {}, b"\2\3\2\4")
    assert ids_of(cache, keyed("abab"), AB).ids.tolist() == [2, 3, 2, 3]


@pytest.mark.parametrize("content", [b"[]", b'{"level": "char", "characters": "aa"}', b"[" * 100_000, b"\xff"])
def test_a_tokenizer_that_is_none_is_not_believed(cache: IdsCache, content: bytes) -> None:
    config = TokenizerConfig("char")
    cache.tokenizer(keyed("abab"), config)
    rewrite(entry(cache, "tokenizer"), {}, content)
    assert cache.tokenizer(keyed("abab"), config).to_dict()["characters"] == "ab"


def rewrite(path: Path, changes: dict[str, Any], content: bytes) -> None:
    """Another header and content, and the digest that goes with them."""
    header = json.loads(path.read_bytes()[: HEADER_BYTES - 64]) | changes
    fields = json.dumps(header).encode().ljust(HEADER_BYTES - 64)
    path.write_bytes(fields + sha256(content + fields).hexdigest().encode() + content)


def test_a_rewritten_entry_that_tells_the_truth_is_taken(cache: IdsCache) -> None:
    ids_of(cache, keyed("abab"), AB)
    rewrite(entry(cache), {}, b"\2\3\2\3")
    assert ids_of(cache, keyed("abab"), AB).reused


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_an_entry_of_another_user_is_not_trusted(cache: IdsCache) -> None:
    ids_of(cache, keyed("abab"), AB)
    os.chown(entry(cache), 12345, 12345)
    assert not ids_of(cache, keyed("abab"), AB).reused
    assert ids_of(cache, keyed("abab"), AB).reused


def test_a_link_in_the_place_of_an_entry_is_not_followed(cache: IdsCache, tmp_path: Path) -> None:
    ids_of(cache, keyed("abab"), AB)
    path = entry(cache)
    precious = tmp_path / "precious"
    path.rename(precious)
    path.symlink_to(precious)
    content = precious.read_bytes()
    assert not ids_of(cache, keyed("abab"), AB).reused
    assert not path.is_symlink()
    assert precious.read_bytes() == content


def test_a_named_pipe_in_the_place_of_an_entry_blocks_nobody(cache: IdsCache) -> None:
    ids_of(cache, keyed("abab"), AB)
    path = entry(cache)
    path.unlink()
    os.mkfifo(path)
    assert ids_of(cache, keyed("abab"), AB).ids.tolist() == [2, 3, 2, 3]


def test_only_the_user_can_read_the_folder_and_what_is_in_it(cache: IdsCache) -> None:
    ids_of(cache, keyed("abab"), AB)
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(entry(cache).stat().st_mode) == 0o600


# Faults


def test_a_text_that_fails_leaves_nothing_behind(cache: IdsCache) -> None:
    with pytest.raises(TokenizerError):
        ids_of(cache, keyed("ab?"), AB, "error")
    assert list(cache.folder.iterdir()) == []


def test_ids_stay_when_the_cache_is_cleared_and_when_its_folder_goes(cache: IdsCache) -> None:
    tokens = ids_of(cache, keyed(TEXT), ByteTokenizer())
    assert cache.clear()[0] == 1
    cache.folder.rmdir()
    assert tokens.ids[:5].tobytes() == b"to be"
    release(tokens.ids)
    assert tokens.ids.tobytes() == TEXT.encode()


def test_a_cache_that_is_cleared_while_it_is_written_gives_the_ids_all_the_same(cache: IdsCache) -> None:
    class Clearing:
        def chunks(self) -> Any:
            yield "abab"
            cache.clear()
            cache.folder.rmdir()
            yield "ba"

    assert ids_of(cache, KeyedText.whole(Clearing(), "0"), AB).ids.tolist() == [2, 3, 2, 3, 3, 2]
    assert not cache.folder.exists()


def test_two_processes_on_one_cache_both_have_the_ids(cache: IdsCache) -> None:
    script = (
        "import sys, pathlib, hashlib\n"
        "from rnngen.text.ids_cache import IdsCache, KeyedText\nfrom rnngen.tokenizers.char import ByteTokenizer\n"
        "class T:\n    def chunks(self):\n        for _ in range(300): yield 'to be or not to be\\n' * 500\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "for _ in range(3):\n"
        "    [ids] = IdsCache(pathlib.Path(sys.argv[1])).ids(KeyedText.whole(T(), 'x'), ByteTokenizer())\n"
        "    print(len(ids.ids), hashlib.sha256(ids.ids.tobytes()).hexdigest(), flush=True)\n"
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


def test_a_full_disk_is_named_with_a_remedy_and_leaves_nothing_behind(cache: IdsCache) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (HEADER_BYTES + 1000, hard))
    try:
        with pytest.raises(DataError) as error:
            ids_of(cache, keyed("x" * 100_000), ByteTokenizer())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(error.value) == (
        f"cannot keep the tokens in {cache.folder}: File too large; "
        "name a folder with room that can be written, with --cache-dir"
    )
    assert list(cache.folder.iterdir()) == []


@pytest.mark.parametrize("make", ["ids", "tokenizer"])
def test_a_folder_that_cannot_be_made_is_named_with_a_remedy_before_the_text_is_read(tmp_path: Path, make: str) -> None:
    (tmp_path / "file").write_text("")
    cache = IdsCache(tmp_path / "file" / "cache")
    with pytest.raises(DataError, match=r"^cannot keep the tokens in .*cache: Not a directory; .*--cache-dir$"):
        getattr(cache, make)(unreadable(keyed("ab")), AB if make == "ids" else TokenizerConfig())


# Clearing


def test_clearing_removes_entries_and_leftovers_and_nothing_else(cache: IdsCache, tmp_path: Path) -> None:
    ids_of(cache, keyed("ab"), AB)
    cache.tokenizer(keyed("ab"), TokenizerConfig())
    key = "0" * 64
    (cache.folder / f".{key}.ids.{'0' * 16}.tmp").write_bytes(b"12345")
    n_bytes = sum(path.stat().st_size for path in cache.folder.iterdir())
    kept = {"notes.txt", "x.ids", f"{key}.idsx", f".{key}.ids.tmp", f"{key.upper()}A.ids"}
    for name in kept:
        (cache.folder / name).write_text("dear")
    assert cache.clear() == (3, n_bytes)
    assert {path.name for path in cache.folder.iterdir()} == kept
    assert cache.clear() == (0, 0)


def test_clearing_removes_links_and_not_what_they_lead_to(cache: IdsCache, tmp_path: Path) -> None:
    cache.folder.mkdir()
    precious = tmp_path / "precious"
    precious.write_text("dear")
    for digit, target in ("1", precious), ("2", tmp_path), ("3", tmp_path / "gone"):
        (cache.folder / f"{digit * 64}.ids").symlink_to(target)
    os.mkfifo(cache.folder / f"{'4' * 64}.ids")
    assert cache.clear()[0] == 4
    assert list(cache.folder.iterdir()) == []
    assert precious.read_text() == "dear"


def test_clearing_names_a_folder_that_it_leaves_after_it_has_removed_all_else(cache: IdsCache) -> None:
    ids_of(cache, keyed("ab"), AB)
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


def test_a_folder_in_the_place_of_an_entry_is_named_before_the_text_is_read(cache: IdsCache) -> None:
    ids_of(cache, keyed("ab"), AB)
    path = entry(cache)
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError) as error:
        ids_of(cache, unreadable(keyed("ab")), AB)
    assert str(error.value) == (
        f"{path} is a folder where the cache keeps a file: move it away, "
        "or name another folder for the cache with --cache-dir"
    )
    assert list(cache.folder.iterdir()) == [path]


def test_a_file_as_the_folder_is_named_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("dear")
    for act in (lambda cache: cache.clear(), lambda cache: ids_of(cache, unreadable(keyed("ab")), AB)):
        with pytest.raises(
            DataError, match=r"text.txt is no folder to keep tokens in: name a folder with --cache-dir$"
        ):
            act(IdsCache(path))
    assert path.read_text() == "dear"


def test_clearing_a_cache_that_is_not_there_removes_nothing(tmp_path: Path) -> None:
    assert IdsCache(tmp_path / "none").clear() == (0, 0)


def test_what_a_killed_process_left_is_removed_when_it_is_old(cache: IdsCache) -> None:
    cache.folder.mkdir()
    old, new = (cache.folder / f".{'0' * 64}.ids.{digit * 16}.tmp" for digit in "01")
    for path in (old, new):
        path.write_text("")
    os.utime(old, (0, 0))
    ids_of(cache, keyed("ab"), AB)
    assert (old.exists(), new.exists()) == (False, True)


def test_the_default_folder_is_where_the_system_keeps_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for value, folder in (("/x", "/x/rnngen"), ("", f"{tmp_path}/.cache/rnngen"), ("x", f"{tmp_path}/.cache/rnngen")):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert str(default_folder()) == folder


def test_the_version_of_sentencepiece_is_a_part_of_what_subwords_are_made_of(
    cache: IdsCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TokenizerConfig("subword")
    cache.tokenizer(keyed(TEXT), config)
    monkeypatch.setattr(caches, "version", lambda name: "another")
    with pytest.raises(AssertionError, match="the text was read"):
        cache.tokenizer(unreadable(keyed(TEXT)), config)
