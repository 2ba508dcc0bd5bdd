"""Hostile strings: ids from a pruned vocabulary's files are those of tiktoken and of Hugging Face tokenizers.

Raw bytes that are no UTF-8 are compared twice: each piece with tiktoken's merges of one piece, and whole texts by what
their ids decode to. tiktoken's own `_encode_bytes` takes all from the first invalid byte on as one piece, so that it
is no judge of how such a text is split.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import tiktoken
import tiktoken.load
import tokenizers

import vocab
from trials.bench import Bench, released
from vocab.prune import prune
from vocab.reading import read_json
from vocab.vocabulary import Vocabulary

SIZES = {"cl100k_base": 4000, "llama3": 3000}
SPECIAL = "<|hostile|>"
BATCH = 400
MOST_RUN = 3000
WHITE = " \t\n\r\x0b\x0c\x85\xa0\u2028\u3000"


@dataclass(frozen=True)
class Files:
    """One pruned vocabulary as each runtime reads its files."""

    name: str
    ours: Vocabulary
    tiktoken: tiktoken.Encoding
    tokenizers: tokenizers.Tokenizer


def trials(bench: Bench) -> Iterator[str | None]:
    """Encode strings in batches, with one vocabulary after another; a trial is a string."""
    files = [_files(bench, name, size) for name, size in SIZES.items()]
    while True:
        for one in files:
            texts = [_text(bench.chance, one.ours) for _ in range(BATCH)]
            yield from _outcomes(one, texts)
            yield from _outcomes_of_bytes(one, [_raw(bench.chance, text) for text in texts[: BATCH // 4]])


def _files(bench: Bench, name: str, size: int) -> Files:
    place = bench.folder / name
    source = released("llama-models", "llama3/tokenizer.model") if name == "llama3" else name
    prune(source, size, method="rank", special=[SPECIAL]).save(place)
    path = next(place.glob("*.tiktoken"))
    settings = read_json(path.with_suffix(".json"))
    ranks, special = tiktoken.load.load_tiktoken_bpe(str(path)), settings["special_tokens"]
    encoding = tiktoken.Encoding(name, pat_str=settings["pat_str"], mergeable_ranks=ranks, special_tokens=special)
    return Files(name, vocab.load(place), encoding, tokenizers.Tokenizer.from_file(str(place / "tokenizer.json")))


def _outcomes(files: Files, texts: list[str]) -> Iterator[str | None]:
    """Lone surrogates tiktoken replaces as we do; tokenizers takes none, and always recognises special tokens."""
    ordinary = files.ours.encode_batch(texts)
    allowed = [files.ours.encode(text, allow_special=True) for text in texts]
    whole = [text.encode("utf-8", "surrogatepass").decode("utf-8", "replace") for text in texts]
    by_tokenizers = files.tokenizers.encode_batch(whole, add_special_tokens=False)
    for k, text in enumerate(texts):
        answers = {
            "tiktoken": ordinary[k] == files.tiktoken.encode_ordinary(text),
            "tiktoken with special tokens": allowed[k] == files.tiktoken.encode(text, allowed_special="all"),
            "tokenizers": text != whole[k] or allowed[k] == by_tokenizers[k].ids,
        }
        wrong = [name for name, agrees in answers.items() if not agrees]
        yield f"{files.name}: {', '.join(wrong)} differ on {text[:300]!a}" if wrong else None


def _outcomes_of_bytes(files: Files, raws: list[bytes]) -> Iterator[str | None]:
    encoder, ids = files.ours.encoder, files.ours.rank_ids
    starts = np.cumsum([0, *map(len, raws)], dtype=np.int64)
    blob = np.frombuffer(b"".join(raws), dtype=np.uint8)
    by_piece, sizes = encoder.encode_pretokens(blob, starts)  # those of piece k from starts[k] on
    whole, ends = files.ours.encode_documents(blob, starts)
    for k, raw in enumerate(raws):
        piece = by_piece[starts[k] : starts[k] + sizes[k]]
        if raw and ids[piece].tolist() != files.tiktoken._encode_single_piece(raw):
            yield f"{files.name}: tiktoken differs on the piece {raw[:300]!r}"
        elif files.ours.decode_bytes(whole[ends[k] : ends[k + 1]].tolist()) != raw:
            yield f"{files.name}: {raw[:300]!r} does not come back"
        else:
            yield None


def _text(chance: random.Random, vocabulary: Vocabulary) -> str:
    return "".join(chance.choice(PARTS)(chance, vocabulary) for _ in range(chance.randint(1, 4)))


def _raw(chance: random.Random, text: str) -> bytes:
    """A text with bytes changed, cut off or drawn, so that most are no UTF-8."""
    raw = bytearray(text.encode("utf-8", "surrogatepass")[:400])
    for _ in range(chance.randint(0, 4)):
        raw[chance.randint(0, len(raw)) : 0] = chance.randbytes(chance.randint(1, 3))
    return bytes(raw[chance.randint(0, 3) : len(raw) - chance.randint(0, 3)])


def code_points(chance: random.Random, _: Vocabulary) -> str:
    """Of all planes, surrogates among them; half of them of the first 3,000."""
    return "".join(chr(chance.randrange(chance.choice([3000, 0x110000]))) for _ in range(chance.randint(1, 40)))


def tokens(chance: random.Random, vocabulary: Vocabulary) -> str:
    """Tokens of the vocabulary that did not meet in its text, cut where merges do not expect it."""
    raw = b"".join(vocabulary[chance.randrange(vocabulary.n_tokens)] for _ in range(chance.randint(1, 12)))
    return raw[chance.randint(0, 2) :].decode("utf-8", "replace")


def special_look_alikes(chance: random.Random, _: Vocabulary) -> str:
    name = SPECIAL if chance.random() < 0.5 else "<|endoftext|>"
    at = chance.randrange(len(name))
    return chance.choice(
        [name, name * 2, name[:at], name[at:], name.upper(), name[:at] + " " + name[at:], name[:at] + "\u200b" + name]
    )


def long_runs(chance: random.Random, vocabulary: Vocabulary) -> str:
    part = chance.choice([chance.choice(WHITE), chance.choice("a0_=\u0301中👩'"), tokens(chance, vocabulary)[:7]])
    return part * chance.randint(1, MOST_RUN // max(1, len(part)) if chance.random() < 0.02 else 60)


def mixed_spaces(chance: random.Random, _: Vocabulary) -> str:
    return "".join(chance.choice(WHITE + "'sS1ǅa\u0301") for _ in range(chance.randint(1, 30)))


PARTS: list[Callable[[random.Random, Vocabulary], str]] = [
    code_points,
    tokens,
    special_look_alikes,
    long_runs,
    mixed_spaces,
]
