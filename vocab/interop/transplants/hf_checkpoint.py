"""A Hugging Face checkpoint folder: config.json and safetensors files, one or several with an index."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vocab.errors import SourceError
from vocab.interop.transplants.safetensors_file import SafetensorsFile, read_header
from vocab.reading import check_links, is_file_name, read_json

CONFIG = "config.json"
SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
ADAPTER, CONSOLIDATED = "adapter_config.json", "consolidated.safetensors"
_MERGE = "merge it into the model first, with merge_and_unload of peft"
_CONVERT = "name the model as transformers saves it"
# Weights of other programs, by the ends of their names.
_OTHERS = {
    ".gguf": "llama.cpp's",
    ".h5": "TensorFlow's",
    ".msgpack": "Flax's",
    ".onnx": "ONNX",
    ".safetensors": "safetensors under another name",
}
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


@dataclass(frozen=True)
class Checkpoint:
    """A folder's settings and the headers of its weights.

    `index_metadata` is that of the index, None for a single file.
    """

    folder: Path
    config: dict[str, Any]
    files: tuple[SafetensorsFile, ...]
    index_metadata: dict[str, Any] | None

    @property
    def n_bytes(self) -> int:
        """Bytes of all tensors."""
        return sum(tensor.n_bytes for file in self.files for tensor in file.tensors)


def open_checkpoint(folder: Path) -> Checkpoint:
    """Settings and headers of a checkpoint; of several layouts that which transformers takes, the single file first.

    Raises SourceError for a folder that is not a checkpoint and for pickled weights. Also for an index that names files
    outside the folder or tensors that are not there, and for headers that lie.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder} is not a folder")
    check_links(folder)
    if (folder / ADAPTER).is_file() and not (folder / CONFIG).is_file():
        raise SourceError(f"{folder} is an adapter ({ADAPTER}), not a model: {_MERGE}")
    if not (folder / CONFIG).is_file():
        if (folder / CONSOLIDATED).is_file():
            raise SourceError(f"{folder} has weights in Mistral's own layout ({CONSOLIDATED}): {_CONVERT}")
        raise SourceError(f"{folder} has no {CONFIG}: name the folder of a Hugging Face model")
    if (folder / ADAPTER).is_file():
        raise SourceError(f"{folder} has an adapter beside the model ({ADAPTER}): {_MERGE}")
    config = read_json(folder / CONFIG)
    if (folder / SINGLE).is_file():
        return Checkpoint(folder, config, (read_header(folder / SINGLE),), None)
    if not (folder / INDEX).is_file():
        raise SourceError(_without_weights(folder))
    index = read_json(folder / INDEX)
    weight_map = _weight_map(index, folder / INDEX)
    files = tuple(read_header(folder / name) for name in sorted(set(weight_map.values())))
    _check_index(weight_map, files, folder / INDEX)
    metadata = index.get("metadata")
    return Checkpoint(folder, config, files, metadata if isinstance(metadata, dict) else {})


def _without_weights(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir())
    if pickled := [name for name in names if name.endswith(PICKLED)]:
        return (
            f"{folder} has pickled weights ({pickled[0]}), which can run code when they are read: save the model again "
            "as safetensors, with save_pretrained"
        )
    for ending, whose in _OTHERS.items():
        if others := [name for name in names if name.endswith(ending)]:
            way = "name that file itself" if ending == ".gguf" else _CONVERT
            return f"{folder} has neither {SINGLE} nor {INDEX}, but weights that are {whose} ({others[0]}): {way}"
    return f"{folder} has neither {SINGLE} nor {INDEX}"


def _weight_map(index: dict[str, Any], path: Path) -> dict[str, str]:
    """Tensor name → file name; raises SourceError for a name that is more than a file in the folder."""
    weight_map = index.get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise SourceError(f"{path} has no weight_map")
    for name in set(map(str, weight_map.values())):
        if not is_file_name(name) or not name.endswith(".safetensors"):
            raise SourceError(f"{path} names the file {name!r}: only safetensors files of the same folder are read")
        if not (path.parent / name).is_file():
            raise SourceError(f"{path} names the file {name}, which is not there")
    return {str(tensor): str(name) for tensor, name in weight_map.items()}


def _check_index(weight_map: dict[str, str], files: tuple[SafetensorsFile, ...], path: Path) -> None:
    file_names: dict[str, str] = {}
    for file in files:
        for tensor in file.tensors:
            if tensor.name in file_names:
                raise SourceError(f"{file.path} has the tensor {tensor.name}, which {file_names[tensor.name]} has too")
            file_names[tensor.name] = file.path.name
    for name, file_name in weight_map.items():
        if file_names.get(name) != file_name:
            raise SourceError(f"{path} says that {file_name} has the tensor {name}, which is not there")
