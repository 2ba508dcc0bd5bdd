"""The commands that write or keep state, on small inputs, with what they must write.

A command is given again after a kill, twice at once or on a full disk. Whatever happened, its result is the one of an
undisturbed run, and until then what was there before.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import random
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

import vocab.experiments
import vocab.model
from trials.bench import TRACEBACK, Bench, Call, Child, command, digests, quiet

OUT = "out"
DONE = ("earlier result", "finished count", "finished run", "is there already")
N_OLD, N_NEW = 1200, 500
STUDY = """
name = "tiny"
question = "Does Hamming weight matter for a small head?"
[speed]
reference = 256
margin = 0.0025
tile = 16
[speed.sets]
"popcount 2" = [257, 258, 260, 264, 272, 288]
"0 trailing zeros" = [321, 323, 327, 335, 351, 383]
[[speed.timings]]
part = "head"
mode = "eager"
preset = "micro"
n_tokens = 4
cycles = 12
"""
TRAIN = ["--seq", 16, "--batch", 2, "--tokens", 32 * 12, "--checkpoint-steps", 2, "--eval-bytes", 400, "--threads", 1]
SHAPE = ["--model", "n_layers=1", "--model", "n_heads=2", "--model", "n_kv_heads=1", "--model", "width=16"]

# What a result holds, by names: digests of files, or keys of rows.
Content = Mapping[str, str]


@dataclass(frozen=True)
class Work:
    """A command that writes `out` in the folder where it runs.

    Attributes:
        name: of the command.
        call: runs it.
        earlier: makes an earlier result that the call replaces; None where there is none.
        at_once: whether the earlier result becomes the new one in one step, or file by file.
        content: what a result holds.
        of_torch: whether it computes with torch, whose threads do not live on in forked processes.
    """

    name: str
    call: Call
    earlier: Call | None = None
    at_once: bool = True
    content: Callable[[Path], Content] = digests
    of_torch: bool = False


@dataclass(frozen=True)
class Prepared:
    """A command with what it must write.

    Attributes:
        work: the command.
        before: folder that holds the earlier result, or nothing.
        old: content of the earlier result.
        new: content of the result; only what is the same in each run.
        names: everything that the result holds.
        seconds: an undisturbed run takes.
        n_bytes: of its result.
    """

    work: Work
    before: Path
    old: Content
    new: Content
    names: frozenset[str]
    seconds: float
    n_bytes: int

    def is_refused_as_done(self, code: int, said: str) -> bool:
        """Whether a command without --force was refused because an earlier run has ended."""
        return code == 2 and self.work.earlier is None and any(text in said for text in DONE)

    def refusal_fault(self, child: Child, where: Path, damaged: str = "") -> str | None:
        """What is wrong with a command that was refused, or that a full disk ended: one sentence, and what was kept."""
        lines = [line for line in child.said().splitlines() if line.startswith("vocab: ") or TRACEBACK in line]
        if TRACEBACK in child.said() or len(lines) != 1:
            return f"{self.work.name}: no one sentence: {child.complaint()}"
        return self.state_fault(where, damaged)

    def fresh(self, where: Path) -> None:
        """Make a folder as it is before the command."""
        where.mkdir(exist_ok=True)
        for path in where.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(self.before, where, dirs_exist_ok=True, symlinks=True)

    def state_fault(self, where: Path, damaged: str = "") -> str | None:
        """What is wrong with what is there after a command that did not end, besides a damaged file."""
        found = self.work.content(where / OUT)
        kept = {name for name in self.new if found.get(name) == self.old.get(name)}
        new = {name for name, content in self.new.items() if found.get(name) == content}
        if lost := sorted(set(self.new) - kept - new - {damaged}):
            return f"{self.work.name}: {', '.join(lost[:3])} is neither the earlier nor the new one"
        if self.work.at_once and len(kept) < len(self.new) > len(new):
            return f"{self.work.name}: a part of the result is old, another is new"
        return None

    def result_fault(self, where: Path) -> str | None:
        """What is wrong with what is there after the command has ended well."""
        found = self.work.content(where / OUT)
        if wrong := sorted(name for name, content in self.new.items() if found.get(name) != content):
            return f"{self.work.name}: another result ({', '.join(wrong[:3])})"
        if other := sorted(self.names.symmetric_difference(found)):
            return f"{self.work.name}: {', '.join(other[:3])} too many or missing"
        return self.left_fault(where)

    def left_fault(self, where: Path) -> str | None:
        """What a command has left besides its result."""
        left = [path for path in where.iterdir() if path.name != OUT]
        left += [path for path in where.rglob("*") if path.name.endswith("-unfinished") or path.name == ".vocab-lock"]
        names = sorted({str(path.relative_to(where)) for path in left})
        return f"{self.work.name} leaves {', '.join(names[:3])} behind" if names else None


def prepared(bench: Bench) -> list[Prepared]:
    """The commands that the bench names, each run undisturbed; once for all kinds of trials."""
    return _prepared_once(bench.folder.parent, bench.commands)


@cache
def _prepared_once(folder: Path, commands: frozenset[str]) -> list[Prepared]:
    bench = Bench(folder, random.Random("commands"), commands)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # its threads would not live on in forked processes
    inputs = made_inputs(folder)
    chosen = [work for work in works(inputs) if not bench.commands or work.name in bench.commands]
    if any(work.of_torch for work in chosen):
        for package in (vocab.model, vocab.experiments):
            for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
                importlib.import_module(module.name)
    return [_prepared(bench, work) for work in chosen]


def _prepared(bench: Bench, work: Work) -> Prepared:
    """Run twice: what is the same in both runs is compared from then on."""
    before, run = bench.folder / f"before {work.name}", bench.folder / "undisturbed"
    before.mkdir()
    if work.earlier:
        bench.run(work.earlier, before)
    if not work.of_torch:
        _warm(work, bench.folder / "warm", before)
    found = []
    for _ in range(2):
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(before, run)
        started = time.monotonic()
        bench.run(work.call, run)
        seconds = time.monotonic() - started
        found.append(dict(work.content(run / OUT)))
    new = {name: content for name, content in found[0].items() if found[1].get(name) == content}
    if not new or set(found[0]) != set(found[1]):
        raise RuntimeError(f"{work.name} writes something else each time")
    n_bytes = sum(path.stat().st_size for path in run.rglob("*") if path.is_file())
    return Prepared(work, before, work.content(before / OUT), new, frozenset(found[0]), seconds, n_bytes)


def _warm(work: Work, where: Path, before: Path) -> None:
    """Run once in this process, so that forked ones have the modules and kernels."""
    shutil.copytree(before, where)
    here = Path.cwd()
    os.chdir(where)
    try:
        with quiet():
            work.call()
    except SystemExit as end:
        if end.code:
            raise RuntimeError(f"{work.name} ended with {end.code}") from None
    finally:
        os.chdir(here)
        shutil.rmtree(where)


def works(inputs: Path) -> list[Work]:
    """The commands that write or keep state; `inputs` is made by `made_inputs`."""
    text, other, counts = inputs / "text", inputs / "other.jsonl", inputs / "counts"
    old, small = inputs / "old", inputs / "small"

    def replaced(name: str, *arguments: object, before: tuple[object, ...] | None = None, **more: bool) -> Work:
        """A command with --force after the same command with other arguments."""
        first = before or arguments
        call = command(*arguments, "--out", OUT, "--force")
        return Work(name, call, command(*first, "--out", OUT), **more)

    prune = ("prune", "--source", old, "--target", N_NEW, "--method")
    shards, convert = ("shards", "--vocab", small, "--corpus"), ("convert", small, "--to")
    train = ("train", "--vocab", small, "--shards", inputs / "shards", *TRAIN, *SHAPE)
    optimal = (*prune, "optimal", "--certify", "--counts", counts, "--gap", 5)
    return [
        Work("count", command("count", "--corpus", text, "--out", OUT, "--threads", 1), at_once=False),
        replaced("count --force", "count", "--corpus", text, before=("count", "--corpus", other), at_once=False),
        replaced("prune", *prune, "frequency", "--counts", counts, before=(*prune, "rank")),
        replaced("prune optimal", *optimal, before=(*prune, "rank")),
        Work("bound", command("bound", *prune[1:-1], "--counts", counts, "--gap", 5, "--certificate", OUT)),
        Work("shards", command(*shards, text, "--out", OUT)),
        replaced("shards --force", *shards, text, before=(*shards, other)),
        replaced("counts merge", "counts", "merge", counts, inputs / "others", before=("counts", "merge", counts)),
        replaced("transplant", "transplant", inputs / "model", "--vocab", small, "--pad-to-multiple-of", 8),
        replaced("draft", "draft", small, "--format", "eagle3", before=("draft", small, "--format", "sglang")),
        replaced("convert", *convert, "tekken", "--approximate", before=(*convert, "tiktoken")),
        Work("train", command(*train, "--out", OUT), at_once=False, of_torch=True, content=_run_content),
        Work(
            "study run",
            command("study", "run", inputs / "tiny.toml", "--work", ".", "--rows", OUT, "--device", "cpu"),
            at_once=False,
            of_torch=True,
            content=_row_keys,
        ),
    ]


def _run_content(out: Path) -> Content:
    """Files of a run of training, but not its logs, which have times, nor checkpoints, whose heads are in any order."""
    without = ("tensorboard", "checkpoints")
    return {name: digest for name, digest in digests(out).items() if not name.startswith(without)}


def _row_keys(rows: Path) -> Content:
    """Keys of rows; their results are times."""
    lines = rows.read_bytes().split(b"\n")[:-1] if rows.exists() else []
    keys = [json.dumps(json.loads(line)["key"], sort_keys=True) for line in lines]
    return {key: "once" if keys.count(key) == 1 else "several times" for key in keys}


@cache
def made_inputs(folder: Path) -> Path:
    """A folder with texts, counts, vocabularies, shards and a model, all small."""
    bench, inputs = Bench(folder, random.Random("inputs")), folder / "inputs"
    for k in range(3):
        bench.write_text(inputs / "text" / f"{k}.txt", 150_000)
    lines = bench.write_text(inputs / "lines.txt", 60_000).read_text().splitlines()
    (inputs / "other.jsonl").write_text("".join(json.dumps({"text": line}) + "\n" for line in lines))
    (inputs / "tiny.toml").write_text(STUDY)
    commands = [
        ("count", "--corpus", "text", "--out", "counts"),
        ("count", "--corpus", "other.jsonl", "--out", "others"),
        ("prune", "--target", N_OLD, "--method", "rank", "--out", "old"),
        (
            "prune",
            "--source",
            "old",
            "--target",
            N_NEW,
            "--method",
            "frequency",
            "--counts",
            "counts",
            "--out",
            "small",
        ),
        ("shards", "--vocab", "small", "--corpus", "other.jsonl", "--out", "shards"),
    ]
    for arguments in commands:
        bench.run(command(*arguments), inputs)
    _write_model(inputs)
    return inputs


def _write_model(inputs: Path) -> None:
    """A checkpoint of a Llama of the vocabulary `old`, with its tokenizer; its weights are random."""
    from safetensors.numpy import save_file

    shutil.copytree(inputs / "old", inputs / "model", ignore=shutil.ignore_patterns("*.md", ".*", "report.json"))
    rng, width = np.random.default_rng(0), 16
    shapes = {"model.embed_tokens": (N_OLD, width), "lm_head": (N_OLD, width), "model.norm": (width,)}
    layer = "model.layers.0"
    shapes |= {f"{layer}.{name}": (width,) for name in ("input_layernorm", "post_attention_layernorm")}
    shapes |= {f"{layer}.self_attn.{name}_proj": (width, width) for name in "qkvo"}
    shapes |= {f"{layer}.mlp.{name}_proj": (width, width) for name in ("gate", "up", "down")}
    tensors = {f"{name}.weight": rng.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()}
    save_file(tensors, inputs / "model" / "model.safetensors", metadata={"format": "pt"})
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": N_OLD, "hidden_size": width}
    config |= {"intermediate_size": width, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2}
    config |= {"tie_word_embeddings": False, "eos_token_id": N_OLD - 1, "bos_token_id": N_OLD - 1}
    (inputs / "model" / "config.json").write_text(json.dumps(config))
