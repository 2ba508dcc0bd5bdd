"""A GGUF model follows its new vocabulary: rows by id, tokens, merges, and every token id in its header.

Rows are packed one by one in every type of GGUF, so that kept ones are copied bit by bit, quantised or not. llama.cpp's
names of tensors are few and known; what else has a row for each id is refused.

Source: ggml-org/llama.cpp `gguf-py/gguf/constants.py` (names of keys and tensors).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vocab.choices import RowInit
from vocab.errors import SourceError
from vocab.formats import gguf_tokenizer, load_lossless
from vocab.formats.gguf_header import MAGIC
from vocab.formats.gguf_layout import GgufLayout, GgufTensor, read_layout
from vocab.formats.gguf_shell import aligned, text_bytes, value_bytes
from vocab.formats.gguf_tokenizer import GgufTokenizer
from vocab.formats.id_map import IdMap, read_id_map
from vocab.formats.tokenizer_json import merges_of
from vocab.interop.serving.gguf_file import rows_of
from vocab.interop.serving.llama_cpp import n_without_merges
from vocab.interop.transplants.safetensors_file import Tensor
from vocab.interop.transplants.tensor_rows import OnWritten, RowPlan, RowWriter, copy_bytes, write_all
from vocab.interop.transplants.vocabulary_tensors import VocabularyTensor
from vocab.sizes import padded
from vocab.vocabulary import Vocabulary

_BY_ID = re.compile(
    r"(?:token_embd|output|per_layer_token_embd)\.(?:weight|bias)|blk\.\d+\.nextn\.\w*(?:embed|head)\w*\.weight"
)
_FLOATS = {0: "F32", 1: "F16", 28: "F64", 30: "BF16"}
_GGML = "tokenizer.ggml."
_ID = re.compile(r"_token_id$")
_WHOLE = ("tokenizer.huggingface.json", "tokenizer.rwkv.world")
_NO_ID = 0xFFFFFFFF


@dataclass
class GgufJob:
    """One transplant. `read` reads and checks everything, so that nothing is written in vain.

    Attributes:
        layout: the model as it is.
        ids: the id map.
        n_rows: rows of the new embedding and head.
        values: keys and values of the new file.
        changed: one entry for each setting with an id.
        notes: what llama.cpp does in another way than the vocabulary, as sentences without their full stops.
    """

    layout: GgufLayout
    ids: IdMap
    n_rows: int
    values: dict[str, bytes]
    changed: list[dict[str, Any]]
    notes: tuple[str, ...]

    @classmethod
    def read(cls, model: Path, vocabulary_dir: Path, multiple_of: int, init: RowInit) -> GgufJob:
        """Read model and vocabulary; raises SourceError where they cannot be used or do not belong together."""
        layout, tokenizer = read_layout(model), GgufTokenizer.read(model)
        ids, vocabulary = read_id_map(vocabulary_dir).begun_as(init), load_lossless(vocabulary_dir)
        _check_whole(layout)
        job = cls(layout, ids, padded(ids.n_new, multiple_of), {}, [], _notes(tokenizer, vocabulary))
        texts, kinds, scores = rows_of(vocabulary, gguf_tokenizer, job.n_rows, vocabulary_dir)
        _check_tokens(tokenizer, ids, texts, vocabulary_dir)
        for old, new in ids.kept.items():
            kinds[new] = tokenizer.kinds[old]
        job._check_tensors(len(tokenizer.tokens))
        anew = {
            "tokens": texts,
            "token_type": np.array(kinds, dtype=np.int32),
            "scores": _scores(tokenizer, ids, scores),
        }
        anew["merges"] = _merges(tokenizer, vocabulary)
        job.values = {key: job._value(key, raw, anew) for key, raw in layout.values.items()}
        return job

    def _value(self, key: str, raw: bytes, anew: dict[str, Any]) -> bytes:
        name = key.removeprefix(_GGML)
        if key.startswith(_GGML) and name in anew:
            return value_bytes(anew[name])
        if key.endswith(".vocab_size"):
            return raw[:4] + struct.pack("<I", self.n_rows)
        if _ID.search(key) and len(raw) == 8:
            return raw[:4] + struct.pack("<I", self._new_id(key, struct.unpack("<I", raw[4:])[0]))
        return raw

    def _new_id(self, key: str, old: int) -> int:
        if old == _NO_ID:
            return old
        if old not in self.ids.kept:
            raise SourceError(
                f"{self.layout.path}: {key} is {old:,}, which the new vocabulary has not: keep that token"
            )
        self.changed.append({"setting": key, "old": old, "new": self.ids.kept[old]})
        return self.ids.kept[old]

    def by_id(self, tensor: GgufTensor) -> VocabularyTensor | None:
        """A tensor with a row for each id, as rows of numbers or of bytes; None for others."""
        if not _BY_ID.fullmatch(tensor.name):
            return None
        dtype = _FLOATS.get(tensor.kind, "U8")
        is_vector = len(tensor.shape) == 1
        width = () if is_vector else (tensor.shape[0] if dtype != "U8" else tensor.row_bytes,)
        n_rows = tensor.shape[0] if is_vector else tensor.n_rows
        begin = self.layout.data_start + tensor.begin
        return VocabularyTensor(Tensor(tensor.name, dtype, (n_rows, *width), begin, begin + tensor.n_bytes), 0)

    def writer(self, one: VocabularyTensor, source: int, on_written: OnWritten) -> RowWriter:
        """What writes the rows of a tensor."""
        sources = [*self.ids.rows(), *[()] * (self.n_rows - self.ids.n_new)]
        return RowWriter(one, RowPlan(sources), source, 0, on_written)

    def _check_tensors(self, n_tokens: int) -> None:
        followed = [one for tensor in self.layout.tensors if (one := self.by_id(tensor))]
        path = self.layout.path
        if not any(one.tensor.name == "token_embd.weight" for one in followed):
            raise SourceError(f"{path} has no token_embd.weight: it holds a tokenizer without a model, or another part")
        for one in followed:
            if one.n_rows < n_tokens:
                raise SourceError(f"{path}: {one.tensor.name} has {one.n_rows:,} rows, fewer than {n_tokens:,} tokens")
            if one.tensor.dtype == "U8" and (self.ids.added or self.n_rows > len(self.ids.kept)):
                raise SourceError(
                    f"{path}: {one.tensor.name} is quantised, so rows of new tokens or padding cannot be made from "
                    "others: keep tokens of the source alone, or take a model in F16 or BF16"
                )
        names = {one.tensor.name for one in followed}
        sizes = {one.n_rows for one in followed}
        for tensor in self.layout.tensors:
            is_layer = tensor.name.startswith("blk.")
            if tensor.name in ("d2t", "t2d") or (tensor.name not in names and not is_layer and {*tensor.shape} & sizes):
                raise SourceError(f"{path}: {tensor.name} may have a row for each id, in a way that is not known")

    @property
    def tensors(self) -> list[dict[str, Any]]:
        """What followed, as JSON types."""
        followed = [(tensor, one) for tensor in self.layout.tensors if (one := self.by_id(tensor))]
        return [
            {
                "name": tensor.name,
                "dtype": _FLOATS.get(tensor.kind, f"type {tensor.kind}"),
                "axis": 0,
                "old_shape": [one.n_rows, *tensor.shape[:-1]],
                "new_shape": [self.n_rows, *tensor.shape[:-1]],
            }
            for tensor, one in followed
        ]

    def places(self) -> Iterator[tuple[GgufTensor, tuple[int, ...], int]]:
        """Each tensor with its new shape and the bytes of its data."""
        for tensor in self.layout.tensors:
            if self.by_id(tensor):
                n_bytes = tensor.n_bytes // tensor.shape[-1] * self.n_rows
                yield tensor, (*tensor.shape[:-1], self.n_rows), n_bytes
            else:
                yield tensor, tensor.shape, tensor.n_bytes

    @property
    def n_bytes(self) -> int:
        """Bytes of all new tensors."""
        return sum(n for _, _, n in self.places())

    def write(self, path: Path, on_written: OnWritten) -> None:
        """Write the new file."""
        alignment = self.layout.alignment
        head = MAGIC + struct.pack("<IQQ", 3, len(self.layout.tensors), len(self.values))
        head += b"".join(text_bytes(key) + value for key, value in self.values.items())
        place = 0
        for tensor, shape, n_bytes in self.places():
            sizes = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
            head += text_bytes(tensor.name) + sizes + struct.pack("<IQ", tensor.kind, place)
            place += aligned(n_bytes, alignment)
        with self.layout.path.open("rb", buffering=0) as reading, path.open("wb", buffering=0) as writing:
            source, sink = reading.fileno(), writing.fileno()
            write_all(sink, head.ljust(aligned(len(head), alignment), b"\0"))
            for tensor, _, n_bytes in self.places():
                one = self.by_id(tensor)
                if one:
                    self.writer(one, source, on_written).write_to(sink)
                else:
                    copy_bytes(source, sink, self.layout.data_start + tensor.begin, n_bytes, on_written)
                write_all(sink, b"\0" * (aligned(n_bytes, alignment) - n_bytes))


def _check_whole(layout: GgufLayout) -> None:
    parts = layout.values.get("split.count", b"")
    if len(parts) >= 6 and struct.unpack("<H", parts[4:6])[0] > 1:
        raise SourceError(f"{layout.path} is one of several parts: join them first, with llama-gguf-split --merge")
    for key in _WHOLE:
        if key in layout.values:
            raise SourceError(f"{layout.path} has {key}, a tokenizer in a form that is not transplanted")


def _check_tokens(tokenizer: GgufTokenizer, ids: IdMap, texts: list[str], folder: Path) -> None:
    """Raise SourceError where the id map is of another tokenizer than the model's."""
    n_old = len(tokenizer.tokens)
    for old, new in ids.kept.items():
        if old >= n_old or new >= len(texts) or tokenizer.tokens[old] != texts[new]:
            shown = tokenizer.tokens[old] if old < n_old else None
            raise SourceError(
                f"{folder} is of another source than {tokenizer.path}: the id {old:,} is {shown!r} there and "
                f"{texts[new] if new < len(texts) else None!r} here"
            )


def _notes(tokenizer: GgufTokenizer, vocabulary: Vocabulary) -> tuple[str, ...]:
    if tokenizer.model != "gpt2" or not (n_lost := n_without_merges(vocabulary, tokenizer.pre)):
        return ()
    return (
        f"{n_lost:,} tokens are made by look-up of whole words only, which llama.cpp's {tokenizer.pre} does not do: it "
        "spells them with other tokens. Pruned by the method leaf, a vocabulary has none of these",
    )


def _scores(tokenizer: GgufTokenizer, ids: IdMap, scores: list[float]) -> Any:
    """Scores of the new tokens: kept ones have theirs."""
    new, old = np.array(scores, dtype=np.float32), tokenizer.get("scores", np.ndarray)
    if old is not None:
        kept = [k for k in ids.kept if k < old.size]
        new[[ids.kept[k] for k in kept]] = old[kept]
    return new


def _merges(tokenizer: GgufTokenizer, vocabulary: Vocabulary) -> list[str]:
    return [f"{left} {right}" for left, right in merges_of(vocabulary)[0]] if tokenizer.model == "gpt2" else []
