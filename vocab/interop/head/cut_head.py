"""`cut_head`: the output head of a model with the rows of some ids only, in the forms that serving engines read.

Ids stay as they are, so tokenizer, embedding and layers do. An engine computes the logits of the rows that are left and
puts them back to their ids. Ids that are cut can be read, and never be written.

Sources: sgl-project/sglang #32742 (`--output-token-map`: one tensor of ids), NVIDIA-NeMo/Megatron-Bridge #2522
(`install_vocab_slice`: the same tensor), vllm-project/vllm-ascend #15788 (`VLLM_LMHEAD_PRUNE_PACK`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vocab.errors import SourceError
from vocab.formats import load_lossless
from vocab.interop.head.kept_ids import Ids, always_kept, listed, most_used
from vocab.interop.head.output_head import OutputHead, output_head
from vocab.interop.head.torch_file import TorchTensor, write_torch
from vocab.interop.serving.draft import bytes_by_id, digest
from vocab.interop.serving.token_uses import TokenUses
from vocab.interop.transplants.hf_checkpoint import open_checkpoint
from vocab.interop.transplants.model_staging import check_apart
from vocab.interop.transplants.safetensors_file import Tensor, header_bytes
from vocab.interop.transplants.tensor_rows import RowPlan, RowWriter, write_all
from vocab.vocabulary import Vocabulary
from vocab.writing import staged_folder, with_digest, write_json

ROWS, TOKEN_MAP, PACK, RECORD = "head.safetensors", "output_token_map.pt", "vllm_ascend_pack.pt", "head.json"
KEPT, INVERSE = "keep_ids", "inv_map"
_BLOCK = 4 << 20
_SPARE_BYTES = 64 << 20  # for lists of ids and headers


@dataclass(frozen=True)
class CutHead:
    """A head that was written.

    Attributes:
        out: the folder.
        ids: ids that are kept, int64, rising.
        record: the content of its head.json.
    """

    out: Path
    ids: Ids
    record: dict[str, Any]


def cut_head(
    model: str | Path, keep: int | str | Path, uses: TokenUses, out: str | Path, *, force: bool = False
) -> CutHead:
    """Write the head's rows of some ids and the lists that engines read, all or nothing.

    Rows are copied bit by bit, scales and biases with them. Single bytes and special tokens are always kept.

    Args:
        model: folder of a Hugging Face checkpoint with safetensors and its tokenizer; it is only read.
        keep: number of ids, chosen by use; or a JSON list of ids, or a result of `vocab prune`.
        uses: of the model's ids, for the choice and for the coverage that is stated.
        out: folder to write.
        force: whether to replace an earlier result in `out`.

    Raises:
        SourceError: the model or the list cannot be used, or head and tokenizer do not belong together.
        TargetError: the number of ids does not suit the vocabulary.
        OutputError: `out` may not or cannot be written.
    """
    model, out = Path(model), Path(out)
    vocabulary = load_lossless(model)
    head = output_head(open_checkpoint(model), vocabulary.max_id + 1)
    if uses.counted.shape[1] != vocabulary.max_id + 1:
        raise SourceError(f"the uses are of {uses.counted.shape[1]:,} ids, and {model} has {vocabulary.max_id + 1:,}")
    ids = most_used(vocabulary, keep, uses) if isinstance(keep, int) else listed(vocabulary, Path(keep))
    check_apart(out, [model])
    n_bytes = sum(one.tensor.n_bytes for _, one in head.tensors)
    with staged_folder(out, force=force, n_bytes=2 * n_bytes + _SPARE_BYTES, kind="model") as staging:
        _write_rows(staging / ROWS, head, ids, vocabulary)
        write_torch(staging / TOKEN_MAP, _tensor(ids))
        has_pack = _write_pack(staging, head, ids)
        record = _record(model, vocabulary, head, ids, uses) | {"vllm_ascend_pack": has_pack}
        write_json(staging / RECORD, with_digest(record | {"ids": ids.tolist()}), None)
    return CutHead(out, ids, record)


def _record(model: Path, vocabulary: Vocabulary, head: OutputHead, ids: Ids, uses: TokenUses) -> dict[str, Any]:
    tokens = bytes_by_id(vocabulary)
    return {
        "model": model.resolve().name,
        "head": head.module,
        "tied_to_the_embedding": head.is_tied,
        "rows": {"old": head.n_rows, "new": int(ids.size)},
        "always_kept": int(always_kept(vocabulary).size),
        "tokens_sha256": digest((k, tokens[k]) for k in ids.tolist()),
        "coverage": [asdict(one) for one in uses.coverage(ids)],
    }


def inverse(ids: Ids, n_rows: int) -> Ids:
    """The row of each id, int64[n_rows]; their number for ids that are cut."""
    rows = np.full(n_rows, ids.size, dtype=np.int64)
    rows[ids] = np.arange(ids.size)
    return rows


def _tensor(values: np.ndarray[Any, Any]) -> TorchTensor:
    kind = {np.dtype(np.int64): "I64", np.dtype(np.int32): "I32"}[values.dtype]
    return TorchTensor(kind, values.shape, lambda: [values.astype(values.dtype.newbyteorder("<")).tobytes()])


def _write_rows(path: Path, head: OutputHead, ids: Ids, vocabulary: Vocabulary) -> None:
    """The rows under their own names, and the lists of ids, as one safetensors file."""
    lists = {INVERSE: inverse(ids, head.n_rows), KEPT: ids}
    plan = RowPlan([(k,) for k in ids.tolist()])
    layout, end = [], 0
    for name, values in lists.items():
        layout.append(Tensor(name, "I64", values.shape, end, end + values.nbytes))
        end += values.nbytes
    for _, one in sorted(head.tensors, key=lambda pair: -pair[1].tensor.n_bytes):
        probe = RowWriter(one, plan, -1, 0, lambda n: None)
        layout.append(Tensor(one.tensor.name, one.tensor.dtype, probe.new_shape, end, end + probe.n_bytes))
        end += probe.n_bytes
    metadata = {"format": "pt", "source": vocabulary.name, "head": head.module, "n_rows": str(head.n_rows)}
    with path.open("wb", buffering=0) as writing:
        sink = writing.fileno()
        write_all(sink, header_bytes(layout, metadata))
        for values in lists.values():
            write_all(sink, values.astype("<i8").tobytes())
        for tensor in layout[len(lists) :]:
            file, one = next(pair for pair in head.tensors if pair[1].tensor.name == tensor.name)
            with file.path.open("rb", buffering=0) as reading:
                RowWriter(one, plan, reading.fileno(), file.data_start, lambda n: None).write_to(sink)


def _write_pack(staging: Path, head: OutputHead, ids: Ids) -> bool:
    """vllm-ascend's pack, for a head of whole 8-bit numbers with the scales of its quantiser; whether there is one."""
    parts = {one.tensor.name.removeprefix(head.module + "."): one.tensor.dtype for _, one in head.tensors}
    if parts != {"weight": "I8", "deq_scale": "I64", "quant_bias": "I32"}:
        return False
    written = _written(staging / ROWS)
    lists: Mapping[str, Any] = {KEPT: _tensor(ids), INVERSE: _tensor(inverse(ids, head.n_rows))}
    rows = {part: written[f"{head.module}.{part}"] for part in ("weight", "deq_scale", "quant_bias")}
    write_torch(staging / PACK, {"mode": "int8", **rows, **lists, "orig_vocab": head.n_rows})
    return True


def _written(path: Path) -> dict[str, TorchTensor]:
    """Tensors of a safetensors file, read in blocks."""
    from vocab.interop.transplants.safetensors_file import read_header

    file = read_header(path)

    def blocks(tensor: Tensor) -> Iterator[bytes]:
        with path.open("rb") as stream:
            stream.seek(file.data_start + tensor.begin)
            for first in range(0, tensor.n_bytes, _BLOCK):
                yield stream.read(min(_BLOCK, tensor.n_bytes - first))

    def torch_tensor(tensor: Tensor) -> TorchTensor:
        def given() -> Iterable[bytes]:
            return blocks(tensor)

        return TorchTensor(tensor.dtype, tensor.shape, given)

    return {tensor.name: torch_tensor(tensor) for tensor in file.tensors}
