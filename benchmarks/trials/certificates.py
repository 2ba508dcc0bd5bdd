"""Changes of certificates by chance: each is refused in one sentence, or is another true proof.

With new digests a change may make another proof, such as of a token that nobody chose. It is never one for the report
of the original.
"""

from __future__ import annotations

import hashlib
import io
import json
import random
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

import vocab
from trials.bench import Bench
from vocab.prune import best_possible, check_certificate, prune
from vocab.prune.bound.certificate import Certificate
from vocab.prune.bound.optimal import Limits
from vocab.splitting import SplitPattern
from vocab.vocabulary import Provenance, Vocabulary

NAMES = ("counts", "candidates", "prices")
# What a claim may be changed to.
STRANGE = [
    None,
    True,
    0,
    -1,
    1,
    1.0,
    1e308,
    float("nan"),
    "1",
    "",
    [],
    {},
    [[]],
    1 << 62,
    1 << 63,
    -(1 << 70),
    10**4000,
]

Texts = dict[str, bytes]


def trials(bench: Bench) -> Iterator[str | None]:
    """Change a true certificate in one way after another, and check each."""
    path = bench.folder / "changed.zip"
    originals = [(original, *_accepted(path, original)) for original in _originals(bench)]
    while True:
        change = bench.chance.choice(CHANGES)
        original, report, said = bench.chance.choice(originals)
        path.write_bytes(change(original, bench.chance))
        yield _outcome(path, report, said, change.__name__)


def _accepted(path: Path, original: Texts) -> tuple[Path, tuple[Any, ...]]:
    """A report of a true certificate, and what it says."""
    path.write_bytes(_zipped(original))
    header = check_certificate.check(str(path))
    report = path.with_name(f"report-{header['inference']}.json")
    report.write_text(json.dumps({"certificate": json.loads(original["header.json"])}), encoding="utf-8")
    return report, _said(path)


def _outcome(path: Path, report: Path, said: tuple[Any, ...], change: str) -> str | None:
    try:
        check_certificate.check(str(path))
    except check_certificate.RejectedError as error:
        sentence = str(error)
        return (
            None if sentence.isprintable() and len(sentence) < 1000 else f"{change}: no one sentence: {sentence[:99]!r}"
        )
    except BaseException as error:  # noqa: BLE001 - any other error is what the trial looks for
        return f"{change}: {type(error).__name__}: {str(error)[:99]}"
    now = _said(path)
    if now != said and not _is_refused(path, report):
        return f"{change}: accepted for the report of another certificate"
    if now[0]["bound_tokens"] > now[0]["tokens"]:
        return f"{change}: accepted, though its bound is above its own tokens"
    return None


def _is_refused(path: Path, report: Path) -> bool:
    try:
        check_certificate.check(str(path), str(report))
    except check_certificate.RejectedError:
        return True
    return False


def _said(path: Path) -> tuple[Any, ...]:
    """Proven claims, counts, states and prices. The order of lines says nothing under least-tokens."""
    header, *texts = check_certificate.read(str(path))
    return {name: header[name] for name in (*check_certificate.INTEGERS, "inference", "gap")}, *texts


def _originals(bench: Bench) -> list[Texts]:
    """Certificates of small vocabularies on a little text, of bytes and of pieces, in which every claim is tight."""
    cl100k = vocab.load("cl100k_base")
    source = Vocabulary.from_tokens(list(cl100k.tokens())[:420], cl100k.pattern)
    text = bench.write_text(bench.folder / "text.txt", 4_000)
    limits = Limits(max_steps=40)
    proofs = [best_possible(source, 275, corpus=vocab.count(text, source.pattern), limits=limits)]
    for inference in ("scored-merges", "unigram"):
        pieces = _pieces(list(source.tokens()), inference)
        corpus = vocab.count(text, pieces.pattern)
        proof = prune(pieces, pieces.n_ids - 130, corpus=corpus, certify=True, limits=limits).certificate
        proofs += [proof] if proof else []
    originals = [_members(proof) for proof in proofs]
    if len(originals) < 3 or not all(all(original.values()) for original in originals):
        raise RuntimeError("a certificate has a text without a line: nothing in it could be changed")
    return originals


def _pieces(tokens: list[bytes], inference: Literal["scored-merges", "unigram"]) -> Vocabulary:
    """The same tokens as pieces with scores, beside those of bytes."""
    texts = [token.decode() for token in tokens if token.isascii()]
    pattern = SplitPattern.of_sentencepiece(texts, dummy_prefix=False)
    both = [bytes([k]) for k in range(256)] + [text.encode() for text in texts]
    scores = [0.0] * 256 + [-k / 8 for k in range(len(texts))]
    found = Vocabulary.from_tokens(
        both, pattern, {"<unk>": 0}, inference, Provenance("pieces", None, "sentencepiece"), 1
    )
    return replace(found, scores=np.array(scores, np.float32), byte_fallback=True, unknown="<unk>")


def _members(proof: Certificate) -> Texts:
    with zipfile.ZipFile(io.BytesIO(proof.as_zip())) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _zipped(content: Texts) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in content.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def _with_digests(content: Texts) -> bytes:
    """The file with digests that fit, so that what was changed is looked at itself."""
    header = json.loads(content["header.json"])
    digests = {f"{name}_sha256": hashlib.sha256(content[f"{name}.txt"]).hexdigest() for name in NAMES}
    return _zipped(content | {"header.json": json.dumps(header | digests).encode()})


def flipped_bits(content: Texts, chance: random.Random) -> bytes:
    raw = bytearray(_zipped(content))
    for _ in range(chance.randint(1, 4)):
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
    return bytes(raw)


def cut_short(content: Texts, chance: random.Random) -> bytes:
    raw = _zipped(content)
    begin = chance.choice([0, chance.randrange(len(raw))])
    return raw[begin : begin + chance.randrange(len(raw))]


def strange_claim(content: Texts, chance: random.Random) -> bytes:
    header = json.loads(content["header.json"])
    header[chance.choice(sorted(header))] = chance.choice(STRANGE)
    return _zipped(content | {"header.json": json.dumps(header).encode()})


def claim_off_by_little(content: Texts, chance: random.Random) -> bytes:
    header = json.loads(content["header.json"])
    header[chance.choice(["tokens", "bound_tokens", "bound_numerator", "unit", "n_keep", "n_candidates", "gap"])] += (
        chance.choice([-2, -1, 1, 2])
    )
    return _zipped(content | {"header.json": json.dumps(header).encode()})


def changed_digits(content: Texts, chance: random.Random) -> bytes:
    """Some bytes of a text changed to others that it may hold, with digests that fit."""
    name = f"{chance.choice(NAMES)}.txt"
    text = bytearray(content[name])
    for _ in range(chance.randint(1, 3)):
        text[chance.randrange(len(text))] = chance.choice(b"0123456789abcdef :,\n-+.")
    return _with_digests(content | {name: bytes(text)})


def changed_lines(content: Texts, chance: random.Random) -> bytes:
    """A line of a text left out, there twice or exchanged with another, with digests that fit."""
    name = f"{chance.choice(NAMES)}.txt"
    lines = content[name].splitlines(keepends=True)
    a, b = chance.randrange(len(lines)), chance.randrange(len(lines))
    what = chance.randrange(3)
    if what == 0:
        del lines[a]
    elif what == 1:
        lines.insert(b, lines[a])
    else:
        lines[a], lines[b] = lines[b], lines[a]
    return _with_digests(content | {name: b"".join(lines)})


def other_members(content: Texts, chance: random.Random) -> bytes:
    name = chance.choice(sorted(content))
    kept = {other: text for other, text in content.items() if other != name}
    return _zipped(kept | chance.choice([{}, {name.upper(): content[name]}, {name: b"[" * 50_000}, {"../x": b""}]))


CHANGES: list[Callable[[Texts, random.Random], bytes]] = [
    flipped_bits,
    cut_short,
    strange_claim,
    claim_off_by_little,
    changed_digits,
    changed_lines,
    other_members,
]
