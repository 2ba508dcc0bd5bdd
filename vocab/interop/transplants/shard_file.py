"""A file of safetensors in which some tensors follow the vocabulary and the others are copied as bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from vocab.interop.transplants.safetensors_file import BITS, SafetensorsFile, Tensor, header_bytes
from vocab.interop.transplants.tensor_rows import OnWritten, RowPlan, RowWriter, copy_bytes, write_all
from vocab.interop.transplants.vocabulary_tensors import VocabularyTensor

PlanOf = Callable[[VocabularyTensor], RowPlan]


def new_layout(file: SafetensorsFile, by_id: Mapping[str, VocabularyTensor], plan_of: PlanOf) -> list[Tensor]:
    """The tensors of a new file: wide elements first, so that each begins at a multiple of its elements' size.

    Raises SourceError for rows that cannot be written.
    """
    end, layout = 0, []
    for tensor in sorted(file.tensors, key=lambda tensor: -BITS[tensor.dtype]):
        rows, shape, n_bytes = by_id.get(tensor.name), tensor.shape, tensor.n_bytes
        if rows:
            # A probe without files: it refuses what cannot be written before anything is.
            writer = RowWriter(rows, plan_of(rows), -1, 0, lambda n: None)
            shape, n_bytes = writer.new_shape, writer.n_bytes
        layout.append(Tensor(tensor.name, tensor.dtype, shape, end, end + n_bytes))
        end += n_bytes
    return layout


def write_shard(
    file: SafetensorsFile,
    layout: list[Tensor],
    by_id: Mapping[str, VocabularyTensor],
    plan_of: PlanOf,
    path: Path,
    on_written: OnWritten,
) -> None:
    """Write one shard: rows of tensors that follow the vocabulary, and runs of the others in one copy each."""
    old = {tensor.name: tensor for tensor in file.tensors}
    with file.path.open("rb", buffering=0) as reading, path.open("wb", buffering=0) as writing:
        source, sink = reading.fileno(), writing.fileno()
        write_all(sink, header_bytes(layout, file.metadata))
        begin = end = 0  # of a run of tensors that are copied as they are
        for tensor in layout:
            was, rows = old[tensor.name], by_id.get(tensor.name)
            if rows is None and was.begin == end:
                end = was.end
                continue
            copy_bytes(source, sink, file.data_start + begin, end - begin, on_written)
            begin = end = was.begin
            if rows is None:
                end = was.end
            else:
                RowWriter(rows, plan_of(rows), source, file.data_start, on_written).write_to(sink)
                begin = end = was.end
        copy_bytes(source, sink, file.data_start + begin, end - begin, on_written)
