"""The cache folder: token ids and tokenizers of earlier texts, found by a hash of the text and the settings.

An entry is a file `KEY.ids` or `KEY.tokenizer`: a header of `HEADER_BYTES`, then the content.

    JSON, filled up with spaces | hexadecimal SHA-256 of the content and the JSON | content

An entry is used only if it is whole and was written by this user; any other is written again. An entry gets its name by
a rename. So two processes may write the same one: the last one stays, and both use the file that they have open.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO
from unicodedata import unidata_version

import numpy as np

from rnngen import work
from rnngen.config import OnUnknown, TokenizerConfig
from rnngen.errors import DataError, TokenizerError
from rnngen.text.ids_on_disk import EncodingCounts, IdsOnDisk, IdsWriter, dtype_for, map_ids, write_all
from rnngen.text.splits import PartOfText, SplitText, Whole
from rnngen.tokenizers import levels
from rnngen.tokenizers.base import Text, Tokenizer
from rnngen.tokenizers.symbols import Unknown

FORMAT = "rnngen-cache"
VERSION = 5  # raise it with every change to how a text is split or encoded, or a tokenizer built
HEADER_BYTES = 4096
LEFT_OVER_SECONDS = 3600  # a temporary file this old was left by a killed process

_DIGEST_BYTES = 64
_READ_BYTES = 1 << 20
_LARGEST_TOKENIZER = 1 << 28
_ENTRY = re.compile(r"[0-9a-f]{64}\.(?:ids|tokenizer)")
_TEMPORARY = re.compile(r"\.[0-9a-f]{64}\.(?:ids|tokenizer)\.[0-9a-f]{16}\.tmp")
# Windows does not need these: its folders hold no such links or named pipes.
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True)
class KeyedText:
    """A text in parts, with a key for each part.

    Attributes:
        sha256: of the whole text.
        keys: for each part, how it is made from the text.
    """

    split: SplitText
    sha256: str
    keys: tuple[tuple[str | int, ...], ...]

    @classmethod
    def whole(cls, text: Text, sha256: str, key: tuple[str | int, ...] = ("whole",)) -> KeyedText:
        """A text with a single part."""
        return cls(Whole(text), sha256, (key,))


def default_folder() -> Path:
    """`rnngen` in `$XDG_CACHE_HOME`, else in `~/.cache`. Raises DataError when there is no home folder."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):  # the XDG Base Directory Specification says to ignore others
        return Path(base) / "rnngen"
    try:
        return Path.home() / ".cache" / "rnngen"
    except RuntimeError:
        raise DataError("there is no home folder to keep tokens in: name a folder with --cache-dir") from None


class IdsCache:
    """Ids and tokenizers in one folder, which is made when something is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def ids(self, text: KeyedText, tokenizer: Tokenizer, on_unknown: OnUnknown = "unk") -> list[IdsOnDisk]:
        """The ids of each part of a text. Those that are not in the cache are encoded in one reading of the text.

        Raises:
            DataError: the folder cannot be written, or the disk is full.
            TokenizerError: the text has unknown symbols, and they are an error.
        """
        made_by = [_sha256_of(tokenizer.to_dict()), on_unknown]
        names = [f"{_key(text, part, 'ids', tokenizer.level, made_by)}.ids" for part in range(len(text.keys))]
        with self._failing_well():
            known = {part: ids for part, name in enumerate(names) if (ids := self._read_ids(name, tokenizer))}
            missing = {part: name for part, name in enumerate(names) if part not in known}
            if missing:
                known |= self._encode(text, missing, tokenizer, on_unknown)
        return [known[part] for part in range(len(names))]

    def _read_ids(self, name: str, tokenizer: Tokenizer) -> IdsOnDisk | None:
        dtype = dtype_for(tokenizer.vocab_size)
        with self._whole(name) as entry:
            counts = entry and _counts(entry[1], dtype)
            if entry and counts and _has_ids(entry[0], dtype, counts.n_tokens, tokenizer.vocab_size):
                return map_ids(entry[0], HEADER_BYTES, dtype, counts, reused=True)
        return None

    def _encode(
        self, text: KeyedText, names: dict[int, str], tokenizer: Tokenizer, on_unknown: OnUnknown
    ) -> dict[int, IdsOnDisk]:
        """Encode the parts that have a name, each into the entry of that name."""
        dtype = dtype_for(tokenizer.vocab_size)
        with contextlib.ExitStack() as stack:
            files = {part: stack.enter_context(self._new(name)) for part, name in names.items()}
            digests = {part: hashlib.sha256() for part in names}
            writers = {part: IdsWriter(files[part], tokenizer, on_unknown, digests[part].update) for part in names}
            for part, piece in text.split.pieces():
                if part in writers:
                    writers[part].add(piece)
            for part, name in names.items():
                _write_header(files[part], name, _header_of(writers[part].counts, dtype), digests[part])
            return {part: map_ids(files[part], HEADER_BYTES, dtype, writers[part].counts) for part in names}

    def tokenizer(self, text: KeyedText, config: TokenizerConfig) -> Tokenizer:
        """The tokenizer that `config` asks for, from the first part of a text. It is built if it is not in the cache.

        Raises:
            DataError: the folder cannot be written, or the disk is full.
            TokenizerError: it cannot be built from this text.
        """
        name = f"{_key(text, 0, 'tokenizer', config.level, config.to_dict())}.tokenizer"
        with self._failing_well():
            with self._whole(name) as entry:
                known = entry and _read_tokenizer(entry[0])
            if known:
                return known
            # The file is opened first: SentencePiece may take minutes, and an unusable folder should fail at once.
            with self._new(name) as file:
                built = levels.build(config, PartOfText(text.split, 0))
                content = json.dumps(built.to_dict()).encode()
                write_all(file, memoryview(content))
                _write_header(file, name, {}, hashlib.sha256(content))
            return built

    def clear(self) -> tuple[int, int]:
        """Remove all entries and the temporary files of killed processes. A process that has one open can still use it.

        A link that has the name of an entry is removed; the file that it leads to is not.

        Returns:
            How many files there were, and their bytes.

        Raises:
            DataError: a file cannot be removed, or a folder has the name of an entry. All others are removed.
        """
        n_files = n_bytes = 0
        folders = []
        try:
            for file in self._named(_ENTRY, _TEMPORARY):
                if file.is_dir(follow_symlinks=False):
                    folders.append(file.path)
                    continue
                with contextlib.suppress(FileNotFoundError):
                    size = file.stat(follow_symlinks=False).st_size
                    os.unlink(file.path)
                    n_files, n_bytes = n_files + 1, n_bytes + size
        except NotADirectoryError:
            raise self._no_folder() from None
        except OSError as error:
            raise DataError(f"cannot clear the cache {self.folder}: {error.strerror}; make it writable") from None
        if folders:
            raise DataError(
                f"{folders[0]} is a folder where the cache has a file, and stays{_and_others(folders[1:])}: "
                "move it away by hand; all else is removed"
            )
        return n_files, n_bytes

    def _named(self, *patterns: re.Pattern[str]) -> Iterator[os.DirEntry[str]]:
        """The paths in the folder that have the name of a cache file."""
        try:
            found = list(os.scandir(self.folder))
        except FileNotFoundError:
            return
        yield from (file for file in found if any(pattern.fullmatch(file.name) for pattern in patterns))

    def _no_folder(self) -> DataError:
        return DataError(f"{self.folder} is no folder to keep tokens in: name a folder with --cache-dir")

    @contextlib.contextmanager
    def _failing_well(self) -> Iterator[None]:
        try:
            yield
        except FileExistsError:
            raise self._no_folder() from None
        except OSError as error:
            raise DataError(
                f"cannot keep the tokens in {self.folder}: {error.strerror}; "
                "name a folder with room that can be written, with --cache-dir"
            ) from None

    @contextlib.contextmanager
    def _whole(self, name: str) -> Iterator[tuple[BinaryIO, dict[str, Any]] | None]:
        """An entry's file, positioned after the header, and the header; None if it must not be used."""
        try:
            file = open(os.open(self.folder / name, _READ), "rb", buffering=0)  # noqa: SIM115
        except OSError:
            yield None
            return
        with file:
            header = _checked_header(file, name)
            if header is None:
                yield None
                return
            file.seek(HEADER_BYTES)
            yield file, header

    @contextlib.contextmanager
    def _new(self, name: str) -> Iterator[BinaryIO]:
        """A new file, positioned after a header that is still to be written. It gets its name at the end."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / name
        if path.is_dir() and not path.is_symlink():
            raise DataError(
                f"{path} is a folder where the cache keeps a file: move it away, "
                "or name another folder for the cache with --cache-dir"
            )
        self._remove_leftovers()
        temporary = self.folder / f".{name}.{secrets.token_hex(8)}.tmp"
        # Unbuffered, so that closing the file writes nothing and cannot fail.
        with open(os.open(temporary, _NEW, 0o600), "r+b", buffering=0) as file:
            try:
                file.seek(HEADER_BYTES)
                yield file
                os.fsync(file.fileno())
                # Another process that clears the cache meanwhile removes only the name.
                with contextlib.suppress(FileNotFoundError):
                    os.replace(temporary, path)
            finally:
                with contextlib.suppress(OSError):
                    temporary.unlink(missing_ok=True)

    def _remove_leftovers(self) -> None:
        with contextlib.suppress(OSError):
            for file in self._named(_TEMPORARY):
                found = file.stat(follow_symlinks=False)
                if stat.S_ISREG(found.st_mode) and time.time() - found.st_mtime > LEFT_OVER_SECONDS:
                    os.unlink(file.path)


def _and_others(folders: list[str]) -> str:
    return f" (and {len(folders)} more)" if folders else ""


def _key(text: KeyedText, part: int, kind: str, level: str, made_by: object) -> str:
    # The libraries that define words and subwords change independently of rnngen.
    makers = {"word": unidata_version, "subword": version("sentencepiece") if level == "subword" else ""}
    return _sha256_of([VERSION, kind, text.sha256, list(text.keys[part]), made_by, makers.get(level, "")])


def _sha256_of(values: object) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _header_of(counts: EncodingCounts, dtype: np.dtype[Any]) -> dict[str, Any]:
    first = counts.first_unknown
    return {**asdict(counts), "first_unknown": first and [first.symbol, first.offset], "dtype": dtype.name}


def _write_header(file: BinaryIO, name: str, values: dict[str, Any], digest: hashlib._Hash) -> None:
    """Write the header of a file, with the digest of its content."""
    header = json.dumps({"format": FORMAT, "version": VERSION, "name": name, **values}).encode()
    header = header.ljust(HEADER_BYTES - _DIGEST_BYTES)
    digest.update(header)
    file.seek(0)
    write_all(file, memoryview(header + digest.hexdigest().encode()))


def _checked_header(file: BinaryIO, name: str) -> dict[str, Any] | None:
    """The header of an entry, if the file is whole and belongs to this user. Reads the content once."""
    found = os.fstat(file.fileno())
    if not stat.S_ISREG(found.st_mode) or (hasattr(os, "getuid") and found.st_uid != os.getuid()):
        return None
    try:
        header = file.read(HEADER_BYTES)
        digest = hashlib.sha256()
        blocks = iter(lambda: file.read(_READ_BYTES), b"")
        for block in work.follow(blocks, "checking the cache", found.st_size, work.BYTES, len):
            digest.update(block)
    except OSError:
        return None
    fields, expected = header[:-_DIGEST_BYTES], header[-_DIGEST_BYTES:]
    digest.update(fields)
    if len(header) != HEADER_BYTES or digest.hexdigest().encode() != expected:
        return None
    try:
        values = json.loads(fields)
    except (ValueError, RecursionError):
        return None
    wanted = {"format": FORMAT, "version": VERSION, "name": name}
    return values if isinstance(values, dict) and wanted.items() <= values.items() else None


def _counts(header: dict[str, Any], dtype: np.dtype[Any]) -> EncodingCounts | None:
    match header:
        case {
            "dtype": dtype.name,
            "n_tokens": int(n_tokens),
            "n_chars": int(n_chars),
            "n_unknown": int(n_unknown),
            "first_unknown": None | [str(), int()] as first,
        } if n_tokens >= 0 and n_chars >= 1 and n_unknown >= 0:
            return EncodingCounts(n_tokens, n_chars, n_unknown, first and Unknown(*first))
    return None


def _has_ids(file: BinaryIO, dtype: np.dtype[Any], n_tokens: int, vocab_size: int) -> bool:
    """Whether a file holds, from its position to its end, this number of ids of a vocabulary."""
    if os.fstat(file.fileno()).st_size != HEADER_BYTES + n_tokens * dtype.itemsize:
        return False
    return all(np.frombuffer(block, dtype).max() < vocab_size for block in iter(lambda: file.read(_READ_BYTES), b""))


def _read_tokenizer(file: BinaryIO) -> Tokenizer | None:
    try:
        return levels.from_dict(json.loads(file.read(_LARGEST_TOKENIZER)))
    except (ValueError, RecursionError, TokenizerError):
        return None
