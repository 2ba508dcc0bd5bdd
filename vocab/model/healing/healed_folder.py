"""The folder of a healed model: weights anew, settings as they were, all other files copied."""

from __future__ import annotations

import shutil
from pathlib import Path

from vocab.model.pretrained.causal_model import CausalModel
from vocab.writing import MARK, staged_folder

_WEIGHTS = (".safetensors", ".safetensors.index.json")


def write_healed(model: CausalModel, source: Path, out: Path) -> None:
    """Write a model in the dtype that it is stored in, with the other files of the folder that it came from."""
    with staged_folder(out, force=True) as staging:
        model.network.to(model.dtype).save_pretrained(staging, safe_serialization=True)
        for path in sorted(source.iterdir()):
            if path.is_file() and path.name != MARK and not path.name.endswith(_WEIGHTS):
                shutil.copyfile(path, staging / path.name)
