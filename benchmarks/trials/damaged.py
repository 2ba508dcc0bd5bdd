"""Files from outside with bits flipped, parts cut off or left out: read as their own runtime reads them, or refused.

A changed file may be another good vocabulary. Then tiktoken, tokenizers, sentencepiece or safetensors, given the same
file, must read it too and give the same ids. A file that is refused is one sentence and exit code 2, within bounds of
time and memory.
"""

from __future__ import annotations

import json
import os
import random
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import vocab
from trials.bench import Bench, released
from trials.limited import limited
from vocab.interop.transplants.safetensors_file import read_header
from vocab.prune import prune
from vocab.vocabulary import Provenance, Vocabulary

TEXTS = ["some text\x00 é", " the cat's 12345 hats\n\n  sat", "naïve 中文 👩‍👩‍👧‍👦 <|endoftext|>", ""]
# Files of a folder: the one that is damaged, and the one that is given to the command.
KINDS = {
    "ranks": ("small.tiktoken", "small.tiktoken"),
    "tokenizer_json": ("tokenizer.json", "tokenizer.json"),
    "unigram": ("tokenizer.json", "tokenizer.json"),
    "wordpiece": ("tokenizer.json", "tokenizer.json"),
    "sentencepiece": ("tokenizer.model", "tokenizer.model"),
    "tekken": ("tekken.json", "tekken.json"),
    "merges": ("merges.txt", "."),
    "vocab": ("vocab.json", "."),
    "tokenmonster": ("small.tokenmonster.yaml", "small.tokenmonster.yaml"),
    "gguf": ("small.gguf", "small.gguf"),
    "safetensors": ("model.safetensors", "model.safetensors"),
}


def trials(bench: Bench) -> Iterator[str | None]:
    """Damage one file after another."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # its threads would not live on in forked processes
    make_originals(bench.folder)
    for kind, (_, given) in KINDS.items():
        if kind != "safetensors":
            _encode(bench.folder / kind / given)  # kernels that are loaded here are there in each forked process
        path = bench.folder / kind / given
        ended = limited(lambda path=path, kind=kind: _read(path, kind), bench.folder / "said.txt")
        if ended.code:
            raise RuntimeError(f"the undamaged file of {kind}: {ended.said}")
    while True:
        for kind, (file, given) in KINDS.items():
            path = bench.folder / kind / file
            original = path.read_bytes()
            path.write_bytes(damaged(original, bench.chance))
            outcome = _outcome(bench.folder / kind, kind, given, bench.folder / "said.txt")
            path.write_bytes(original)
            yield outcome and f"{kind}: {outcome}"


def damaged(raw: bytes, chance: random.Random) -> bytes:
    """One to four bits flipped; sometimes cut short, or with a part left out or there twice."""
    a, b = sorted((chance.randrange(len(raw)), chance.randrange(len(raw))))
    what = chance.randrange(10)
    if what == 0:
        return raw[:a]
    if what == 1:
        return raw[:a] + raw[b:]
    if what == 2:
        return raw[:b] + raw[a:b] + raw[b:]
    changed = bytearray(raw)
    for _ in range(chance.randint(1, 4)):
        # Heads say more than bodies, so that half of the bits are of the first 500 bytes.
        at = chance.randrange(min(500, len(raw)) if chance.random() < 0.5 else len(raw))
        changed[at] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _outcome(folder: Path, kind: str, given: str, log: Path) -> str | None:
    return limited(lambda: _read(folder / given, kind), log).fault


def _read(path: Path, kind: str) -> None:
    """Read a file in every way; what its own runtime then cannot read, or reads otherwise, is an error."""
    if kind == "safetensors":
        read_header(path)
    else:
        _inspect(path)
        _encode(path)
    if kind in COMPARED:
        COMPARED[kind](path)


def _inspect(path: Path) -> None:
    from vocab.cli.app import main

    sys.argv = ["vocab", "inspect", str(path)]
    main()


def _encode(path: Path) -> None:
    loaded = vocab.load(path)
    for text in TEXTS:
        loaded.encode(text)


def _same(path: Path, encode: Callable[[str], list[int]]) -> None:
    """Ids of a Vocabulary; what is no Vocabulary is run by the runtime itself."""
    loaded = vocab.load(path)
    if isinstance(loaded, Vocabulary):
        for text in TEXTS:
            ours, theirs = loaded.encode(text, allow_special=True), encode(text)
            if ours != theirs:
                raise AssertionError(f"{text!r}: {ours} and {theirs}")


def _compare_ranks(path: Path) -> None:
    import tiktoken
    import tiktoken.load

    settings = json.loads(path.with_suffix(".json").read_text())
    ranks, special = tiktoken.load.load_tiktoken_bpe(str(path)), settings["special_tokens"]
    encoding = tiktoken.Encoding("x", pat_str=settings["pat_str"], mergeable_ranks=ranks, special_tokens=special)
    _same(path, lambda text: encoding.encode(text, allowed_special="all"))


def _compare_json(path: Path) -> None:
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_file(str(path))
    _same(path, lambda text: tokenizer.encode(text, add_special_tokens=False).ids)


def _compare_pieces(path: Path) -> None:
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
    _same(path, lambda text: processor.encode(text))


def _compare_tensors(path: Path) -> None:
    from safetensors import safe_open

    with safe_open(path, "numpy") as file:
        theirs = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    ours = {tensor.name: list(tensor.shape) for tensor in read_header(path).tensors}
    if ours != theirs:
        raise AssertionError(f"{ours} and {theirs}")


COMPARED: dict[str, Callable[[Path], None]] = {
    "ranks": _compare_ranks,
    "tokenizer_json": _compare_json,
    "unigram": _compare_json,
    "sentencepiece": _compare_pieces,
    "safetensors": _compare_tensors,
}


def make_originals(place: Path) -> None:
    """A small file of each format, cut from released ones or written by their own libraries."""
    cl100k = vocab.load("cl100k_base")
    special = {"<|endoftext|>": 400}
    small = Vocabulary.from_tokens(list(cl100k.tokens())[:400], cl100k.pattern, special, provenance=Provenance("small"))
    for name in ("ranks", "tokenizer_json"):
        small.save(place / name)
    (place / "ranks" / "tokenizer.json").unlink()
    replace(small, inference="ungreedy").save(place / "tokenmonster")
    pieces = vocab.load(released("mistral-common", "tokenizer.model.v1"))
    prune(pieces, pieces.n_ids - 31_000, method="rank").save(place / "sentencepiece")
    prune(vocab.load(released("mistral-common", "tekken_240718.json")), 1300, method="rank").save(place / "tekken")
    _write_by_tokenizers(place)
    _write_gguf(place / "gguf", small)
    _write_safetensors(place / "safetensors")


def _write_by_tokenizers(place: Path) -> None:
    """Trained on this folder's own source."""
    import tokenizers as hf

    texts = [path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("*.py"))]
    for name in ("unigram", "wordpiece", "merges", "vocab"):
        (place / name).mkdir()
    unigram = hf.SentencePieceUnigramTokenizer()
    unigram.train_from_iterator(texts, vocab_size=300, show_progress=False, unk_token="<unk>")
    unigram.save(str(place / "unigram" / "tokenizer.json"))
    words = hf.BertWordPieceTokenizer()
    words.train_from_iterator(texts, vocab_size=300, show_progress=False)
    words.save(str(place / "wordpiece" / "tokenizer.json"))
    byte_level = hf.ByteLevelBPETokenizer()
    byte_level.train_from_iterator(texts, vocab_size=400, show_progress=False)
    for name in ("merges", "vocab"):
        byte_level.save_model(str(place / name))
        settings = {"tokenizer_class": "GPT2Tokenizer"}
        (place / name / "tokenizer_config.json").write_text(json.dumps(settings))


def _write_gguf(folder: Path, vocabulary: Vocabulary) -> None:
    from gguf import GGUFWriter

    folder.mkdir()
    writer = GGUFWriter(folder / "small.gguf", "llama")
    model: Any = json.loads(vocabulary.to_tokenizers().to_str())["model"]
    tokens = [*sorted(model["vocab"], key=model["vocab"].get), "<|endoftext|>"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([1] * (len(tokens) - 1) + [3])
    writer.add_token_merges([one if isinstance(one, str) else " ".join(one) for one in model["merges"]])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _write_safetensors(folder: Path) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    folder.mkdir()
    tensors = {f"layers.{k}.weight": np.full((4, 8), k, dtype=np.float32) for k in range(4)}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    if struct.unpack("<Q", (folder / "model.safetensors").read_bytes()[:8])[0] < 100:
        raise RuntimeError("the header is too short")
