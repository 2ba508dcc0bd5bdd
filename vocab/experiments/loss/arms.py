"""The vocabularies of a study: each arm at each size, made once and kept in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from vocab.corpus.counting import CorpusCounts, count
from vocab.errors import StudyError, VocabError
from vocab.experiments.spec import Arm, LossSpec
from vocab.formats import load_lossless
from vocab.splitting import SplitPattern
from vocab.vocabulary import Vocabulary

_PACKAGE = "package:"


@dataclass(frozen=True)
class ArmAtSize:
    """One vocabulary to be made: an arm and the ids that it shall have (0: the source's own)."""

    arm: Arm
    size: int

    @property
    def name(self) -> str:
        """Its folder, and what progress says."""
        return f"{self.arm.name}-{self.size}" if self.size else self.arm.name


def vocabularies_of(spec: LossSpec) -> Iterator[ArmAtSize]:
    """All vocabularies of a study in the order of its arms."""
    for arm in spec.arms:
        yield from (ArmAtSize(arm, size) for size in arm.sizes or (0,))


class Workshop:
    """Makes vocabularies from one text and keeps them in a folder."""

    def __init__(self, text: Path, folder: Path, n_threads: int) -> None:
        self._text = text
        self._folder = folder
        self._n_threads = n_threads
        self._counts: dict[str, CorpusCounts] = {}

    def vocabulary(self, wanted: ArmAtSize) -> Vocabulary:
        """The vocabulary, from its folder where it has been made; raises StudyError saying which cannot be."""
        directory = self._folder / wanted.name
        try:
            if not (directory / "report.json").exists():
                self._make(wanted, directory)
            return load_lossless(directory) if wanted.size else load_source(wanted.arm.source)
        except VocabError as error:
            raise StudyError(f"arm {wanted.arm.name} at {wanted.size:,} ids cannot be built: {error}") from error

    def _make(self, wanted: ArmAtSize, directory: Path) -> None:
        arm = wanted.arm
        if arm.build == "scratch":
            from vocab.interop.scratch.train_tokenizer import train_tokenizer

            train_tokenizer(arm.style, wanted.size, [str(self._text)]).save(directory, force=True)  # type: ignore[arg-type]
        elif arm.build == "prune":
            from vocab.prune import prune

            source = load_source(arm.source)
            prune(
                source,
                wanted.size,
                corpus=self._counted(source.pattern),
                method=arm.method,  # type: ignore[arg-type]
                inference=arm.inference or None,  # type: ignore[arg-type]
                n_threads=self._n_threads,
            ).save(directory, force=True)

    def _counted(self, pattern: SplitPattern) -> CorpusCounts:
        """The text counted for a split pattern, once."""
        if pattern.sha256 not in self._counts:
            self._counts[pattern.sha256] = count(str(self._text), pattern, n_threads=self._n_threads)
        return self._counts[pattern.sha256]


@cache
def load_source(name: str) -> Vocabulary:
    """What `vocab.load` takes, or a file that an installed package carries, as "package:NAME/PATH".

    Raises StudyError when the package or the file is missing, and what `load` raises.
    """
    if not name.startswith(_PACKAGE):
        return load_lossless(name)
    package, _, path = name.removeprefix(_PACKAGE).partition("/")
    try:
        found = resources.files(package).joinpath(path)
    except ModuleNotFoundError:
        raise StudyError(f"{name} needs the package {package}, which is not installed") from None
    with resources.as_file(found) as file:
        if not file.is_file():
            raise StudyError(f"the package {package} carries no file {path}")
        return load_lossless(file)
