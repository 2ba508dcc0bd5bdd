"""A part of a corpus, chosen by digests of documents: the same wherever it is made, and smaller ones in larger."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vocab.corpus.documents import read_documents
from vocab.errors import CorpusError
from vocab.writing import staged_file

_SALT = b"vocab study"


@dataclass(frozen=True)
class Sample:
    """A file of JSON lines and what it holds."""

    path: Path
    n_documents: int
    n_bytes: int
    sha256: str


def sample_corpus(places: Sequence[str], out: Path, megabytes: float) -> Sample:
    """Write so many MB of the documents of some corpora, and the rest of the last one, to a file of JSON lines.

    Documents are taken by rising digest, so each sample holds every smaller one, and stand in the order of the
    corpora. An earlier file is taken as it is. Raises CorpusError for corpora that hold less.
    """
    if not out.exists():
        last = _last_number(places, megabytes)
        with staged_file(out) as staged, staged.open("w", encoding="utf-8") as stream:
            for text in _documents(places):
                if _number(text) <= last:
                    stream.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
    return _facts(out)


def _last_number(places: Sequence[str], megabytes: float) -> int:
    """The number up to which documents hold so many MB."""
    sizes = [(_number(text), len(text.encode())) for text in _documents(places)]
    n_bytes = 0
    for number, size in sorted(sizes):
        n_bytes += size
        if n_bytes >= megabytes * 1e6:
            return number
    raise CorpusError(
        f"corpus {', '.join(places)} has {n_bytes / 1e6:,.1f} MB, and the study needs {megabytes:g}: give more"
    )


def _documents(places: Sequence[str]) -> Iterator[str]:
    for place in places:
        yield from read_documents(place)


def _number(text: str) -> int:
    """A document's place among all, from 0 to 2^64."""
    return int.from_bytes(hashlib.blake2b(text.encode(), key=_SALT, digest_size=8).digest(), "big")


def _facts(path: Path) -> Sample:
    n_documents, n_bytes, digest = 0, 0, hashlib.sha256()
    with path.open("rb") as stream:
        for line in stream:
            digest.update(line)
            n_documents, n_bytes = n_documents + 1, n_bytes + len(json.loads(line)["text"].encode())
    if not n_documents:
        raise CorpusError(f"{path} holds no document: ask for more megabytes")
    return Sample(path, n_documents, n_bytes, digest.hexdigest())
