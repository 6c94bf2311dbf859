"""What undecodable bytes suggest."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnngen.errors import DataError
from rnngen.text.corpus import FileText

PROSE = "“The café is closed”, said naïve Zoë – of Lyon.\r\nAnd it was.\r\n"
PERSIAN = "این یک متن فارسی است.\nو این هم.\n" * 20
CHINESE = "我们在这里读书,\n他们也在这里。\n" * 20


def refusal(path: Path, content: bytes, encoding: str = "utf-8") -> str:
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        list(FileText([str(path)], encoding).chunks())
    return str(error.value)


@pytest.mark.parametrize(
    ("content", "encoding", "advice"),
    [
        (PROSE.encode("cp1252"), "utf-8", "for example --encoding cp1252 (cp1250 for Czech or Polish, cp1254"),
        ("café, naïve\n".encode("latin-1"), "utf-8", "for example --encoding latin-1 (iso8859-2 for Czech or Polish"),
        ("Şimdi ne yapacağız?\n".encode("iso8859-9"), "utf-8", "iso8859-9 for Turkish)"),
        (b"text\n" * 2000 + b"\xa7\r\r\n\0\0\0\0" + b"text\n", "utf-8", "a binary file may be in the text"),
        ("Привет, это письмо на русском языке.\n".encode("cp1251"), "utf-8", "cp1251 for Russian"),
        ("این یک متن فارسی است.\n".replace("ی", "ي").encode("cp1256"), "utf-8", "cp1256 for Arabic or Persian"),
        (CHINESE.encode("gb18030"), "utf-8", "gb18030 for Chinese"),
        (
            PROSE.encode("utf-16"),
            "utf-8",
            "mark of UTF-16; read it with --encoding utf-16, or convert it: iconv -f utf-16",
        ),
        (PROSE.encode("utf-16"), "latin-1", "the byte order mark of UTF-16; read it with --encoding utf-16"),
        (b"\xfe\xff" + PROSE.encode("utf-16-be"), "utf-16-le", "read it with --encoding utf-16"),
        (PROSE.encode("utf-32"), "utf-16", "the byte order mark of UTF-32; read it with --encoding utf-32"),
        (PROSE.encode("utf-8-sig"), "cp1252", "the byte order mark of UTF-8; read it with --encoding utf-8"),
        (PROSE.encode("utf-16-le"), "utf-8", "UTF-16-LE without a byte order mark: read it with --encoding utf-16-le"),
        (PROSE.encode("utf-16-be"), "latin-1", "UTF-16-BE without a byte order mark: read it with"),
        (PROSE.encode("utf-16-be"), "utf-16", "UTF-16-BE without a byte order mark: read it with"),
        (b"plain ASCII\n".decode().encode("utf-16-le"), "utf-8", "read it with --encoding utf-16-le"),
        (PERSIAN.encode("utf-16-be"), "utf-8", "read it with --encoding utf-16-be"),
        (CHINESE.encode("utf-16-le"), "utf-8", "read it with --encoding utf-16-le"),
        (PROSE.encode("utf-32-be"), "utf-8", "UTF-32-BE without a byte order mark"),
        (PROSE.encode("utf-32-le"), "utf-16-le", "UTF-32-LE without a byte order mark"),
        (PERSIAN.encode()[:-3], "utf-8", "the text was cut inside a character, as head -c does"),
        (PERSIAN.encode() + b"\xff\n" + PERSIAN.encode(), "utf-8", "the rest is UTF-8: iconv -c -f utf-8 -t utf-8"),
        ("é\n".encode(), "ascii", "it looks like UTF-8: leave out --encoding"),
        (bytes(range(256)) * 9, "utf-8", "it is a binary file"),
    ],
)
def test_undecodable_bytes_suggest_their_encoding(tmp_path: Path, content: bytes, encoding: str, advice: str) -> None:
    path = tmp_path / "text"
    message = refusal(path, content, encoding)
    assert message.startswith(str(path))
    assert advice in message


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "cp1252", "utf-16", "utf-32"])
def test_the_advice_about_the_encoding_makes_the_text_readable(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "text"
    advised = refusal(path, PROSE.encode(encoding)).rsplit("--encoding ", 1)[1].split()[0].strip(",")
    assert "".join(FileText([str(path)], advised).chunks()) == PROSE.replace("\r\n", "\n")
