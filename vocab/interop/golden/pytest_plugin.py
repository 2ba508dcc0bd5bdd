"""pytest plugin: files NAME.vocab-lock.json among the tests are checked, each runtime in them as a test.

It is found by its entry point wherever vocabkit and pytest are installed. `-p no:vocab_lock` switches it off.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from vocab.interop.golden.golden_ids import LockCheck

# Written out, and not imported: pytest imports plugins before it measures what tests import.
_ENDING = ".vocab-lock.json"


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a lock."""
    return LockFile.from_parent(parent, path=file_path) if file_path.name.endswith(_ENDING) else None


class LockFile(pytest.File):
    """A lock, read when it is collected and compared once."""

    def collect(self) -> Iterator[pytest.Item]:
        """A test for each runtime in the lock."""
        from vocab.errors import VocabError
        from vocab.interop.golden.golden_file import read_golden

        try:
            names = list(read_golden(self.path).runtimes)
        except VocabError as error:
            raise self.CollectError(str(error)) from None
        for name in names:
            yield LockedIds.from_parent(self, name=name)

    @cached_property
    def check(self) -> LockCheck:
        """The comparison of all runtimes in the lock."""
        from vocab.interop.golden.golden_ids import check_lock

        return check_lock(self.path)


class LockedIds(pytest.Item):
    """The ids of one runtime."""

    def runtest(self) -> None:
        """Fail for ids that differ; skip what is not installed."""
        from vocab.interop.golden.golden_words import sentences

        check = self._check()
        if self.name in check.missing:
            pytest.skip(f"{self.name} is not installed, or finds no file of its own in the folder")
        if said := sentences(check, self.name):
            raise OtherIdsError("\n".join(said))

    def _check(self) -> LockCheck:
        from vocab.errors import VocabError

        try:
            parent: Any = self.parent
            check: LockCheck = parent.check
        except VocabError as error:
            raise OtherIdsError(str(error)) from None
        return check

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The sentences of a difference, without a traceback."""
        if isinstance(excinfo.value, OtherIdsError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """File and name of the test."""
        return self.path, 0, f"{self.path.name}: {self.name}"


class OtherIdsError(Exception):
    """A runtime gives other ids than are locked."""
