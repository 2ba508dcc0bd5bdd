"""Files that models were released with, in the packages that carry them."""

import importlib.metadata
from pathlib import Path


def packaged(package: str, ending: str) -> Path:
    """A data file of an installed package."""
    files = importlib.metadata.files(package)
    return Path(str(next(f for f in files if str(f).endswith(ending)).locate()))


def llama_file(name: str) -> Path:
    return packaged("llama-models", f"{name}/tokenizer.model")


def mistral_file(name: str) -> Path:
    return packaged("mistral-common", f"data/{name}")
