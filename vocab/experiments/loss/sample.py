"""A sample of a corpus, chosen by digests of documents: the same on every machine, and nested by size."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vocab.corpus.documents import read_documents
from vocab.corpus.read_options import ReadOptions
from vocab.corpus.skipped import Skipped
from vocab.errors import CorpusError
from vocab.writing import staged_file, write_json

_SALT = b"vocab study"
_READING = ("column", "documents", "encoding_errors", "on_error")


@dataclass(frozen=True)
class Sample:
    """A sample in a file of JSON lines.

    Attributes:
        path: the file.
        n_documents: number of documents.
        n_bytes: UTF-8 bytes of their texts.
        sha256: digest of the file.
        left_out: sentences on what reading the corpora left out.
    """

    path: Path
    n_documents: int
    n_bytes: int
    sha256: str
    left_out: tuple[str, ...] = ()


def sample_corpus(paths: Sequence[str], out: Path, megabytes: float, options: ReadOptions | None = None) -> Sample:
    """Write a sample of documents to a file of JSON lines, unless the file exists.

    Documents are taken by rising digest, so each sample contains every smaller one. They keep the order of the corpora.

    Args:
        paths: files and folders of text.
        out: the file. What was left out is written beside it, for a study that goes on with it.
        megabytes: MB to sample; the document that reaches them is taken whole.
        options: how the corpora are read.

    Raises:
        CorpusError: for corpora that hold less, or cannot be read.
    """
    notes = out.with_suffix(".left-out.json")
    if not out.exists():
        last, left_out = _last_number(paths, megabytes, options or ReadOptions())
        write_json(notes, left_out)
        with staged_file(out) as staged, staged.open("w", encoding="utf-8") as stream:
            for text in _documents(paths, _anew(options or ReadOptions())):
                if _number(text) <= last:
                    stream.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
    sentences = json.loads(notes.read_text("utf-8")) if notes.exists() else []
    return replace(_described(out), left_out=tuple(sentences))


def n_bytes_of(paths: Sequence[str], options: ReadOptions) -> int:
    """UTF-8 bytes of all documents of some corpora; raises CorpusError when they cannot be read."""
    return sum(len(text.encode()) for text in _documents(paths, _anew(options)))


def work_folder(parent: Path, study_sha256: str, corpus: Sequence[str], options: ReadOptions) -> Path:
    """The folder of one specification and text, which is made: files of others are neither used nor in the way."""
    how = {} if options == ReadOptions() else {name: getattr(options, name) for name in _READING}
    made_for = json.dumps([study_sha256, list(corpus), *([how] if how else [])])
    folder = parent / hashlib.sha256(made_for.encode()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _last_number(paths: Sequence[str], megabytes: float, options: ReadOptions) -> tuple[int, list[str]]:
    """The number up to which documents are taken, and sentences on what reading left out."""
    own = _anew(options)
    sizes = [(_number(text), len(text.encode())) for text in _documents(paths, own)]
    n_bytes = 0
    for number, size in sorted(sizes):
        n_bytes += size
        if n_bytes >= megabytes * 1e6:
            return number, own.skipped.sentences()
    left_out = "".join(f" ({sentence.rstrip('.')})" for sentence in own.skipped.sentences())
    raise CorpusError(
        f"corpus {', '.join(paths)} has {n_bytes / 1e6:,.1f} MB, and the study needs {megabytes:g}: give more{left_out}"
    )


def _anew(options: ReadOptions) -> ReadOptions:
    """The options with nothing left out yet."""
    return replace(options, skipped=Skipped())


def _documents(paths: Sequence[str], options: ReadOptions) -> Iterator[str]:
    for path in paths:
        yield from read_documents(path, options)


def _number(text: str) -> int:
    """A document's position in the order of sampling, from 0 to 2^64."""
    return int.from_bytes(hashlib.blake2b(text.encode(), key=_SALT, digest_size=8).digest(), "big")


def _described(path: Path) -> Sample:
    n_documents, n_bytes, digest = 0, 0, hashlib.sha256()
    with path.open("rb") as stream:
        for line in stream:
            digest.update(line)
            n_documents, n_bytes = n_documents + 1, n_bytes + len(json.loads(line)["text"].encode())
    if not n_documents:
        raise CorpusError(f"{path} holds no document: ask for more megabytes")
    return Sample(path, n_documents, n_bytes, digest.hexdigest())
