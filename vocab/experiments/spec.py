"""`load_spec`: a study from its specification, a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from vocab.errors import StudyError
from vocab.experiments.loss.loss_spec import LossStudy
from vocab.experiments.ngram.ngram_spec import NgramStudy
from vocab.experiments.speed.speed_spec import SpeedStudy
from vocab.experiments.toml_record import read_record
from vocab.reading import TooDeepError, check_depth, is_file_name

_KINDS: dict[str, Any] = {kind.kind: kind for kind in (SpeedStudy, LossStudy, NgramStudy)}
_SPECS = resources.files("vocab.experiments") / "specs"


def load_spec(name_or_path: str | Path) -> SpeedStudy | LossStudy | NgramStudy:
    """Read a study.

    Args:
        name_or_path: name of a built-in study ("hamming-cpu"), or a TOML file.

    Returns:
        A `SpeedStudy` for a file with a table [speed], a `LossStudy` for [loss], an `NgramStudy` for [ngram].

    Raises:
        StudyError: for a file that is missing or is not TOML, an unknown or missing key, and a value out of range.
    """
    path = Path(name_or_path)
    try:
        raw = path.read_bytes() if path.is_file() else (_SPECS / f"{name_or_path}.toml").read_bytes()
    except FileNotFoundError:
        raise StudyError(f"{path}: no such file, nor a built-in study ({', '.join(_names())})") from None
    except OSError as error:
        raise StudyError(f"{path} cannot be read: {error.strerror or error}") from None
    try:
        content = tomllib.loads(raw.decode("utf-8"))
        check_depth(content)
    except (RecursionError, TooDeepError):
        raise StudyError(f"{path} {TooDeepError()}") from None
    except ValueError as error:
        raise StudyError(f"{path} is not TOML: {error}") from None
    return parse_spec(content, str(path))


def builtin_studies() -> list[SpeedStudy | LossStudy | NgramStudy]:
    """The studies that the package holds, sorted by name."""
    return [load_spec(name) for name in _names()]


def _names() -> list[str]:
    return sorted(entry.name.removesuffix(".toml") for entry in _SPECS.iterdir() if entry.name.endswith(".toml"))


def parse_spec(content: Mapping[str, Any], where: str) -> SpeedStudy | LossStudy | NgramStudy:
    """A study from a TOML document; errors begin with `where`."""
    allowed = {"name", "question", "notes", *_KINDS}
    if unknown := sorted(set(content) - allowed):
        raise StudyError(f"{where} has the unknown key {unknown[0]!r}; there are {', '.join(sorted(allowed))}")
    kinds = [kind for kind in _KINDS if kind in content]
    if len(kinds) != 1:
        raise StudyError(f"{where} must have one table of {', '.join(f'[{kind}]' for kind in _KINDS)}")
    for key in ("name", "question"):
        if not isinstance(content.get(key), str) or not content[key]:
            raise StudyError(f"{where} lacks the text {key!r}")
    if not is_file_name(content["name"]):
        raise StudyError(f"{where} has the name {content['name']!r}, which cannot name files: leave out / and the like")
    words = {"name": content["name"], "question": content["question"], "notes": content.get("notes", "")}
    study: SpeedStudy | LossStudy | NgramStudy
    study = read_record(_KINDS[kinds[0]], content[kinds[0]], f"{where} [{kinds[0]}]", words)
    return study
