"""Coverage over sizes as a file: the order of ids, and how many tokens of each domain its first k make up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from vocab.interop.serving.token_uses import DomainCoverage, TokenUses
from vocab.vocabulary import Vocabulary
from vocab.writing import check_file, json_text, with_digest, write_text

_MOST_SENTENCES = 3


def write_curve(
    path: str | Path, source: Vocabulary, uses: TokenUses, always: Iterable[int], *, force: bool = False
) -> None:
    """Write the exact curve of coverage over every size as JSON.

    `order` holds ids as a set grows, `tokens` the tokens of each domain that its first k ids make up, of `total`.

    Args:
        path: the file.
        source: the target vocabulary.
        uses: of its ids.
        always: ids that come first.
        force: whether to replace the file.

    Raises:
        OutputError: the file exists and `force` is not set, or the disk refuses.
    """
    path = Path(path)
    check_file(path, force=force, make_folders=True)
    order = uses.order(always, source.rank_ids)
    curves = uses.curve(order)
    end = max(map(len, curves.values()))
    content: dict[str, Any] = {
        "source": source.name,
        "always": len(set(always)),
        "order": order[:end].tolist(),
        "total": dict(zip(uses.domains, uses.counted.sum(axis=1).tolist(), strict=True)),
        "tokens": curves,
    }
    write_text(path, json_text(with_digest(content), None))


def below(coverage: Sequence[DomainCoverage], least: float) -> list[str]:
    """A sentence for each domain of which less than a share is covered, on held-out tokens where there are some.

    Many domains are one sentence, which names those with the least coverage.
    """
    found = []
    for one in coverage:
        share, side = (one.counted, "") if one.held_out is None else (one.held_out, "held-out ")
        if share is not None and share < least:
            found.append((share, side, one.domain))
    if len(found) <= _MOST_SENTENCES:
        return [
            f"{domain}: only {share:.2%} of its {side}tokens are covered, less than {least:.2%}"
            for share, side, domain in found
        ]
    lowest = ", ".join(f"{domain} {share:.2%}" for share, _, domain in sorted(found)[:_MOST_SENTENCES])
    return [f"{len(found):,} of {len(coverage):,} domains are covered less than {least:.2%}, the lowest {lowest}"]
