"""What one runtime made of the texts that `vocab verify` gave it."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version


@dataclass
class Check:
    """Counts of texts and of differences; a runtime agrees when those are 0 and nothing failed."""

    runtime: str
    version: str
    n_ids: int = 0
    n_texts: int = 0
    n_bytes: int = 0
    n_different: int = 0
    n_not_restored: int = 0
    n_special_different: int = 0
    failure: str = ""
    first_different: str = field(default="", repr=False)

    @property
    def agrees(self) -> bool:
        """Whether no difference was found."""
        found = (self.n_different, self.n_not_restored, self.n_special_different)
        return not any(found) and not self.failure


def has_package(name: str) -> bool:
    """Whether a distribution is installed."""
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def reason_of(error: Exception) -> str:
    """The kind of an error and the first line of what it says."""
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
