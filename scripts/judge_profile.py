"""Judge the built-in profile on the domains left out of its build: tokens against the first ranks of cl100k_base.

    python scripts/judge_profile.py --text TEXT [--target 32000]

Uses every document of the left-out domains, and prints one line a domain and the mean.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import fmean

from vocab.choices import InferenceMethod
from vocab.corpus.counting import CorpusCounts, count_documents
from vocab.corpus.documents import read_documents
from vocab.formats import load
from vocab.pretokens.counts import merge
from vocab.prune import prune
from vocab.vocabulary import Vocabulary


def n_tokens(vocabulary: Vocabulary, corpus: CorpusCounts) -> int:
    """Tokens of a whole corpus, held-out documents included."""
    counts = merge([corpus.train, corpus.held_out])
    _, sizes = vocabulary.encoder.encode_pretokens(counts.blob, counts.starts)
    return int((counts.counts * sizes).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--text", type=Path, required=True, help="folder that fetch_text.py wrote")
    parser.add_argument("--target", type=int, default=32_000)
    parser.add_argument("--inference", choices=["merges", "least-tokens"], default="merges")
    options = parser.parse_args()
    inference: InferenceMethod = options.inference
    source = load("cl100k_base")
    ours = prune(source, options.target, inference=inference).vocabulary
    rank = prune(source, options.target, method="rank", inference=inference).vocabulary
    manifest = Path(__file__).parents[1] / "vocab" / "corpus" / "profile_manifest.json"
    changes = []
    for name in json.loads(manifest.read_text(encoding="utf-8"))["left_out_for_judging"]:
        path = options.text / f"{name}.jsonl.zst"
        corpus = CorpusCounts((count_documents(read_documents(str(path)), name, source.pattern),))
        counted = [n_tokens(v, corpus) for v in (source, rank, ours)]
        changes.append(counted[2] / counted[1] - 1)
        print(f"{name:<12} {changes[-1]:+.2%} tokens against rank; against all of cl100k_base: ", end="")
        print(f"rank {counted[1] / counted[0] - 1:+.2%}, profile {counted[2] / counted[0] - 1:+.2%}")
    print(f"mean {fmean(changes):+.2%}, worst {max(changes):+.2%}")


if __name__ == "__main__":
    main()
