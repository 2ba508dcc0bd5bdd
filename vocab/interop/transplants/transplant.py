"""`transplant`: a Hugging Face checkpoint follows its new vocabulary.

Weights are never loaded: headers say where tensors are, tensors without rows of ids are copied as bytes, and embeddings
and heads are written row by row. Shards stay as they are cut.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vocab.choices import RowInit
from vocab.environment import versions
from vocab.errors import OutputError, SourceError, TargetError
from vocab.formats.by_content import kind_of
from vocab.formats.id_map import IdMap, read_id_map
from vocab.interop.transplants.adapter import AdapterJob
from vocab.interop.transplants.gguf_model import GgufJob
from vocab.interop.transplants.hf_checkpoint import ADAPTER, CONFIG, INDEX, Checkpoint, open_checkpoint
from vocab.interop.transplants.id_places import check_places
from vocab.interop.transplants.model_ids import IdChanges, with_new_ids
from vocab.interop.transplants.model_staging import RECORD, check_apart
from vocab.interop.transplants.model_tokenizer import old_tokens, write_tokenizer_files
from vocab.interop.transplants.packed_tensors import check_formats
from vocab.interop.transplants.row_plans import RowPlans
from vocab.interop.transplants.safetensors_file import BITS, Tensor
from vocab.interop.transplants.shard_file import new_layout, write_shard
from vocab.interop.transplants.vocab_sizes import with_vocab_size
from vocab.interop.transplants.vocabulary_tensors import vocabulary_tensors
from vocab.progress import OnProgress, silent
from vocab.reading import read_json
from vocab.writing import MARK, check_file, staged_file, staged_folder, write_json

GENERATION = "generation_config.json"
WRITING = "write the model"  # the stage of `on_progress`
# Files beside the weights that stay true; licences must go with them.
_KEPT_ENDINGS = (".py",)
_KEPT_NAMES = (
    "normalizer.json",  # Whisper's spellings of English
    *("hf_quant_config.json", "quant_config.json", "quantize_config.json", "recipe.yaml"),  # how layers are packed
)
_PROCESSORS = re.compile(r"(?:[a-z_]*_)?(?:pre)?processor_config\.json")  # settings that may hold ids
_KEPT_BEGINNINGS = ("LICENSE", "LICENCE", "NOTICE", "COPYING", "USE_POLICY")
_MOST_PADDING = 1024  # rows beyond the ids, where no tokenizer says that the id map is the model's
_SPARE_BYTES = 1 << 20  # for headers and settings


@dataclass(frozen=True)
class Transplanted:
    """A transplanted model.

    Attributes:
        out: the folder.
        record: the content of its transplant.json.
    """

    out: Path
    record: dict[str, Any]


def transplant(
    model: str | Path,
    vocabulary_dir: str | Path,
    out: str | Path,
    *,
    pad_to_multiple_of: int = 1,
    also_follow: Collection[str] = (),
    leave: Collection[str] = (),
    init: RowInit = "mean",
    force: bool = False,
    on_progress: OnProgress | None = None,
) -> Transplanted:
    """Write a checkpoint, or a GGUF model, for a pruned vocabulary, all or nothing.

    Rows of kept tokens are copied bit by bit. A token new to the source starts from the source rows that spell it, from
    their mean or the first of them. Padding rows and new special tokens start from the mean of all kept rows. Every
    token id in config.json, generation_config.json and settings of processors becomes the new one. Tokenizer files are
    those of the new vocabulary, with roles, chat template and post-processor of the model's. A tensor that may be bound
    to ids in a way that is not known is refused by its name; numbers that may be ids and did not follow are in the
    record. Of a GGUF model, a new GGUF file is written; its rows are copied whatever their type.

    Args:
        model: folder of a Hugging Face checkpoint with safetensors, or a GGUF file; it is only read.
        vocabulary_dir: folder that `vocab prune` wrote, of the model's own vocabulary.
        out: folder to write, or file for GGUF; it appears when it is whole.
        pad_to_multiple_of: multiple to which the rows of embedding and head are padded.
        also_follow: names of tensors with a row for each id, where their names do not tell.
        leave: names of tensors that have as many rows by chance.
        init: what the row of a token new to the source starts from: "mean" of the rows that spell it, or the "first".
        force: whether to replace an earlier result in `out`.
        on_progress: called with the stage, the bytes written so far, and the bytes to write.

    Raises:
        SourceError: the model or the id map cannot be used, or they do not belong together.
        TargetError: the multiple is below 1.
        OutputError: `out` may not or cannot be written.
    """
    model, vocabulary_dir, out = Path(model), Path(vocabulary_dir), Path(out)
    started = time.perf_counter()
    if pad_to_multiple_of < 1:
        raise TargetError(f"`pad_to_multiple_of` must be at least 1, not {pad_to_multiple_of}")
    is_adapter = (model / ADAPTER).is_file() and not (model / CONFIG).is_file()
    if (model.is_file() or is_adapter) and (also_follow or leave):
        raise TargetError(
            "`also_follow` and `leave` are for whole models in safetensors: other tensors have known names"
        )
    if model.is_file():
        written = _write_gguf(model, vocabulary_dir, out, pad_to_multiple_of, init, force, on_progress or silent)
        return Transplanted(out, written | {"seconds": time.perf_counter() - started, "versions": versions()})
    if is_adapter:
        written = _write_adapter(model, vocabulary_dir, out, pad_to_multiple_of, init, force, on_progress or silent)
        return Transplanted(out, written | {"seconds": time.perf_counter() - started, "versions": versions()})
    job = _Job(model, vocabulary_dir, pad_to_multiple_of, also_follow, leave, init)
    check_apart(out, [model, vocabulary_dir])
    with staged_folder(out, force=force, n_bytes=job.n_bytes + _SPARE_BYTES, kind="model") as staging:
        job.write(staging, on_progress or silent)
        record = job.record() | {"seconds": time.perf_counter() - started, "versions": versions()}
        record["files"] = sorted(p.name for p in staging.iterdir() if not p.name.startswith("."))
        write_json(staging / RECORD, record)
    return Transplanted(out, record)


def _write_gguf(
    model: Path, vocabulary: Path, out: Path, multiple_of: int, init: RowInit, force: bool, on_progress: OnProgress
) -> dict[str, Any]:
    """Write a GGUF model, and what was done as JSON types."""
    if kind_of(model) != "gguf":
        raise SourceError(f"{model} is neither a folder of a Hugging Face model nor a GGUF file")
    check_file(out, force=force, make_folders=True)
    if out.exists() and out.samefile(model):
        raise OutputError(f"{out} is the model itself: name another file with `out`")
    job = GgufJob.read(model, vocabulary, multiple_of, init)
    done, total = 0, job.n_bytes

    def on_written(n_bytes: int) -> None:
        nonlocal done
        done += n_bytes
        on_progress(WRITING, done, total)

    with staged_file(out) as staged:
        job.write(staged, on_written)
    old_size = next(tensor["old_shape"][0] for tensor in job.tensors if tensor["name"] == "token_embd.weight")
    old_bytes = sum(tensor.n_bytes for tensor in job.layout.tensors)
    return {
        "model": model.name,
        "source": job.ids.source,
        "tokens_compared_with_the_model": len(job.ids.kept),
        "vocab_size": {"old": old_size, "new": job.n_rows},
        "rows": _row_counts(job.ids, job.n_rows),
        "multiple_of": multiple_of,
        "init": init,
        "tensors": job.tensors,
        "left_alone": [],
        "ids": job.changed,
        "not_followed": [],
        "notes": list(job.notes),
        "left_out": [],
        "n_bytes": {"old": old_bytes, "new": total},
    }


def _write_adapter(
    adapter: Path, vocabulary: Path, out: Path, multiple_of: int, init: RowInit, force: bool, on_progress: OnProgress
) -> dict[str, Any]:
    """Write an adapter, and what was done as JSON types."""
    job = AdapterJob(adapter, vocabulary, multiple_of, init)
    check_apart(out, [adapter, vocabulary])
    record = job.record | {"rows": _row_counts(job.ids, job.n_rows), "multiple_of": multiple_of, "init": init}
    done = 0

    def on_written(n_bytes: int) -> None:
        nonlocal done
        done += n_bytes
        on_progress(WRITING, done, job.n_bytes)

    with staged_folder(out, force=force, n_bytes=job.n_bytes + _SPARE_BYTES, kind="model") as staging:
        job.write(staging, on_written)
        write_json(staging / RECORD, record)
    return record


def _row_counts(ids: IdMap, new_size: int) -> dict[str, int]:
    """Where rows come from."""
    return {
        "kept": len(ids.kept),
        "spelt": len(ids.added),
        "new_special": ids.n_new - len(ids.kept) - len(ids.added),
        "padding": max(0, new_size - ids.n_new),
    }


class _Job:
    """One transplant. Its constructor reads and checks everything, so that nothing is written in vain."""

    def __init__(
        self,
        model: Path,
        vocabulary: Path,
        multiple_of: int,
        also_follow: Collection[str],
        leave: Collection[str],
        init: RowInit,
    ) -> None:
        self.init: RowInit = init
        self.model, self.vocabulary, self.multiple_of = model, vocabulary, multiple_of
        self.checkpoint: Checkpoint = open_checkpoint(model)
        self.ids: IdMap = read_id_map(vocabulary).begun_as(init)
        config = self.checkpoint.config
        tensors = [tensor for file in self.checkpoint.files for tensor in file.tensors]
        self.found = vocabulary_tensors(tensors, config, self.ids.n_old, also_follow=also_follow, leave=leave)
        self.by_id = self.found.by_id
        check_formats(self.checkpoint.files, self.found.packed)
        tokens, self.n_checked = old_tokens(model, vocabulary, self.ids)
        self._check_padding()
        self.plans = RowPlans(self.ids, self.found, config, multiple_of)
        self.changes = IdChanges(tokens=tokens)
        self.settings = {name: self._settings(name) for name in _settings_of(model)}
        generation = read_json(model / GENERATION) if GENERATION in self.settings else {}
        check_places(config, generation, self.ids, self.found.size)
        self.layouts = [(file, new_layout(file, self.by_id, self.plans.plan)) for file in self.checkpoint.files]

    def _settings(self, name: str) -> dict[str, Any]:
        old, sizes = read_json(self.model / name), (self.found.size, self.found.n_rows)
        content = with_new_ids(old, name, self.ids, self.changes, sizes)
        return with_vocab_size(content, self.found.size, self.plans.new_size)

    def _check_padding(self) -> None:
        """Many rows more than ids, and no tokenizer beside them: the id map is likely another model's."""
        n_rows = self.found.n_rows
        if self.n_checked is None and n_rows - self.ids.n_old >= _MOST_PADDING:
            raise SourceError(
                f"the embedding in {self.model} has {n_rows:,} rows and {self.ids.source} only {self.ids.n_old:,} ids: "
                "put the model's tokenizer.json beside it, so that it can be seen whether they belong together"
            )

    @property
    def n_bytes(self) -> int:
        """Bytes of all new tensors."""
        return sum(tensor.n_bytes for _, layout in self.layouts for tensor in layout)

    def write(self, staging: Path, on_progress: OnProgress) -> None:
        """Write weights, settings and tokenizer files."""
        done, total = 0, self.n_bytes

        def on_written(n_bytes: int) -> None:
            nonlocal done
            done += n_bytes
            on_progress(WRITING, done, total)

        for name, content in self.settings.items():
            write_json(staging / name, content)
        write_tokenizer_files(self.model, self.vocabulary, staging)
        for path in sorted(self.model.iterdir()):
            if path.is_file() and _stays(path.name):
                shutil.copyfile(path, staging / path.name)
        for file, layout in self.layouts:
            write_shard(file, layout, self.by_id, self.plans.plan, staging / file.path.name, on_written)
        if self.checkpoint.index_metadata is not None:
            write_json(staging / INDEX, self._index())

    def _index(self) -> dict[str, Any]:
        """The index of shards, with the new total size."""
        names = sorted((t.name, file.path.name) for file, layout in self.layouts for t in layout)
        metadata = {**(self.checkpoint.index_metadata or {}), "total_size": self.n_bytes}
        if "total_parameters" in metadata:
            metadata["total_parameters"] = sum(
                t.n_bytes * 8 // BITS[t.dtype] for _, layout in self.layouts for t in layout
            )
        return {"metadata": metadata, "weight_map": dict(names)}

    def record(self) -> dict[str, Any]:
        """What was done, as JSON types."""
        ids = self.ids
        return {
            "model": self.model.resolve().name,
            "source": ids.source,
            "tokens_compared_with_the_model": self.n_checked,
            "vocab_size": {"old": self.found.size, "new": self.plans.new_size},
            "rows": _row_counts(ids, self.plans.new_size),
            "multiple_of": self.multiple_of,
            "init": self.init,
            "tensors": [self._touched(t) for _, layout in self.layouts for t in layout if t.name in self.by_id],
            "left_alone": sorted(self.found.left_alone),
            "ids": self.changes.changed,
            "not_followed": self.changes.not_followed,
            "notes": self.changes.notes,
            "left_out": self._left_out(),
            "n_bytes": {"old": self.checkpoint.n_bytes, "new": self.n_bytes},
        }

    def _left_out(self) -> list[str]:
        """Names in the model's folder that are not in the result; the mark of an earlier result gets a successor."""
        names = {path.name for path in self.model.iterdir()} - {MARK}
        return sorted(name for name in names if not _is_used(name, self.checkpoint))

    def _touched(self, tensor: Tensor) -> dict[str, Any]:
        old = self.by_id[tensor.name]
        return {
            "name": tensor.name,
            "dtype": tensor.dtype,
            "axis": old.axis,
            "old_shape": list(old.tensor.shape),
            "new_shape": list(tensor.shape),
        }


def _settings_of(model: Path) -> list[str]:
    """Files of settings that may hold ids."""
    there = sorted(path.name for path in model.iterdir() if path.is_file() and _PROCESSORS.fullmatch(path.name))
    return [CONFIG, *(name for name in (GENERATION,) if (model / name).is_file()), *there]


def _stays(name: str) -> bool:
    return name.endswith(_KEPT_ENDINGS) or name in _KEPT_NAMES or name.startswith(_KEPT_BEGINNINGS)


def _is_used(name: str, checkpoint: Checkpoint) -> bool:
    """Whether a file of the model is in the result, as it is or anew."""
    anew = {CONFIG, GENERATION, INDEX, "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"}
    anew |= {"chat_template.jinja", "chat_template.json", "additional_chat_templates"}
    return (
        name in anew
        or _stays(name)
        or bool(_PROCESSORS.fullmatch(name))
        or name in {file.path.name for file in checkpoint.files}
    )
