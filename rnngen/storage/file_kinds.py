"""What a file is, by its first bytes: so that a message can name it, and what takes it.

It knows the files of rnngen, and those that people have beside them. Nothing is unpacked or parsed.
"""

from __future__ import annotations

import codecs
import os
import re
import shlex
from dataclasses import dataclass

HEAD_BYTES = 1 << 14
GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class FileKind:
    """A kind of file.

    Attributes:
        name: with its article.
        use: what takes it, or makes something of it; `{path}` stands for the file.
        is_text: it can be read as a text too.
        from_text: what makes one of a text; empty for what nothing makes.
    """

    name: str
    use: str
    is_text: bool = False
    from_text: str = ""


TEXT = FileKind("a text", "rnngen train {path} trains a model on it", is_text=True)
CHECKPOINT = FileKind(
    "an rnngen checkpoint",
    "--model (-m) takes it, and train --init-from",
    from_text="rnngen train {path} makes one of it",
)
RESUME = FileKind("a resume file", "rnngen train --resume {path} goes on with the stopped run")
TOKENIZER = FileKind(
    "a tokenizer file",
    "train and tokenize take it with --tokenizer",
    is_text=True,
    from_text="rnngen tokenize {path} --save FILE makes one of it",
)
ARPA = FileKind("an ARPA file", "perplexity --mix takes it", is_text=True, from_text="lmplz of KenLM makes one of it")

_OTHER_TENSORS = FileKind("a safetensors file of another program", "rnngen reads only its own checkpoints")
TENSOR_KINDS = {"rnngen": CHECKPOINT, "rnngen-resume": RESUME}  # by the record `format`
_OFFICE = "pandoc -t plain {path} makes a text of it"
_TORCH = FileKind(
    "a file of torch.save",
    "rnngen reads only its own checkpoints; for a model of torch see Checkpoints in docs/formats.md",
)
_SPREADSHEET = FileKind("a spreadsheet (xlsx)", "save it as text or CSV")
_ZIP = FileKind("a zip file", "unzip -p {path} unpacks it")
_STARTS = (
    (GZIP, FileKind("a gzip file", "gzip -dc {path} unpacks it")),
    *((b"BZh%d1AY&SY" % level, FileKind("a bzip2 file", "bzip2 -dc {path} unpacks it")) for level in range(1, 10)),
    (b"\xfd7zXZ\0", FileKind("an xz file", "xz -dc {path} unpacks it")),
    (b"\x28\xb5\x2f\xfd", FileKind("a zstd file", "zstd -dc {path} unpacks it")),
    (b"\x04\x22\x4d\x18", FileKind("an lz4 file", "lz4 -dc {path} unpacks it")),
    (b"\x1f\x9d", FileKind("a compressed file (.Z)", "gzip -dc {path} unpacks it")),
    (b"7z\xbc\xaf\x27\x1c", FileKind("a 7z file", "7z x -so {path} unpacks it")),
    (b"Rar!\x1a\x07", FileKind("a rar file", "unrar p -inul {path} unpacks it")),
    (b"PK\x03\x04", _ZIP),
    (b"PK\x05\x06", FileKind("an empty zip file", "name another file")),
    (b"%PDF-", FileKind("a PDF file", "pdftotext {path} - makes a text of it")),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", FileKind("an old Office file (doc, xls)", "save it as text")),
    (b"SQLite format 3\0", FileKind("an SQLite database", "sqlite3 -csv {path} QUERY makes a text of it")),
    (b"GGUF\x03\0", FileKind("a model of llama.cpp (GGUF)", "rnngen reads only its own checkpoints")),
    (b"mmap lm http://kheafield.com/code",
     FileKind("a binary model of KenLM", "perplexity --mix takes the ARPA file that it was made from")),
    (b"\x93NUMPY", FileKind("an array of numpy", "rnngen reads texts, and its own checkpoints")),
)  # fmt: skip
_JSON = FileKind("a JSON file", "train, score and the other commands read it as a text", is_text=True)
_ZIPPED = (
    (b"word/document.xml", FileKind("a Word document (docx)", _OFFICE)),
    (b"application/epub+zip", FileKind("an e-book (epub)", _OFFICE)),
    (b"application/vnd.oasis.opendocument.text", FileKind("an OpenDocument text (odt)", _OFFICE)),
    (b"xl/", _SPREADSHEET),
    (b"/data.pkl", _TORCH),
)
_TAR = FileKind("a tar file", "tar -xOf {path} unpacks it")
_SENTENCEPIECE = FileKind("a SentencePiece model", "rnngen makes its own with --level subword")

_LONGEST_HEADER = 1 << 32  # of a safetensors file; the four bytes above it are 0
_KIND_OF_TENSORS = re.compile(rb'"format"\s*:\s*"(rnngen(?:-resume)?)"')
_KIND_OF_JSON = re.compile(rb'\s*\{\s*"format"\s*:\s*"rnngen-tokenizer"')
_JSON_OBJECT = re.compile(rb'\s*\{\s*"')
_FIRST_PIECE = re.compile(rb"\n.\n.<(?:unk|pad|s)>\x15", re.DOTALL)
_DATA = re.compile(rb"\s*\\data\\\s")
_NO_TEXT = re.compile(rb"[\x00-\x06\x0e-\x1a\x1c-\x1f]")
_WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)


def kind_of(head: bytes) -> FileKind | None:
    """What a file is that starts with these bytes; None if that is not known, and for an empty one.

    Args:
        head: some thousand bytes, or all that there are. Fewer find less.
    """
    for start, kind in _STARTS:
        if head.startswith(start):
            return _zipped(head) if kind is _ZIP else kind
    if head[257:262] == b"ustar":
        return _TAR
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < _LONGEST_HEADER:
        return _kind_of_tensors(head)
    if head[:1] == b"\x80" and b"torch" in head:
        return _TORCH
    if _FIRST_PIECE.match(head):
        return _SENTENCEPIECE
    if _JSON_OBJECT.match(head):
        return TOKENIZER if _KIND_OF_JSON.match(head) else _JSON
    if _DATA.match(head):
        return ARPA
    return TEXT if head and (head.startswith(_WIDE_MARKS) or not _NO_TEXT.search(head)) else None


def may_be_cut(head: bytes) -> bool:
    """Whether the next byte may tell what a file is, or in which encoding, that starts with these few."""
    starts = (*(start for start, _ in _STARTS), codecs.BOM_UTF8, *_WIDE_MARKS)
    return any(len(head) < len(start) and start.startswith(head) for start in starts)


def what_it_is(path: str | os.PathLike[str], wanted: FileKind) -> str:
    """A sentence for a file of another kind than the one that is wanted: what it is, and what takes it.

    Returns:
        "" for a file that is not there, is of the kind that is wanted, or of which nothing is known.
    """
    path = os.fspath(path)
    if os.path.isdir(path):
        return f"{path} is a folder, not {wanted.name}: name a file in it"
    if not os.path.isfile(path):
        return ""
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return ""
    if not head:
        return f"{path} is empty, and not {wanted.name}: name another file"
    kind = kind_of(head)
    return "" if kind is None or kind is wanted else refusal(kind, wanted, path)


def refusal(kind: FileKind, wanted: FileKind, path: str, shown: str = "") -> str:
    """The sentence of `what_it_is` for a known kind.

    Args:
        shown: the file is called so, if it has no path that a command can take.
    """
    use = wanted.from_text if kind is TEXT and wanted.from_text else kind.use
    if shown:
        use = use.replace(" {path}", "")
    return f"{shown or path} is {kind.name}, not {wanted.name}: {use.format(path=shlex.quote(path))}"


def _kind_of_tensors(head: bytes) -> FileKind | None:
    if found := _KIND_OF_TENSORS.search(head):
        return TENSOR_KINDS[found[1].decode()]
    is_cut = len(head) < min(8 + int.from_bytes(head[:8], "little"), HEAD_BYTES)
    return None if is_cut else _OTHER_TENSORS


def _zipped(head: bytes) -> FileKind:
    return next((kind for sign, kind in _ZIPPED if sign in head), _ZIP)
