"""The check of one runtime by `vocab verify`."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


@dataclass
class RuntimeCheck:
    """Counts of texts and differences of one runtime.

    Attributes:
        runtime: name of the runtime, or of the chat template.
        version: version of its package; "" where nothing was run.
        n_ids: ids of the runtime.
        n_texts: texts compared.
        n_bytes: bytes of these texts.
        n_different: texts with other ids.
        n_not_restored: texts that ids do not decode to.
        n_special_different: special tokens with another id.
        n_default_texts: texts that were given to the runtime's default calls.
        n_default_different: those of them with other ids, or another text back.
        failure: why the runtime could not be compared; "" where it could.
        first_different: the first text with other ids.
    """

    runtime: str
    version: str
    n_ids: int = 0
    n_texts: int = 0
    n_bytes: int = 0
    n_different: int = 0
    n_not_restored: int = 0
    n_special_different: int = 0
    n_default_texts: int = 0
    n_default_different: int = 0
    failure: str = ""
    first_different: str = field(default="", repr=False)

    @property
    def agrees(self) -> bool:
        """Whether there is no difference and nothing failed."""
        differences = (self.n_different, self.n_not_restored, self.n_special_different, self.n_default_different)
        return not any(differences) and not self.failure


def has_package(name: str) -> bool:
    """Whether a distribution is installed."""
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def auto_tokenizer(directory: Path) -> Any:
    """The tokenizer that transformers loads from a folder. Code in the folder is never run, and nobody is asked to."""
    loader = import_module("transformers").AutoTokenizer
    return loader.from_pretrained(str(directory), local_files_only=True, trust_remote_code=False)


def reason_of(error: Exception) -> str:
    """The kind of an error and the first line of its message."""
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
