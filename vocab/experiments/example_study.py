"""`new_study`: a commented example of a study, to change and run."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from vocab.choices import StudyKind
from vocab.errors import StudyError
from vocab.reading import is_file_name
from vocab.writing import check_file, write_text

_EXAMPLES = resources.files("vocab.experiments") / "examples"


def new_study(path: Path, kind: StudyKind = "ngram", *, force: bool = False) -> None:
    """Write a commented example of a study, which runs as it is.

    Args:
        path: the TOML file; the study has its name.
        kind: "ngram" for counts, "loss" for trained models, "speed" for times.
        force: whether to replace a file.

    Raises:
        StudyError: the name of the file cannot name a study.
        OutputError: the file is there already, or cannot be written.
    """
    if path.suffix != ".toml" or not is_file_name(path.stem) or '"' in path.stem:
        raise StudyError(f"{path} is no name for a study: it must end in .toml, and hold no quotes before that")
    check_file(path, force=force)
    example = (_EXAMPLES / f"{kind}.toml").read_text(encoding="utf-8")
    write_text(path, example.replace("NAME", path.stem).replace("FILE", path.name))
