"""What a file of a corpus holds, by its name: rows, text, or something that is not text."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Kind = Literal["json", "csv", "parquet", "arrow", "text"]

# Packings that are undone while a file is read.
PACKINGS = (".gz", ".zst", ".bz2", ".xz", ".lzma")
# JSON lines, unless the file itself begins like something else.
JSON_LINES = (".jsonl", ".ndjson", ".jsonlines", ".ldjson")
_KINDS: dict[str, Kind] = {
    **dict.fromkeys((*JSON_LINES, ".json"), "json"),
    **dict.fromkeys((".csv", ".tsv"), "csv"),
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
    **dict.fromkeys((".arrow", ".feather", ".ipc"), "arrow"),
}
_ARCHIVE = "is an archive: unpack it first"
_DOCUMENT = "is a document of an office program or reader: save its text first"
_MEDIUM = "is an image, sound or video, not text"
_DATA = "is binary data, not text"
# No endings that are also codes of languages, as .pt and .so are: corpora of translations end in these.
_NOT_TEXT = {
    **dict.fromkeys(
        (".zip", ".tar", ".tgz", ".tbz", ".tbz2", ".txz", ".tzst", ".7z", ".rar", ".jar", ".whl", ".egg", ".iso",
         ".dmg", ".cab", ".deb", ".rpm", ".apk"),
        _ARCHIVE,
    ),
    **dict.fromkeys(
        (".pdf", ".docx", ".xls", ".xlsx", ".ppt", ".pptx", ".odt", ".ods", ".odp", ".epub", ".mobi",
         ".djvu"),
        _DOCUMENT,
    ),
    **dict.fromkeys(
        (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".ico", ".heic", ".mp3", ".wav", ".flac",
         ".ogg", ".m4a", ".mp4", ".avi", ".mkv", ".mov", ".webm"),
        _MEDIUM,
    ),
    **dict.fromkeys(
        (".npy", ".npz", ".pkl", ".pickle", ".pth", ".safetensors", ".gguf", ".onnx", ".h5", ".hdf5", ".sqlite",
         ".sqlite3", ".avro", ".orc", ".tfrecord", ".tfrecords", ".msgpack", ".exe", ".dll", ".dylib", ".pyc", ".wasm",
         ".woff", ".woff2", ".ttf", ".otf"),
        _DATA,
    ),
    **dict.fromkeys((".lz4", ".lzo", ".snappy"), "is packed in a way that is not read: unpack it first"),
}  # fmt: skip


def packing_of(path: Path) -> str:
    """The ending of the packing, like ".gz"; empty for a file that is not packed."""
    ending = path.suffix.lower()
    return ending if ending in PACKINGS else ""


def ending_of(path: Path) -> str:
    """The ending of the name, packing aside, in lower case."""
    return (Path(path.stem) if packing_of(path) else path).suffix.lower()


def kind_of(path: Path) -> Kind:
    """What a file holds, by its name."""
    return _KINDS.get(ending_of(path), "text")


def not_text_by_name(path: Path) -> str | None:
    """Why a file is not text, going by its name; None when the name does not say so."""
    if packing_of(path) and kind_of(path) in ("parquet", "arrow"):
        return f"is a packed {ending_of(path)} file: unpack it first"
    return _NOT_TEXT.get(ending_of(path))
