"""The id map of a conversion that is not exact."""

from __future__ import annotations

from typing import Any

from vocab.analysis.spelling import spellings
from vocab.vocabulary import Vocabulary


def id_map(before: Vocabulary, after: Vocabulary) -> dict[str, Any]:
    """Map the ids of a vocabulary to those of another by their tokens, in the form of id_map.json."""
    tokens = before.tokens_by_id
    kept = {old: after.token_ids[token] for old, token in tokens.items() if token in after.token_ids}
    special = {id_: after.special_tokens[text] for text, id_ in before.special_tokens.items()}
    dropped = {old: token for old, token in tokens.items() if old not in kept}
    known = set(kept.values()) | set(special.values())
    added = {k: token for k, token in after.tokens_by_id.items() if k not in known}
    return {
        "source": before.name,
        "n_old": before.max_id + 1,
        "n_new": after.n_ids,
        "kept": {str(old): new for old, new in sorted((kept | special).items())},
        "dropped": spellings(after, dropped),
        "added": spellings(before, added),
    }
