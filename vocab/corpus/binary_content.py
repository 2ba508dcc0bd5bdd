"""What is not UTF-8 text, by how it begins."""

from __future__ import annotations

import re

# The beginning of a file that is looked at, unpacked.
HEAD_BYTES = 64 << 10
_UTF16 = (
    (b"\xff\xfe\0\0", "UTF-32"),
    (b"\0\0\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
# Magic numbers that no text begins with.
_MAGIC = (
    (rb"\x89PNG\r\n", "is a PNG image"),
    (rb"\xff\xd8\xff", "is a JPEG image"),
    (rb"GIF8[79]a", "is a GIF image"),
    (rb"%PDF-", "is a PDF document: save its text first"),
    (rb"PK\x03\x04", "is a zip archive, or a document made as one: unpack it, or save its text first"),
    (rb"\x1f\x8b\x08", "is packed by gzip: end its name in .gz"),
    (rb"BZh[1-9]1AY&SY", "is packed by bzip2: end its name in .bz2"),
    (rb"\xfd7zXZ\0", "is packed by xz: end its name in .xz"),
    (rb"\x28\xb5\x2f\xfd", "is packed by zstd: end its name in .zst"),
    (rb"\x04\x22\x4d\x18", "is packed by lz4: unpack it first"),
    (rb"7z\xbc\xaf\x27\x1c", "is a 7z archive: unpack it first"),
    (rb"Rar!\x1a\x07", "is a rar archive: unpack it first"),
    (rb"\x7fELF", "is a program (ELF)"),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is a document of an office program: save its text first"),
    (rb"\xce\xfa\xed\xfe|\xcf\xfa\xed\xfe|\xca\xfe\xba\xbe", "is a program (Mach-O or Java)"),
    (rb"SQLite format 3\0", "is a database (SQLite)"),
    (rb"\x89HDF\r\n", "is an HDF5 file"),
    (rb"\x93NUMPY", "is a NumPy array"),
    (rb"Obj\x01", "is an Avro file: write it as JSON lines or Parquet"),
    (rb"PAR1[\s\S]{0,16}[\0\x15]", "is a Parquet file: end its name in .parquet"),
    (rb"ARROW1\0\0", "is an Arrow file: end its name in .arrow"),
    (rb"\0asm", "is a program (WebAssembly)"),
    (rb"\x80[\x02-\x05]", "is a Python pickle"),
    (rb"[\s\S]{2}\r\n[\0-\x03]\0\0\0", "is compiled Python"),
    (rb"\xde\x12\x04\x95|\x95\x04\x12\xde", "is a compiled catalogue of messages"),
    (rb"!<arch>\n", "is an archive of a compiler"),
    (rb"WARC/\d\.\d\r?\n", "is a web archive (WARC): extract its text first"),
    (rb"[\s\S]{257}ustar[\0 ]", "is a tar archive: unpack it first"),
)
_ANY_MAGIC = re.compile(b"|".join(b"(%s)" % magic.replace(b"(", b"(?:") for magic, _ in _MAGIC))
# A file with NUL bytes is binary when more than one byte in so many is NUL or not part of valid UTF-8.
_BAD_ONE_IN = 5


def not_text_by_content(head: bytes) -> str | None:
    """Why a file is not UTF-8 text; None when it is.

    A file is not text when it begins with the magic number of another format or the mark of UTF-16, or when its
    beginning holds NUL and more than a fifth of it is NUL or invalid UTF-8.

    Args:
        head: its first 64 KiB, unpacked.
    """
    for mark, name in _UTF16:
        if head.startswith(mark):
            return _utf16(f"is {name}")
    if match := _ANY_MAGIC.match(head):
        return _MAGIC[(match.lastindex or 1) - 1][1]
    n_nul = head.count(b"\0")
    if not n_nul:
        return None
    if _BAD_ONE_IN * (n_nul + _n_invalid(head)) <= len(head):
        return None
    for high, low in ((head[::2], head[1::2]), (head[1::2], head[::2])):
        if len(head) > 8 and 2 * high.count(b"\0") > len(high) and not low.count(b"\0"):
            return _utf16("looks like UTF-16 without a byte order mark")
    return "is not text: more than a fifth of its beginning is NUL bytes or not UTF-8"


def _utf16(what: str) -> str:
    return f"{what}: convert it to UTF-8 first, as with iconv -t UTF-8"


def _n_invalid(head: bytes) -> int:
    """Bytes that are not part of valid UTF-8."""
    return len(head) - len(head.decode(errors="ignore").encode())
