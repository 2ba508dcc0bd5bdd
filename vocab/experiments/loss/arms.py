"""The vocabularies of a study: each arm at each size, made once and kept in a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from vocab.corpus.counting import CorpusCounts, count
from vocab.corpus.held_documents import hold_documents
from vocab.errors import StudyError, VocabError
from vocab.experiments.loss.loss_spec import Arm
from vocab.formats import load_lossless
from vocab.splitting import SplitPattern
from vocab.vocabulary import Vocabulary

_PACKAGE = "package:"


@dataclass(frozen=True)
class ArmAtSize:
    """One vocabulary: an arm at one of its sizes.

    Attributes:
        arm: how it is made.
        size: its number of ids, 0 for all of the source's.
    """

    arm: Arm
    size: int

    @property
    def name(self) -> str:
        """The name of its folder, which progress shows."""
        return f"{self.arm.name}-{self.size}" if self.size else self.arm.name


def vocabularies_of(arms: Sequence[Arm]) -> Iterator[ArmAtSize]:
    """All vocabularies of these arms, in their order."""
    for arm in arms:
        yield from (ArmAtSize(arm, size) for size in arm.sizes or (0,))


class VocabularyCache:
    """Vocabularies made from one text, each once, and kept in a folder."""

    def __init__(self, text: Path, folder: Path, n_threads: int) -> None:
        self._text = text
        self._folder = folder
        self._n_threads = n_threads
        self._counts: dict[str, CorpusCounts] = {}

    def vocabulary(self, at: ArmAtSize) -> Vocabulary:
        """The vocabulary, made unless its folder exists. Raises StudyError that names an arm that cannot be built."""
        directory = self._folder / at.name
        try:
            if not (directory / "report.json").exists():
                self._make(at, directory)
            return load_lossless(directory) if at.size else load_source(at.arm.source)
        except VocabError as error:
            raise StudyError(f"arm {at.arm.name} at {at.size:,} ids cannot be built: {error}") from error

    def _make(self, at: ArmAtSize, directory: Path) -> None:
        if at.arm.style:
            from vocab.interop.scratch.train_tokenizer import train_tokenizer

            train_tokenizer(at.arm.style, at.size, [str(self._text)]).save(directory, force=True)
        elif at.arm.build != "whole":
            self._prune(at, directory)

    def _prune(self, at: ArmAtSize, directory: Path) -> None:
        from vocab.prune import Candidates, Superwords, prune

        source = load_source(at.arm.source)
        with_superwords = at.arm.build == "superwords"
        prune(
            source,
            at.size,
            corpus=None if with_superwords else self._counts_for(source.pattern),
            documents=hold_documents(str(self._text)) if with_superwords else None,
            candidates=Candidates(superwords=Superwords()) if with_superwords else Candidates(),
            method=at.arm.method,
            inference=at.arm.inference or None,
            n_threads=self._n_threads,
        ).save(directory, force=True)

    def _counts_for(self, pattern: SplitPattern) -> CorpusCounts:
        """The text's counts under a split pattern, counted once."""
        if pattern.sha256 not in self._counts:
            self._counts[pattern.sha256] = count(str(self._text), pattern, n_threads=self._n_threads)
        return self._counts[pattern.sha256]


@cache
def load_source(name: str) -> Vocabulary:
    """Load a source.

    Args:
        name: an argument of `vocab.load`, or "package:NAME/PATH" for a file inside an installed package.

    Raises:
        StudyError: when the package or the file is missing.
        SourceError: as `vocab.load` does.
    """
    if not name.startswith(_PACKAGE):
        return load_lossless(name)
    package, _, path = name.removeprefix(_PACKAGE).partition("/")
    try:
        resource = resources.files(package).joinpath(path)
    except ModuleNotFoundError:
        raise StudyError(f"{name} needs the package {package}, which is not installed") from None
    with resources.as_file(resource) as file:
        if not file.is_file():
            raise StudyError(f"the package {package} has no file {path}")
        return load_lossless(file)
