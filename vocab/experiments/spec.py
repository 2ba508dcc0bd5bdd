"""`load_spec`: a study from its specification, a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from vocab.errors import StudyError
from vocab.experiments.loss.loss_spec import LossStudy
from vocab.experiments.speed.speed_spec import SpeedStudy
from vocab.experiments.toml_record import read_record
from vocab.reading import check_depth, is_file_name

_SPECS = resources.files("vocab.experiments") / "specs"


def load_spec(name_or_path: str | Path) -> SpeedStudy | LossStudy:
    """Read a study.

    Args:
        name_or_path: name of a built-in study ("hamming-cpu"), or a TOML file.

    Returns:
        The study, a `SpeedStudy` for a file with a table [speed], a `LossStudy` for one with a table [loss].

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
    except RecursionError:
        raise StudyError(f"{path} is not TOML: it is nested too deep") from None
    except ValueError as error:
        raise StudyError(f"{path} is not TOML: {error}") from None
    return parse_spec(content, str(path))


def builtin_studies() -> list[SpeedStudy | LossStudy]:
    """The studies that the package holds, sorted by name."""
    return [load_spec(name) for name in _names()]


def _names() -> list[str]:
    return sorted(entry.name.removesuffix(".toml") for entry in _SPECS.iterdir() if entry.name.endswith(".toml"))


def parse_spec(content: Mapping[str, Any], where: str) -> SpeedStudy | LossStudy:
    """A study from a TOML document; errors begin with `where`."""
    allowed = {"name", "question", "notes", "speed", "loss"}
    if unknown := sorted(set(content) - allowed):
        raise StudyError(f"{where} has the unknown key {unknown[0]!r}; there are {', '.join(sorted(allowed))}")
    if ("speed" in content) == ("loss" in content):
        raise StudyError(f"{where} must have a table [speed] or a table [loss], and not both")
    for key in ("name", "question"):
        if not isinstance(content.get(key), str) or not content[key]:
            raise StudyError(f"{where} lacks the text {key!r}")
    if not is_file_name(content["name"]):
        raise StudyError(f"{where} has the name {content['name']!r}, which cannot name files: leave out / and the like")
    words = {"name": content["name"], "question": content["question"], "notes": content.get("notes", "")}
    if "speed" in content:
        return read_record(SpeedStudy, content["speed"], f"{where} [speed]", words)
    return read_record(LossStudy, content["loss"], f"{where} [loss]", words)
