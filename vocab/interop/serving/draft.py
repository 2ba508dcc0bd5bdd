"""Draft vocabularies for speculative decoding: the few ids of a target model that its draft model can propose.

Draft id k is the k-th of these target ids, which rise. So d2t and t2d of EAGLE-3 checkpoints hold the same ids.
Sources: SafeAILab/EAGLE and SpecForge (t2d selects rows of the target's head in order), vLLM `llama_eagle3.py`
(target = draft + d2t[draft]), SGLang `llama_eagle3.py` (likewise) and `load_token_map` (a list of hot token ids).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vocab.errors import SourceError, TargetError
from vocab.formats import load_lossless
from vocab.formats.id_map import IdMap, read_id_map
from vocab.interop.serving.token_uses import TokenUses
from vocab.reading import read_json
from vocab.vocabulary import Vocabulary

REPORT = "report.json"


@dataclass(frozen=True, eq=False)
class DraftVocabulary:
    """Target ids that can be drafted.

    Attributes:
        target_ids: int64[n_draft], rising; the draft id of each is its index.
        n_target: ids of the target's vocabulary, its highest + 1.
        source: the target vocabulary's name.
        source_sha256: of the file that it was read from, where that is known.
        tokens_sha256: of the drafted ids with their tokens. Another vocabulary of the same size has another.
    """

    target_ids: npt.NDArray[np.int64]
    n_target: int
    source: str
    source_sha256: str | None
    tokens_sha256: str

    @property
    def d2t(self) -> npt.NDArray[np.int64]:
        """The number to add to each draft id to get the target's id, int64[n_draft]."""
        return self.target_ids - np.arange(self.target_ids.size)

    def t2d(self, n_rows: int | None = None) -> npt.NDArray[np.bool_]:
        """Which target ids can be drafted.

        Args:
            n_rows: rows of the target's output head, at least `n_target`; None for `n_target`.

        Returns:
            bool[n_rows], False for rows beyond `n_target`.

        Raises:
            TargetError: there are fewer rows than ids.
        """
        n_rows = self.n_target if n_rows is None else n_rows
        if n_rows < self.n_target:
            raise TargetError(
                f"the target has {self.n_target:,} ids ({self.source}), which {n_rows:,} rows cannot hold"
            )
        mask = np.zeros(n_rows, dtype=np.bool_)
        mask[self.target_ids] = True
        return mask


def digest(ids_and_tokens: Iterable[tuple[int, bytes]]) -> str:
    """The sha256 of ids with their tokens' bytes, in the order of ids."""
    state = hashlib.sha256()
    for id_, token in sorted(ids_and_tokens):
        state.update(b"%d:%d:" % (id_, len(token)) + token)
    return state.hexdigest()


def bytes_by_id(vocabulary: Vocabulary) -> Mapping[int, bytes]:
    """Bytes of every token by id; of a special token those of its text."""
    special = {id_: text.encode() for text, id_ in vocabulary.special_tokens.items()}
    return vocabulary.tokens_by_id | special


def draft_of_result(directory: str | Path) -> DraftVocabulary:
    """The kept ids of a pruning as a draft vocabulary of its source; tokens that the source lacks are left out.

    Args:
        directory: folder that `vocab prune` wrote.

    Raises:
        SourceError: the folder is not a whole result.
    """
    directory = Path(directory)
    ids: IdMap = read_id_map(directory)
    source: Mapping[str, Any] = read_json(directory / REPORT).get("source", {})
    tokens = bytes_by_id(load_lossless(directory))
    if any(new not in tokens for new in ids.kept.values()):
        raise SourceError(f"{directory} has an id map that is not of its tokenizer")
    return DraftVocabulary(
        target_ids=np.array(sorted(ids.kept), dtype=np.int64),
        n_target=ids.n_old,
        source=ids.source,
        source_sha256=source.get("sha256"),
        tokens_sha256=digest((old, tokens[new]) for old, new in ids.kept.items()),
    )


def draft_of_most_used(source: Vocabulary, size: int, uses: TokenUses) -> DraftVocabulary:
    """The target ids that are used most, and all special tokens.

    Of equally used tokens lower ids go first. No other vocabulary of that size with all special tokens covers more of
    what was counted.

    Args:
        source: the target vocabulary.
        size: number of draft ids, special tokens included.
        uses: of its ids.

    Raises:
        TargetError: the size does not exceed the number of special tokens, or exceeds the vocabulary.
    """
    special = sorted(source.special_tokens.values())
    if not len(special) < size <= source.n_ids:
        raise TargetError(
            f"a draft vocabulary of {source.name} has from {len(special) + 1:,} to {source.n_ids:,} ids, "
            f"special tokens included, not {size:,}"
        )
    target_ids = np.sort(uses.order(special, source.rank_ids)[:size])
    tokens = bytes_by_id(source)
    return DraftVocabulary(
        target_ids=target_ids,
        n_target=source.max_id + 1,
        source=source.name,
        source_sha256=source.provenance.sha256,
        tokens_sha256=digest((k, tokens[k]) for k in target_ids.tolist()),
    )


def check_draft(draft: DraftVocabulary, source: Vocabulary, name: str) -> None:
    """Raise SourceError unless a draft vocabulary is one of this target's, token by token."""
    tokens = bytes_by_id(source)
    ids = draft.target_ids.tolist()
    is_of_size = draft.n_target == source.max_id + 1 and all(k in tokens for k in ids)
    if not is_of_size or digest((k, tokens[k]) for k in ids) != draft.tokens_sha256:
        raise SourceError(
            f"{name} is a draft vocabulary of another target ({draft.source}, {draft.n_target:,} ids) than "
            f"{source.name} ({source.max_id + 1:,} ids)"
        )
