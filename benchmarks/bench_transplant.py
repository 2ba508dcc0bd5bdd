#!/usr/bin/env python3
"""Transplants a checkpoint of random weights in the shape of TinyLlama 1.1B, beside plain copying of the same files.

    python benchmarks/bench_transplant.py --scratch DIR [--target 16000] [--repeats 3] [--json FILE]

The checkpoint is 4.4 GB in float32, in files of about 2 GB, with the 32,000 ids of Mistral's first tokenizer (from the
package mistral-common). `cp -r` and `vocab transplant` run one of each in turn, each in a process of its own, after
the files were put out of the system's cache; seconds end when what was written is on the disk. Needs 10 GB of disk.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import MB, spread, write_json
from tables import machine, show

import vocab
from vocab.interop.transplants.safetensors_file import Tensor, header_bytes
from vocab.prune import prune

WIDTH, MLP, KEYS, LAYERS, ROWS = 2048, 5632, 256, 22, 32_000
SHARD_BYTES = 2 * 10**9
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "bos_token_id": 1,
    "eos_token_id": 2,
    "hidden_size": WIDTH,
    "intermediate_size": MLP,
    "model_type": "llama",
    "num_attention_heads": 32,
    "num_hidden_layers": LAYERS,
    "num_key_value_heads": 4,
    "tie_word_embeddings": False,
    "vocab_size": ROWS,
}
# VmHWM begins anew with each program; ru_maxrss would start from that of the process that made the model.
COMMAND = """
import sys
from vocab.cli.app import main
try:
    main()
finally:
    status = open("/proc/self/status").read()
    print(int(status.split("VmHWM:")[1].split()[0]) * 1024, file=sys.stderr)
"""


def shapes() -> dict[str, tuple[int, ...]]:
    """Tensors of the model in the order of its files."""
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (ROWS, WIDTH)}
    for k in range(LAYERS):
        layer = f"model.layers.{k}."
        shapes |= {f"{layer}self_attn.{name}_proj.weight": (WIDTH, WIDTH) for name in "qo"}
        shapes |= {f"{layer}self_attn.{name}_proj.weight": (KEYS, WIDTH) for name in "kv"}
        shapes |= {f"{layer}mlp.{name}_proj.weight": (MLP, WIDTH) for name in ("gate", "up")}
        shapes |= {f"{layer}mlp.down_proj.weight": (WIDTH, MLP)}
        shapes |= {f"{layer}{name}_layernorm.weight": (WIDTH,) for name in ("input", "post_attention")}
    return shapes | {"model.norm.weight": (WIDTH,), "lm_head.weight": (ROWS, WIDTH)}


def shards() -> list[list[str]]:
    """Names of the tensors of each file."""
    files: list[list[str]] = [[]]
    size = 0
    for name, shape in shapes().items():
        n_bytes = 4 * int(np.prod(shape))
        if size + n_bytes > SHARD_BYTES:
            files.append([])
            size = 0
        files[-1].append(name)
        size += n_bytes
    return files


def write_model(folder: Path, tokenizer: Path) -> int:
    """Write the checkpoint; returns bytes of its weights."""
    folder.mkdir(parents=True)
    shutil.copyfile(tokenizer, folder / "tokenizer.model")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    rng, names, weight_map, total = np.random.default_rng(0), shards(), {}, 0
    for number, part in enumerate(names, 1):
        file = f"model-{number:05}-of-{len(names):05}.safetensors"
        weight_map |= dict.fromkeys(part, file)
        tensors, end = [], 0
        for name in part:
            n_bytes = 4 * int(np.prod(shapes()[name]))
            tensors.append(Tensor(name, "F32", shapes()[name], end, end + n_bytes))
            end += n_bytes
        with (folder / file).open("wb") as stream:
            stream.write(header_bytes(tensors, {"format": "pt"}))
            for tensor in tensors:
                stream.write(rng.standard_normal(tensor.n_bytes // 4, dtype=np.float32).data)
        total += end
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return total


def forget(folder: Path) -> None:
    """Put a folder's files out of the system's cache."""
    os.sync()
    for path in folder.iterdir():
        with path.open("rb") as stream:
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def lap(command: list[str], model: Path, out: Path) -> tuple[float, str]:
    """Seconds until a command's result is on the disk, and what it wrote to standard error."""
    shutil.rmtree(out, ignore_errors=True)
    forget(model)
    started = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True)
    os.sync()
    return time.perf_counter() - started, done.stderr


def measure(scratch: Path, target: int, repeats: int) -> dict[str, Any]:
    """Seconds of copying and of transplanting, and the peak memory of the latter."""
    files = importlib.metadata.files("mistral-common") or []
    tokenizer = Path(str(next(f for f in files if f.name == "tokenizer.model.v1").locate()))
    model, small, out = scratch / "model", scratch / "vocabulary", scratch / "out"
    n_bytes = write_model(model, tokenizer)
    prune(vocab.load(tokenizer), target, method="frequency").save(small)
    copy = ["cp", "-r", str(model), str(out)]
    ours = [sys.executable, "-c", COMMAND, "transplant", str(model), "--vocab", str(small), "--out", str(out)]
    result: dict[str, Any] = {"n_bytes": n_bytes, "cp_seconds": [], "seconds": [], "peak_bytes": []}
    for _ in range(repeats):
        result["cp_seconds"].append(lap(copy, model, out)[0])
        seconds, errors = lap(ours, model, out)
        result["seconds"].append(seconds)
        result["peak_bytes"].append(int(errors.split()[-1]))
    record = json.loads((out / "transplant.json").read_text())
    return result | {key: record[key] for key in ("rows", "vocab_size")} | {"n_bytes_new": record["n_bytes"]["new"]}


COLUMNS = ["", "GB read", "GB written", "seconds", "peak MB"]


def rows(result: dict[str, Any]) -> list[list[str]]:
    """The table out of what --json writes."""
    read, written = result["n_bytes"] / 1e9, result["n_bytes_new"] / 1e9
    peak = spread([n / MB for n in result["peak_bytes"]], 0)
    return [
        ["cp -r", f"{read:.2f}", f"{read:.2f}", spread(result["cp_seconds"]), "-"],
        ["vocab transplant", f"{read:.2f}", f"{written:.2f}", spread(result["seconds"]), peak],
    ]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Transplant a checkpoint of 4.4 GB beside plain copying.")
    parser.add_argument("--scratch", type=Path, required=True, help="folder to write to; must not exist")
    parser.add_argument("--target", type=int, default=16_000, help="ids of the new vocabulary")
    parser.add_argument("--repeats", type=int, default=3, help="rounds")
    parser.add_argument("--json", type=Path, help="file for the results")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    facts = machine()
    arguments.scratch.mkdir(parents=True)
    try:
        result = measure(arguments.scratch, arguments.target, arguments.repeats)
    finally:
        shutil.rmtree(arguments.scratch, ignore_errors=True)
    show("A checkpoint follows its vocabulary", COLUMNS, rows(result), facts)
    settings = {"target": arguments.target, "repeats": arguments.repeats}
    write_json(arguments.json, {"machine": facts, "settings": settings, "results": result})


if __name__ == "__main__":
    main()
