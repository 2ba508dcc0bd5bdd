"""Build the built-in corpus profile, vocab/corpus/profile.parquet, from text that `fetch_text.py` collected.

    python scripts/fetch_text.py --out TEXT
    python scripts/build_profile.py --text TEXT

Each domain is capped to its most frequent pre-tokens and weighted; the domains in JUDGED are left out of the build, and
`judge_profile.py` measures on them. Writes profile_manifest.json beside the profile: every source with version,
licence, sha256 and bytes.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from vocab.corpus.counting import CorpusCounts, CorpusPart, count_documents, is_held_out
from vocab.corpus.documents import read_documents
from vocab.corpus.profile import write_profile
from vocab.pretokens.counts import PretokenCounts
from vocab.splitting import CL100K_REGEX, SplitPattern

# Left out of the build, so that the profile can be judged on text it has never seen.
JUDGED = ("code-asm", "code-shell", "code-sql", "lang-bg", "lang-ca", "lang-cs", "lang-id", "lang-nl", "lang-sv")
# Text in several hundred languages at once: too thin to teach anything about one of them.
IGNORED = ("lang-other",)

# Share of each kind in the weighted profile; within a kind, domains share by the square root of their bytes.
SHARES = {"books-en": 0.05, "docs-technical": 0.12, "markup": 0.08, "code": 0.45, "lang": 0.30}
# How much the source's own rank order counts beside the profile; see docs/profile.md for how it was tuned.
PRIOR = 1.5
MAX_PRETOKENS = {"lang": 9_000}
DEFAULT_MAX_PRETOKENS = 32_000
HELD_OUT_BYTES = 60_000
WEIGHT_UNITS = 8  # weight of the domain that weighs least


def kind_of(domain: str) -> str:
    """The kind of a domain, as SHARES names it."""
    return domain.split("-")[0] if domain.startswith(("code-", "lang-")) else domain


def sampled(documents: Iterator[str]) -> Iterator[str]:
    """All training documents, and held-out ones up to HELD_OUT_BYTES."""
    room = HELD_OUT_BYTES
    for document in documents:
        text = document.encode()
        if not is_held_out(text):
            yield document
        elif len(text) <= room:
            room -= len(text)
            yield document


def most_frequent(counts: PretokenCounts, n: int) -> PretokenCounts:
    """The n most frequent pre-tokens, equal ones in byte order, without those that occur once."""
    order = np.argsort(-counts.counts.astype(np.int64), kind="stable")[:n]
    order = np.sort(order[counts.counts[order] > 1])
    pretokens = counts.pretokens()
    kept = {pretokens[k]: int(counts.counts[k]) for k in order.tolist()}
    return PretokenCounts.from_mapping(kept, counts.pattern_sha256)


def weights(parts: list[CorpusPart]) -> dict[str, int]:
    """Whole-number weights that give each kind its share of the weighted bytes."""
    roots = {part.name: math.sqrt(part.train.n_bytes) for part in parts}
    totals: dict[str, float] = {}
    for name, root in roots.items():
        totals[kind_of(name)] = totals.get(kind_of(name), 0.0) + root
    exact = {
        part.name: SHARES[kind_of(part.name)] * roots[part.name] / totals[kind_of(part.name)] / part.train.n_bytes
        for part in parts
    }
    least = min(exact.values())
    return {name: max(1, round(WEIGHT_UNITS * weight / least)) for name, weight in exact.items()}


def build(text: Path, left_out: tuple[str, ...] = JUDGED) -> CorpusCounts:
    """Count, cap and weigh all domains but those left out."""
    pattern = SplitPattern(CL100K_REGEX)
    parts = []
    for path in sorted(text.glob("*.jsonl.zst")):
        name = path.name.removesuffix(".jsonl.zst")
        if name in left_out or name in IGNORED:
            continue
        part = count_documents(sampled(read_documents(str(path))), name, pattern)
        limit = MAX_PRETOKENS.get(kind_of(name), DEFAULT_MAX_PRETOKENS)
        parts.append(replace(part, train=most_frequent(part.train, limit)))
    weight = weights(parts)
    return CorpusCounts(tuple(replace(part, weight=weight[part.name]) for part in parts), PRIOR, is_builtin=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--text", type=Path, required=True, help="folder that fetch_text.py wrote")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "vocab" / "corpus")
    options = parser.parse_args()
    corpus = build(options.text)
    write_profile(corpus, options.out / "profile.parquet")
    manifest = json.loads((options.text / "manifest.json").read_text(encoding="utf-8"))
    names = {part.name for part in corpus.parts}
    manifest["domains"] = {name: facts for name, facts in manifest["domains"].items() if name in names}
    manifest["left_out_for_judging"] = list(JUDGED)
    text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    (options.out / "profile_manifest.json").write_text(text, encoding="utf-8")
    size = (options.out / "profile.parquet").stat().st_size
    print(f"{len(corpus.parts)} domains, {corpus.train.n_pretokens:,} pre-tokens, {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
