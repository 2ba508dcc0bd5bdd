"""Token shards: a corpus encoded once into memory-mapped files, with its documents and their bytes.

A folder holds `train-00000.bin` …, `held_out-00000.bin` …, a `.documents.npy` for each, and `shards.json`:

- A `.bin` is llm.c's: 256 int32 of header (magic, version, number of tokens), then the ids, uint16 while they fit and
  uint32 otherwise.
- A `.documents.npy` is int64 (n_documents, 2): the token at which a document begins, and its bytes of text.

Each document begins with the id of the vocabulary's end-of-text token, where it has one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vocab.choices import Side
from vocab.errors import SourceError, TrainingError
from vocab.reading import is_file_name, parse_json
from vocab.special_texts import END_OF_TEXT
from vocab.vocabulary import Vocabulary
from vocab.writing import DIGEST, check_digest, with_digest, write_json

METADATA = "shards.json"
HEADER_INTS = 256
# Magic and version by the bytes of an id, as in llm.c's dev/data/data_common.py.
_KINDS = {2: (20240520, 1), 4: (20240801, 7)}


def fingerprint(vocabulary: Vocabulary) -> str:
    """Sha256 over all that decides the ids of a text."""
    special = sorted(vocabulary.special_tokens.items())
    rules = [vocabulary.pattern.sha256, vocabulary.inference, vocabulary.first_id, vocabulary.byte_fallback]
    digest = hashlib.sha256(json.dumps([special, *rules]).encode())
    if vocabulary.ids is not None:
        digest.update(vocabulary.ids.tobytes())
    if vocabulary.pair_order is not None:
        digest.update(vocabulary.pair_order.tobytes())
    digest.update(vocabulary.merge_order.tobytes())
    digest.update(vocabulary.starts.tobytes())
    digest.update(vocabulary.blob.tobytes())
    return digest.hexdigest()


def token_bytes(vocabulary: Vocabulary) -> npt.NDArray[np.int32]:
    """Bytes of text of each id, int32[max_id + 1]; 0 for special tokens and ids that are not in use.

    An added token that is text counts with its text.

    The space that SentencePiece puts before a document counts too: one byte too many for each document.
    """
    sizes = np.zeros(vocabulary.max_id + 1, dtype=np.int32)
    sizes[vocabulary.rank_ids] = vocabulary.lengths
    for text in vocabulary.user_defined if vocabulary.added_texts else ():
        sizes[vocabulary.special_tokens[text]] = len(text.encode())
    return sizes


def end_of_text(vocabulary: Vocabulary) -> int | None:
    """Id of the token between documents, None where the vocabulary has none."""
    return next((vocabulary.special_tokens[text] for text in END_OF_TEXT if text in vocabulary.special_tokens), None)


@dataclass(frozen=True)
class ShardFile:
    """One `.bin` file.

    Attributes:
        name: of the file, in the folder.
        n_tokens: ids in it, end-of-text included.
        n_documents: documents in it.
        n_bytes: bytes of their text.
        sha256: of the whole file.
        documents_sha256: of the whole `.documents.npy`.
    """

    name: str
    n_tokens: int
    n_documents: int
    n_bytes: int
    sha256: str
    documents_sha256: str


@dataclass(frozen=True)
class ShardMetadata:
    """The content of `shards.json`.

    Attributes:
        vocabulary: name of the vocabulary that encoded the text.
        fingerprint: of that vocabulary, by `fingerprint`.
        n_ids: the highest id in use, plus one.
        end_of_text: id of the token before each document, None where there is none.
        held_out_rule: how documents were held out.
        corpus: where the text was read from.
        train: files of the documents to train on.
        held_out: files of the documents held out.
        n_documents_skipped: documents left out because they are not UTF-8.
        n_documents_repaired: documents in which bytes that are not UTF-8 were replaced.
        n_documents_of_benchmarks: documents left out because they hold text of a benchmark.
        n_bytes_of_benchmarks: their bytes.
        without: the benchmarks, as `BenchmarkText.for_report` describes them; None where there were none.
        n_rows_without_text: rows left out because their text is null or missing.
        n_rows_skipped: bad rows left out.
        n_files_skipped: files left out.
    """

    vocabulary: str
    fingerprint: str
    n_ids: int
    end_of_text: int | None
    held_out_rule: str
    corpus: list[str]
    train: tuple[ShardFile, ...]
    held_out: tuple[ShardFile, ...]
    n_documents_skipped: int = 0
    n_documents_repaired: int = 0
    n_documents_of_benchmarks: int = 0
    n_bytes_of_benchmarks: int = 0
    without: dict[str, Any] | None = None
    n_rows_without_text: int = 0
    n_rows_skipped: int = 0
    n_files_skipped: int = 0

    def n_tokens(self, side: Side) -> int:
        """Tokens of one side, end-of-text included."""
        return sum(file.n_tokens for file in getattr(self, side))

    def n_bytes(self, side: Side) -> int:
        """Bytes of text of one side."""
        return sum(file.n_bytes for file in getattr(self, side))


def id_dtype(n_ids: int) -> type[np.uint16] | type[np.uint32]:
    """The dtype in which files store ids below `n_ids`."""
    return np.uint16 if n_ids <= 1 << 16 else np.uint32


class ShardWriter:
    """Writes the documents of one side to files of about `shard_tokens` tokens, and never cuts a document.

    Args:
        directory: where to write.
        side: "train" or "held_out", the beginning of every file's name.
        n_ids: the highest id in use, plus one.
        shard_tokens: tokens after which a file ends with the document.
    """

    def __init__(self, directory: Path, side: Side, n_ids: int, shard_tokens: int) -> None:
        self._directory, self._side, self._shard_tokens = directory, side, shard_tokens
        self._dtype = id_dtype(n_ids)
        self._ids: list[npt.NDArray[Any]] = []
        self._rows: list[npt.NDArray[np.int64]] = []
        self._n_tokens = 0
        self.files: list[ShardFile] = []

    def add(self, ids: npt.NDArray[np.int32], starts: npt.NDArray[np.int64], n_bytes: npt.NDArray[np.int64]) -> None:
        """Add documents.

        Args:
            ids: of all documents end to end.
            starts: int64[n_documents], where each document begins in `ids`.
            n_bytes: int64[n_documents], bytes of text of each.
        """
        if starts.size == 0:
            return
        self._ids.append(ids.astype(self._dtype))
        self._rows.append(np.stack([starts + self._n_tokens, n_bytes], axis=1))
        self._n_tokens += ids.size
        if self._n_tokens >= self._shard_tokens:
            self.flush()

    def flush(self) -> None:
        """Write the documents added since the last file as one file."""
        if not self._rows:
            return
        name = f"{self._side}-{len(self.files):05d}.bin"
        ids, rows = np.concatenate(self._ids), np.concatenate(self._rows)
        header = np.zeros(HEADER_INTS, dtype="<i4")
        header[:3] = *_KINDS[ids.dtype.itemsize], ids.size
        path = self._directory / name
        with path.open("wb") as stream:
            stream.write(header.tobytes())
            stream.write(ids.astype(ids.dtype.newbyteorder("<")).data)
        np.save(documents_path(path), rows, allow_pickle=False)
        self.files.append(
            ShardFile(name, ids.size, len(rows), int(rows[:, 1].sum()), _sha256(path), _sha256(documents_path(path)))
        )
        self._ids, self._rows, self._n_tokens = [], [], 0


def documents_path(path: Path) -> Path:
    """Path of the `.documents.npy` of a `.bin`."""
    return path.with_suffix(".documents.npy")


def write_metadata(directory: Path, metadata: ShardMetadata) -> None:
    """Write shards.json."""
    write_json(directory / METADATA, with_digest(asdict(metadata)), 1, ensure_ascii=True)


def read_metadata(directory: Path) -> ShardMetadata:
    """Read shards.json; raises TrainingError when it is missing or damaged."""
    path = directory / METADATA
    try:
        content = parse_json(path.read_bytes())
        if DIGEST in content:  # those made before it was written have none
            content = check_digest(content, path)
        for side in ("train", "held_out"):
            content[side] = tuple(ShardFile(**row) for row in content[side])
            if not all(is_file_name(file.name) for file in content[side]):
                raise ValueError
        return ShardMetadata(**content)
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror}; make shards with `vocab shards`") from None
    except (ValueError, TypeError, KeyError, SourceError):
        raise TrainingError(f"{path} is damaged: make the shards again with `vocab shards`") from None


@dataclass(frozen=True)
class TokenStream:
    """The tokens of one side end to end, memory-mapped file by file.

    Attributes:
        files: ids of each file, uint16 or uint32.
        documents: int64[n_documents], the token at which each document begins.
        document_bytes: int64[n_documents], bytes of text of each document.
    """

    files: tuple[npt.NDArray[Any], ...]
    documents: npt.NDArray[np.int64]
    document_bytes: npt.NDArray[np.int64]

    @cached_property
    def starts(self) -> npt.NDArray[np.int64]:
        """Where each file begins in the stream, int64[n_files + 1] with the end."""
        return np.concatenate([[0], np.cumsum([file.size for file in self.files])]).astype(np.int64)

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def bytes_per_token(self) -> float:
        """Bytes of text a token, those between documents included."""
        return float(self.document_bytes.sum()) / max(1, len(self))

    def tokens_of(self, n_bytes: int) -> int:
        """Tokens of the first documents that have at least `n_bytes` of text together.

        The documents are the same in every vocabulary.
        """
        n_documents = int(np.searchsorted(np.cumsum(self.document_bytes), n_bytes)) + 1
        return int(self.documents[n_documents]) if n_documents < self.documents.size else len(self)

    def read(self, first: int, n_tokens: int) -> npt.NDArray[np.int64]:
        """Ids, int64[n_tokens], from token `first` on; raises IndexError past the end."""
        if not 0 <= first <= first + n_tokens <= len(self):
            raise IndexError(f"tokens {first} to {first + n_tokens} of {len(self)}")
        parts: list[npt.NDArray[Any]] = []
        k = int(np.searchsorted(self.starts, first, side="right")) - 1
        while n_tokens:
            at = first - int(self.starts[k])
            part = self.files[k][at : at + n_tokens]
            parts.append(part)
            first, n_tokens, k = first + part.size, n_tokens - part.size, k + 1
        return np.concatenate(parts).astype(np.int64) if parts else np.empty(0, dtype=np.int64)

    def document_numbers(self, first: int, n_tokens: int) -> npt.NDArray[np.int32]:
        """Document of each token from `first` on, int32[n_tokens]; that of `first` is 0."""
        numbers = np.searchsorted(self.documents, np.arange(first, first + n_tokens), side="right")
        return (numbers - numbers[:1]).astype(np.int32)


def open_stream(directory: Path, metadata: ShardMetadata, side: Side, *, verify: bool = True) -> TokenStream:
    """Map the files of one side into memory.

    Args:
        directory: folder of the shards.
        metadata: the content of its `shards.json`.
        side: "train" or "held_out".
        verify: whether to read every byte once and compare digests.

    Raises:
        TrainingError: when a file is missing, cut short, of another kind or changed.
    """
    files, n_before = [], 0
    documents, sizes = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for row in getattr(metadata, side):
        path = directory / row.name
        files.append(_open_file(path, row, metadata.n_ids, verify))
        rows = np.load(documents_path(path), allow_pickle=False)
        documents.append(rows[:, 0] + n_before)
        sizes.append(rows[:, 1])
        n_before += row.n_tokens
    return TokenStream(tuple(files), np.concatenate(documents), np.concatenate(sizes))


def _open_file(path: Path, row: ShardFile, n_ids: int, verify: bool) -> npt.NDArray[Any]:
    dtype = np.dtype(id_dtype(n_ids)).newbyteorder("<")
    damaged = TrainingError(f"{path} is damaged: make the shards again with `vocab shards`")
    try:
        header = np.fromfile(path, dtype="<i4", count=HEADER_INTS)
        if header.size < HEADER_INTS or tuple(header[:3]) != (*_KINDS[dtype.itemsize], row.n_tokens):
            raise damaged
        if path.stat().st_size != 4 * HEADER_INTS + row.n_tokens * dtype.itemsize:
            raise damaged
        digests = (row.sha256, row.documents_sha256)
        if verify and (_sha256(path), _sha256(documents_path(path))) != digests:
            raise damaged
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror}") from None
    return np.memmap(path, dtype=dtype, mode="r", offset=4 * HEADER_INTS, shape=(row.n_tokens,))


def check_vocabulary(metadata: ShardMetadata, vocabulary: Vocabulary) -> None:
    """Raise TrainingError unless the shards were made with this vocabulary."""
    if metadata.fingerprint != fingerprint(vocabulary):
        raise TrainingError(
            f"the shards were made with another vocabulary ({metadata.vocabulary}, {metadata.n_ids:,} ids) than "
            f"{vocabulary.name} ({vocabulary.max_id + 1:,} ids): make them again with `vocab shards`"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
