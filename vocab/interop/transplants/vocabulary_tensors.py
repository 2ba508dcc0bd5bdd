"""Which tensors of a checkpoint have a row for each id, and along which axis.

By shape first: a dimension equal to config.json's vocab_size, or to the rows of an embedding that was padded further.
Then the name decides: embeddings and heads follow; towers, positions and parts of layers, which may have as many rows
by chance, stay. Any other tensor is refused by its name.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vocab.errors import SourceError
from vocab.interop.transplants.packed_tensors import Parts, check_plain, packed_modules, rows_of_packed
from vocab.interop.transplants.safetensors_file import Tensor
from vocab.interop.transplants.tensor_names import (
    holds_ids,
    is_in_tower,
    is_known,
    is_of_hashes,
    is_of_known_module,
    is_other,
    is_plain,
    is_whole_name,
)
from vocab.interop.transplants.vocab_sizes import other_sizes, own_rows, vocab_sizes


@dataclass(frozen=True)
class VocabularyTensor:
    """A tensor, and the axis along which it has one row for each id."""

    tensor: Tensor
    axis: int

    @property
    def n_rows(self) -> int:
        """Its size along that axis."""
        return self.tensor.shape[self.axis]


@dataclass
class VocabularyTensors:
    """What follows the vocabulary.

    Attributes:
        size: the vocab_size of config.json.
        by_id: tensors with a row for each id, by name.
        packed: embeddings and heads that are quantised and can follow.
        left_alone: names of others that have as many rows.
    """

    size: int
    by_id: dict[str, VocabularyTensor] = field(default_factory=dict)
    packed: list[str] = field(default_factory=list)
    left_alone: list[str] = field(default_factory=list)

    @property
    def n_rows(self) -> int:
        """Most rows of an embedding or head."""
        return max((one.n_rows for one in self.by_id.values() if len(one.tensor.shape) > 1), default=0)

    def has_shorter_head(self, config: Mapping[str, Any]) -> bool:
        """Whether the embedding goes on beyond the head, and ids may lie there, as in Llama 3.2 Vision."""
        n_rows = {one.n_rows for one in self.by_id.values() if one.axis == 0 and len(one.tensor.shape) > 1}
        return self.n_rows > self.size and (self.size in n_rows or str(config.get("model_type")).startswith("mllama"))


def vocabulary_tensors(
    tensors: Iterable[Tensor],
    config: Mapping[str, Any],
    n_old: int,
    *,
    also_follow: Collection[str] = (),
    leave: Collection[str] = (),
) -> VocabularyTensors:
    """Tensors with one row for each id, where `n_old` ids are in use.

    Args:
        tensors: all tensors of the checkpoint.
        config: the content of config.json.
        n_old: ids of the source are below this.
        also_follow: names of tensors that follow, whatever they are called.
        leave: names of tensors that do not.

    Raises:
        SourceError: there is none, or one that may be bound to ids in a way that is not known. Also when there are
            fewer rows than ids, or an embedding has fewer rows than config.json says.
    """
    tensors = list(tensors)
    _check_named(tensors, also_follow, leave)
    known = [t for t in tensors if t.name not in leave]
    _check_contents(known, config)
    packed = {m: parts for m, parts in packed_modules(known).items() if _may_be_packed(m, parts, config, also_follow)}
    in_packed = {tensor.name for parts in packed.values() for tensor in parts.values()}
    plain = [t for t in known if t.name not in in_packed]
    size = _size(plain, config)
    sizes = {size, *_rows_by_name(plain, config, size)}
    found = VocabularyTensors(size)
    for module, parts in packed.items():
        found.packed.append(module)
        for tensor in rows_of_packed(module, parts, sizes, config):
            found.by_id[tensor.name] = VocabularyTensor(tensor, 0)
    by_chance = bool(sizes & set(other_sizes(config)))
    for tensor in tensors:
        if tensor.name not in in_packed:
            _sort_in(tensor, sizes | _own(tensor, config), by_chance, also_follow, leave, found)
    for name, one in found.by_id.items():
        if name not in in_packed:
            check_plain(one.tensor, config)
    _check_found(found, n_old, config)
    return found


def _check_named(tensors: Iterable[Tensor], also_follow: Collection[str], leave: Collection[str]) -> None:
    there = {tensor.name for tensor in tensors}
    if both := sorted({*also_follow} & {*leave}):
        raise SourceError(f"{both[0]} is in `also_follow` and in `leave`: name it in one")
    if wrong := [name for name in (*also_follow, *leave) if name not in there]:
        raise SourceError(f"the model has no tensor {wrong[0]!r}, which `also_follow` or `leave` names")


def _check_contents(tensors: Iterable[Tensor], config: Mapping[str, Any]) -> None:
    """Raise SourceError for tensors whose numbers are ids, and for embeddings in two parts."""
    for tensor in tensors:
        if holds_ids(tensor.name):
            raise SourceError(
                f"{tensor.name} says which ids a draft model has: make it anew with vocab draft, for the new vocabulary"
            )
        if is_of_hashes(tensor.name):
            raise SourceError(f"{tensor.name} embeds hashes of ids, which new ids change: the model cannot follow")
        if ".additional_embedding." in tensor.name or ".additional_fc." in tensor.name:
            raise SourceError(
                f"{tensor.name} holds ids from vocab_size upwards in a tensor of its own, which cannot follow"
            )
    draft = config.get("draft_vocab_size")
    if type(draft) is int and draft not in vocab_sizes(config):
        raise SourceError(
            f"config.json has the draft_vocab_size {draft:,}: a draft head with ids of its own cannot follow"
        )


def _may_be_packed(module: str, parts: Parts, config: Mapping[str, Any], also_follow: Collection[str]) -> bool:
    """Whether a packed module is an embedding or head of the text; of one that is called like it, by its shapes."""
    names = [tensor.name for tensor in parts.values()]
    if any(name in also_follow for name in names) or (is_of_known_module(names[0]) and not is_in_tower(module)):
        return True
    if is_in_tower(module) or not is_plain(f"{module}.weight"):
        return False
    sizes = vocab_sizes(config)
    n_numbers = [n for tensor in parts.values() for n in (*tensor.shape, math.prod(tensor.shape))]
    return any(n and n % size == 0 for n in n_numbers for size in sizes)


def _size(tensors: Iterable[Tensor], config: Mapping[str, Any]) -> int:
    """The vocab_size, of several that which an embedding has; raises SourceError when there is none."""
    sizes = vocab_sizes(config)
    rows = {n for t in tensors if is_known(t.name) and not is_in_tower(t.name) for n in t.shape}
    return next((size for size in sizes if size in rows), sizes[0])


def _own(tensor: Tensor, config: Mapping[str, Any]) -> set[int]:
    n_rows = own_rows(tensor.name, config)
    return set() if n_rows is None else {n_rows}


def _rows_by_name(tensors: Iterable[Tensor], config: Mapping[str, Any], size: int) -> Iterable[int]:
    """Rows of the embeddings and heads that have known names."""
    for tensor in tensors:
        if not is_known(tensor.name) or is_in_tower(tensor.name) or len(tensor.shape) < 2 or size in tensor.shape:
            continue
        if is_whole_name(tensor.name) or tensor.shape[0] == own_rows(tensor.name, config):
            continue
        if tensor.shape[0] < size:
            raise SourceError(
                f"{tensor.name} has {tensor.shape[0]:,} rows, fewer than the vocab_size {size:,} of config.json"
            )
        yield tensor.shape[0]


def _sort_in(
    tensor: Tensor,
    sizes: set[int],
    by_chance: bool,
    also_follow: Collection[str],
    leave: Collection[str],
    found: VocabularyTensors,
) -> None:
    """Decide about one tensor; raises SourceError where neither name nor shape tells."""
    name, axes = tensor.name, [axis for axis, n in enumerate(tensor.shape) if n in sizes]
    if name in also_follow and not axes:
        raise SourceError(f"{name} has no dimension of {max(sizes):,}, one for each id: leave it out of `also_follow`")
    if not axes:
        return
    is_first = is_plain(name) and axes[0] == 0 and not is_in_tower(name)
    if name not in leave and (name in also_follow or is_known(name) or is_first):
        found.by_id[name] = VocabularyTensor(tensor, axes[0])
    elif (
        name in leave
        or is_in_tower(name)
        or is_other(name, by_chance=by_chance, of_whole_numbers=tensor.dtype == "I64")
    ):
        found.left_alone.append(name)
    else:
        raise SourceError(
            f"{name} of shape {list(tensor.shape)} may have a row for each id, which its name does not tell: pass it "
            "as `also_follow` if it has, or else as `leave`"
        )


def _check_found(found: VocabularyTensors, n_old: int, config: Mapping[str, Any]) -> None:
    if not found.n_rows:
        raise SourceError(f"no embedding has the {found.size:,} rows that config.json gives as vocab_size")
    if (found.n_rows if found.has_shorter_head(config) else found.size) < n_old:
        raise SourceError(
            f"config.json has the vocab_size {found.size:,}, but the id map is of a source of {n_old:,} ids"
        )
