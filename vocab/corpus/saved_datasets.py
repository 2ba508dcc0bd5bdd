"""Folders as `datasets` saves them with save_to_disk: Arrow files, and JSON files that say which ones belong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vocab.reading import parse_json

_MAX_METADATA_BYTES = 64 << 20


@dataclass(frozen=True)
class SavedDataset:
    """What a folder's metadata says of the files in it; nothing for a folder that is no saved dataset.

    Attributes:
        metadata: names of its metadata files, which hold no text.
        data_files: names of the files that belong to it; None when nothing says so.
        notes: sentences for a person.
        problems: what is wrong with files that belong to it, by name.
    """

    metadata: frozenset[str] = frozenset()
    data_files: frozenset[str] | None = None
    notes: tuple[str, ...] = ()
    problems: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path, names: Sequence[str]) -> SavedDataset:
        """Read the metadata of a folder that holds `names`."""
        if "dataset_dict.json" in names:
            splits = _metadata(folder / "dataset_dict.json").get("splits")
            if isinstance(splits, list):
                listed = ", ".join(map(str, splits))
                note = f"{folder} is a saved dataset with the splits {listed}: all are read."
                absent = {str(s): "is missing, though it is a split of the dataset" for s in splits if s not in names}
                return cls(frozenset({"dataset_dict.json"}), None, (note,), absent)
        files = _metadata(folder / "state.json").get("_data_files") if "state.json" in names else None
        if isinstance(files, list) and all(isinstance(f, dict) and isinstance(f.get("filename"), str) for f in files):
            listed_files = frozenset(f["filename"] for f in files)
            absent = dict.fromkeys(listed_files.difference(names), "is missing, though state.json lists it")
            return cls(frozenset({"state.json", "dataset_info.json"}), listed_files, (), absent)
        if any(name.endswith(".arrow") for name in names):
            return cls(frozenset({"dataset_info.json"}))
        return cls()

    def leaves_out(self, name: str) -> bool:
        """Whether a file in the folder does not belong to the dataset, such as a cache."""
        return self.data_files is not None and name not in self.data_files


def _metadata(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_METADATA_BYTES:
            return {}
        stored = parse_json(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return stored if isinstance(stored, dict) else {}
