"""The shards that `vocab train` reads: its own, made of the text that is named, or those of `vocab shards`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vocab.cli.corpora import path_and_weight
from vocab.cli.shards import encode_corpus

if TYPE_CHECKING:
    from vocab.corpus.read_options import ReadOptions
    from vocab.vocabulary import Vocabulary


def shard_folders(corpus: list[str], shards: list[str], out: Path) -> dict[Path, float | None]:
    """The folders of the shards, with their weights: the run's own, one for each part of a mixture, or those named."""
    from vocab.model.training.run_folder import PART, SHARDS

    if shards:
        return {Path(path): weight for path, weight in map(path_and_weight, shards)}
    weights = [path_and_weight(text)[1] for text in corpus]
    if all(weight is None for weight in weights):
        return {out / SHARDS: None}
    return {out / SHARDS / f"{PART}{k}": weight for k, weight in enumerate(weights)}


def encode_parts(
    vocabulary: Vocabulary, corpus: list[str], out: Path, options: ReadOptions, threads: int | None
) -> None:
    """Make the run's own shards, if it has a corpus; an interrupted run has made them already."""
    from vocab.corpus.skipped import Skipped
    from vocab.corpus.sources import list_corpora
    from vocab.model.data.shards import METADATA

    if not corpus:
        return
    folders, names = list(shard_folders(corpus, [], out)), [path_and_weight(text)[0] for text in corpus]
    if len(folders) > 1:
        list_corpora(names)  # which says when two parts hold the same file
    parts = [[name] for name in names] if len(folders) > 1 else [names]
    for folder, part in zip(folders, parts, strict=True):
        if (folder / METADATA).exists():
            _check_benchmarks(folder, options)
        else:
            encode_corpus(vocabulary, part, folder, replace(options, skipped=Skipped()), threads, force=False)


def _check_benchmarks(folder: Path, options: ReadOptions) -> None:
    """Raise TrainingError where shards of an interrupted run were made without other benchmarks."""
    from vocab.errors import TrainingError
    from vocab.model.data.shards import read_metadata

    before = (read_metadata(folder).without or {}).get("sha256")
    if before != (options.without.sha256 if options.without else None):
        raise TrainingError(
            f"the text in {folder} was left out by other benchmarks: name the same, or start over with --force"
        )
