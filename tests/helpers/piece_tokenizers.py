"""Small tokenizer.json files of pieces, as random as Hugging Face tokenizers takes them."""

import json
import random
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

ALPHABET = "ab▁é語\n<"
MARKED = ["▁▁", "▁▁▁", "▁▁▁▁"]
ADDED = ["\n\n", "<b>", *MARKED]
TO_MARK = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
METASPACES = [
    {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": is_cut}
    for scheme in ("first", "always", "never")
    for is_cut in (True, False)
]
NORMALIZERS: list[dict[str, Any] | None] = [
    None,
    {"type": "Strip", "strip_left": True, "strip_right": True},
    {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
    {"type": "Prepend", "prepend": "▁"},
]


def random_pieces(rng: random.Random, n: int = 60) -> list[str]:
    """All characters of the alphabet, and pieces that are two others each."""
    pieces = list(ALPHABET)
    while len(pieces) < n:
        pieces.append(rng.choice(pieces) + rng.choice(pieces))
        pieces = list(dict.fromkeys(piece for piece in pieces if len(piece) < 8))
    return pieces


def random_bpe(rng: random.Random, **more: Any) -> dict[str, Any]:
    """BPE whose ids and merges are in no order: some pairs are not listed, some twice; bytes are in the middle."""
    special = ["<pad>", "<unk>", "<s>"]
    pieces = list(dict.fromkeys([*random_pieces(rng), *ADDED]))
    others = pieces + [f"<0x{byte:02X}>" for byte in range(256)]
    rng.shuffle(others)
    ids = {text: k for k, text in enumerate([*special, *others])}
    known = set(pieces)
    pairs = [[p[:k], p[k:]] for p in pieces for k in range(1, len(p)) if p[:k] in known and p[k:] in known]
    merges = [*rng.sample(pairs, len(pairs) - len(pairs) // 10), *rng.sample(pairs, 5)]
    rng.shuffle(merges)
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    added = [{"id": ids[text], "content": text, **plain, "special": text in special} for text in [*special, *ADDED]]
    model = {
        "type": "BPE",
        "unk_token": "<unk>",
        "fuse_unk": True,
        "byte_fallback": True,
        "vocab": ids,
        "merges": merges,
    }
    return {
        "added_tokens": sorted(added, key=lambda token: token["id"]),
        "normalizer": TO_MARK,
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": None,
        "model": model,
        **more,
    }


def random_texts(rng: random.Random, n: int = 100) -> list[str]:
    """Texts of the alphabet, spaces, runs of both, and characters that no piece spells."""
    parts = [*ALPHABET, " ", "  ", "    ", "\t", "x", "<b>", "\n\n", "e\u0301", "😀", "\u3000"]
    return ["", " ", *("".join(rng.choices(parts, k=rng.randint(1, 40))) for _ in range(n))]


def written(settings: dict[str, Any], folder: Path) -> Path:
    """The file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tokenizer.json"
    path.write_text(json.dumps({"version": "1.0", **settings}), encoding="utf-8")
    return path


def ids_by_tokenizers(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    """Ids that tokenizers gives, with nothing put around a text."""
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
