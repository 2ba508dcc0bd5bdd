"""`lock` and `check_lock`: ids that each installed runtime gives by its default call, kept and compared again.

Between versions of transformers the same files gave other ids without a word (huggingface/transformers #45812,
#45920). What is kept is what a user gets who hands over a text and nothing else. Code of the folder is never run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from vocab.errors import SourceError
from vocab.formats import load
from vocab.interop.conversion.installed_runtimes import installed_runtimes
from vocab.interop.conversion.runtime_check import reason_of
from vocab.interop.golden.golden_file import (
    Answer,
    GoldenIds,
    LockedRuntime,
    default_path,
    read_golden,
    relative,
    write_golden,
)
from vocab.interop.golden.golden_texts import golden_texts
from vocab.measured import MeasuredTokenizer
from vocab.vocabulary import Vocabulary

OURS = "vocab"
_MAX_BYTES = 1 << 30  # of a tokenizer's file
_FILES = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "config.json"),
    *("tokenizer.model", "tekken.json", "vocab.json", "merges.txt", "vocab.txt"),
)
# What a package encodes with, beside itself.
_WITH = {"transformers": ("tokenizers",), "vocabkit": ("regex",)}
Encode = Callable[[str], Sequence[int]]
Runtimes = dict[str, tuple[str, Callable[[], Encode]]]


@dataclass(frozen=True)
class GoldenDifference:
    """A text to which a runtime gives another answer than it gave.

    Attributes:
        runtime: name of the runtime.
        text: the text.
        locked: ids that it gave, or the kind of error that it raised.
        found: ids that it gives now, or the kind of error that it raises.
    """

    runtime: str
    text: str
    locked: Answer
    found: Answer


@dataclass(frozen=True)
class LockCheck:
    """What became of golden ids.

    Attributes:
        golden: the golden ids.
        path: their file.
        found: versions of each runtime that was run, by its name.
        differences: one for each text and runtime.
        failed: why a runtime that is installed does not load the folder any more, by its name.
        missing: runtimes that are not installed or find no file of theirs, so that nothing was compared.
        added: runtimes that load the folder and are not locked.
        changed_files: files of the tokenizer that have other content than they had.
    """

    golden: GoldenIds
    path: Path
    found: dict[str, dict[str, str]]
    differences: tuple[GoldenDifference, ...]
    failed: dict[str, str]
    missing: tuple[str, ...]
    added: tuple[str, ...]
    changed_files: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether every runtime that was run gives the same ids."""
        return not self.differences and not self.failed

    def of(self, runtime: str) -> list[GoldenDifference]:
        """Differences of one runtime."""
        return [one for one in self.differences if one.runtime == runtime]


def lock(directory: str | Path, out: str | Path | None = None, *, force: bool = False) -> GoldenIds:
    """Write the ids that each installed runtime gives for hostile texts by its default call.

    Args:
        directory: a folder of a tokenizer, or a GGUF file.
        out: the file to write; None for `NAME.vocab-lock.json` beside the folder.
        force: whether to replace the file.

    Raises:
        SourceError: `vocab.load` cannot read the folder, or no runtime loads it.
        OutputError: the file exists and `force` is not set, or the disk refuses.
    """
    directory = Path(directory)
    path = default_path(directory) if out is None else Path(out)
    tokenizer = load(directory)
    texts = tuple(golden_texts(tokenizer))
    runtimes = {}
    for name, (package, encode) in _runtimes(directory, tokenizer).items():
        try:
            runtimes[name] = LockedRuntime(package, _versions(package), _answers(encode(), texts))
        except Exception as error:
            raise SourceError(
                f"{name} does not load {directory}, so that there is nothing to lock: {reason_of(error)}"
            ) from error
    if not runtimes:
        raise SourceError(f"no installed runtime loads {directory}: there is nothing to lock")
    golden = GoldenIds(relative(directory, path), _digests(directory), texts, runtimes)
    write_golden(golden, path, force=force)
    return golden


def check_lock(path: str | Path, directory: str | Path | None = None) -> LockCheck:
    """Compare what each installed runtime gives now with golden ids.

    Args:
        path: a file that `lock` wrote.
        directory: the folder of the tokenizer; None for the one that the file names.

    Raises:
        SourceError: the file is missing or damaged, the folder cannot be read, or none of its runtimes is installed.
    """
    path = Path(path)
    golden = read_golden(path)
    directory = path.absolute().parent / golden.folder if directory is None else Path(directory)
    there = _runtimes(directory, load(directory))
    differences: list[GoldenDifference] = []
    failed: dict[str, str] = {}
    known = {name: there[name] for name in golden.runtimes if name in there}
    if not known:
        raise SourceError(f"none of the runtimes in {path} is installed ({', '.join(golden.runtimes)})")
    for name, (_, encode) in known.items():
        try:
            answers = _answers(encode(), golden.texts)
        except Exception as error:  # noqa: BLE001 - a runtime may raise anything
            failed[name] = reason_of(error)
            continue
        differences += _differences(name, golden, answers)
    digests = _digests(directory)
    return LockCheck(
        golden=golden,
        path=path,
        found={name: _versions(package) for name, (package, _) in known.items()},
        differences=tuple(differences),
        failed=failed,
        missing=tuple(name for name in golden.runtimes if name not in there),
        added=tuple(name for name in there if name not in golden.runtimes),
        changed_files=tuple(
            name for name in {**golden.files, **digests} if golden.files.get(name) != digests.get(name)
        ),
    )


def _runtimes(directory: Path, tokenizer: MeasuredTokenizer) -> Runtimes:
    """Ours and those that are installed: package, and what gives the default call."""
    found: Runtimes = {OURS: ("vocabkit", lambda: tokenizer.encode)} if isinstance(tokenizer, Vocabulary) else {}
    for name, package, load_runtime in installed_runtimes(directory):
        found[name] = (package, lambda load_runtime=load_runtime: load_runtime().by_default)  # type: ignore[misc]
    return found


def _answers(encode: Encode, texts: Sequence[str]) -> tuple[Answer, ...]:
    return tuple(_answer(encode, text) for text in texts)


def _answer(encode: Encode, text: str) -> Answer:
    """Ids of a text, or the kind of error: messages change with versions."""
    try:
        return tuple(map(int, encode(text)))
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":  # a panic of tokenizers is none
            return type(error).__name__
        raise


def _differences(name: str, golden: GoldenIds, answers: Sequence[Answer]) -> Iterator[GoldenDifference]:
    for text, locked, found in zip(golden.texts, golden.runtimes[name].answers, answers, strict=True):
        if locked != found:
            yield GoldenDifference(name, text, locked, found)


def _versions(package: str) -> dict[str, str]:
    return {name: version(name) for name in (package, *_WITH.get(package, ()))}


def _digests(directory: Path) -> dict[str, str]:
    """Digests of a folder's tokenizer files; a GGUF file is not read whole, because it may hold weights."""
    if not directory.is_dir():
        return {}
    paths = [directory / name for name in _FILES] + sorted(directory.glob("*.tiktoken"))
    return {path.name: _digest(path) for path in paths if path.is_file()}


def _digest(path: Path) -> str:
    if path.stat().st_size > _MAX_BYTES:
        raise SourceError(f"{path} has more than {_MAX_BYTES:,} bytes, which no tokenizer has")
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
