"""Text to ids: ranks of the encoder become ids, and added tokens in the text become theirs."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from vocab.arrays import Ints, end_to_end, in_groups
from vocab.encoding.encoder import Encoder
from vocab.markers import MARKER_BYTE
from vocab.splitting import SplitPattern
from vocab.splitting.added_texts import AddedText
from vocab.splitting.preparation import MARK
from vocab.splitting.split_step import SplitStep
from vocab.splitting.steps import SplitSteps
from vocab.threads import n_cores
from vocab.utf8 import utf8

# The least bytes for which starting another thread pays.
_THREAD_BYTES = 1 << 18


@dataclass(frozen=True, kw_only=True, eq=False)
class IdEncoder:
    """Encodes text to ids.

    Added tokens are found in one of three ways. With `added_texts`, as tokenizers finds them. Among the tokens, as in
    sentencepiece's Unigram. Or by their text alone, before anything else.

    Attributes:
        encoder: gives ranks, and numbers above them for `numbered`.
        pattern: the split pattern.
        rank_ids: id of each ordinary token by its rank, int64[n_tokens].
        special_tokens: id of each added token by its text.
        user_defined: those of them that are recognised in every text.
        added_texts: how they are found in text.
        numbered: ids of the added tokens to which the encoder gives numbers, in the order of these.
    """

    encoder: Encoder
    pattern: SplitPattern
    rank_ids: Ints
    special_tokens: Mapping[str, int]
    user_defined: frozenset[str]
    added_texts: tuple[AddedText, ...]
    numbered: Mapping[str, int]

    def encode(self, text: str, *, allow_special: bool = False) -> list[int]:
        """Ids of a text; with `allow_special` the texts of special tokens become their ids."""
        if not allow_special or not self.special_tokens:
            return self._encode_text(text)
        if self.added_texts:
            prepared = self._with_special.prepared(utf8(text))
            return self._listed(self.encoder.encode_pieces(prepared, self._with_special.ends(prepared)))
        ids: list[int] = []
        for k, part in enumerate(self._control_regex.split(text) if self._control_regex else [text]):
            ids += [self.special_tokens[part]] if k % 2 else self._encode_text(part)
        return ids

    def encode_to_numpy(self, text: str) -> npt.NDArray[np.int32]:
        """Ids of a text as an array, special tokens not recognised."""
        if self._cuts_by_text:
            return np.array(self._encode_text(text), dtype=np.int32)
        return self._as_ids(self.encoder.encode(utf8(text)))

    def encode_documents(
        self, text: npt.NDArray[np.uint8], doc_starts: npt.NDArray[np.int64], n_threads: int = 1
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Ids of many documents in one buffer, as `Encoder.encode_documents`."""
        numbers, firsts = self.encoder.encode_documents(text, doc_starts, n_threads)
        return self._as_ids(numbers), firsts

    def encode_batch(self, texts: Sequence[str], n_threads: int | None = None) -> list[list[int]]:
        """Ids of each text, special tokens not recognised; on every core, or so many threads."""
        if self._cuts_by_text:
            return [self._encode_text(text) for text in texts]
        encoded: list[list[int]] = []
        for raw in in_groups([utf8(text) for text in texts]):
            blob, starts = end_to_end(raw)
            most = 1 + blob.size // _THREAD_BYTES
            ids, firsts = self.encode_documents(blob, starts, min(n_threads or n_cores(), most))
            listed = ids.tolist()
            encoded += [listed[a:b] for a, b in itertools.pairwise(firsts.tolist())]
        return encoded

    def has_special(self, text: str) -> bool:
        """Whether a text holds the text of a special token; with `added_texts`, of one that is not text itself."""
        return self._looked_for is not None and self._looked_for.search(text) is not None

    def restored(self, text: str) -> str:
        """What the ids of a text decode to: the text, as the normalizer, added tokens and lacking bytes leave it."""
        lacking = self.encoder.lacking
        if not self.pattern.steps and not lacking:
            return text
        prepared = self.pattern.prepared(utf8(text))
        return prepared.translate(None, lacking + MARKER_BYTE).decode(errors="replace")

    @property
    def _cuts_by_text(self) -> bool:
        """Whether added tokens are found by their text alone, before anything else."""
        return bool(self.user_defined) and not self.added_texts and not self.numbered

    def _encode_text(self, text: str) -> list[int]:
        if not self._cuts_by_text:
            return self._listed(self.encoder.encode(utf8(text)))
        prepared = self.pattern.prepared(utf8(text)).decode()
        ids: list[int] = []
        for k, part in enumerate(self._user_defined_regex.split(prepared)):
            if k % 2:
                ids.append(self._user_defined_ids[part])
            else:
                ids += self._listed(self.encoder.encode_prepared(part.encode()))
        return ids

    def _listed(self, numbers: npt.NDArray[np.int32]) -> list[int]:
        listed: list[int] = self._as_ids(numbers).tolist()
        return listed

    def _as_ids(self, numbers: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """The ids of what the encoder gives; that itself where it gives ids."""
        if self._first_id == 0:
            return numbers
        if self._first_id is not None:
            return numbers + np.int32(self._first_id)
        return self._ids[numbers].astype(np.int32, copy=False)

    @cached_property
    def _first_id(self) -> int | None:
        """The id of rank 0 where ids follow ranks and there are no other numbers: adding it is faster."""
        first = int(self.rank_ids[0]) if self.rank_ids.size else 0
        in_order = bool((np.diff(self.rank_ids) == 1).all())
        return first if in_order and not self.numbered else None

    @cached_property
    def _ids(self) -> Ints:
        """Ids by rank, and those of `numbered` after them."""
        return np.concatenate([self.rank_ids, np.array([*self.numbered.values()], dtype=np.int64)])

    @cached_property
    def _with_special(self) -> SplitPattern:
        """The split pattern, with special tokens recognised as well."""
        steps = self.pattern.steps or SplitSteps(steps=(SplitStep(self.pattern.regex),))
        known = {added.text: added for added in self.added_texts}
        added = tuple(known.get(text) or AddedText(text) for text in {**self.special_tokens, **self.numbered})
        return SplitPattern.of_steps(replace(steps, added=added))

    @cached_property
    def _looked_for(self) -> re.Pattern[str] | None:
        """What `has_special` looks for; None for nothing."""
        if not self.added_texts:
            return _any_of(self.special_tokens) if self.special_tokens else None
        everywhere = {added.text for added in self.pattern.steps.added} if self.pattern.steps else set()
        texts = [text for text in self.numbered if text not in self.user_defined | everywhere]
        return _any_of(texts) if texts else None

    @cached_property
    def _control_regex(self) -> re.Pattern[str] | None:
        """Finds special tokens that are not text; None where there are none."""
        control = [text for text in self.special_tokens if text not in self.user_defined]
        return _any_of(control) if control else None

    @cached_property
    def _user_defined_regex(self) -> re.Pattern[str]:
        return _any_of(self._user_defined_ids)

    @cached_property
    def _user_defined_ids(self) -> dict[str, int]:
        """By their texts, with a space for ▁."""
        return {text.replace(MARK, " "): self.special_tokens[text] for text in self.user_defined}


def _any_of(texts: Iterable[str]) -> re.Pattern[str]:
    """Finds the longest of these texts; as a group, so that `split` keeps it."""
    longest_first = sorted(texts, key=len, reverse=True)
    return re.compile("(" + "|".join(map(re.escape, longest_first)) + ")")
