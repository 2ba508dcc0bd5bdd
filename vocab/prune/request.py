"""What is asked of a pruning, checked before anything long begins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vocab.choices import InferenceMethod, Method
from vocab.corpus.counting import CorpusCounts
from vocab.encoding.encoder import CHARACTER_METHODS
from vocab.errors import CorpusError, TargetError
from vocab.formats.tokenizer_json import is_token_text
from vocab.prune.candidates.pool import Candidates, Pool
from vocab.vocabulary import Vocabulary

Alive = npt.NDArray[np.bool_]


def check_request(
    source: Vocabulary,
    target: int,
    *,
    keep: Sequence[bytes] = (),
    special: Sequence[str] = (),
    candidates: Candidates | None = None,
) -> tuple[list[str], Alive, int]:
    """Special tokens of the result, protected tokens (bool[n_tokens]) and how many ordinary ones to keep.

    Cheap, so that a request that cannot be met is refused before a corpus is counted. Raises TargetError.
    """
    if source.inference in CHARACTER_METHODS and candidates is not None and not candidates.are_only_own:
        raise TargetError(
            f"{source.name} comes from SentencePiece, where other candidates have no scores and documents of a "
            "token are not counted: leave out --candidates and --min-documents"
        )
    all_special = _all_special(source, special)
    protected = _protected(source, keep)
    may_add = candidates is not None and len(candidates.others) > 0
    return all_special, protected, _checked_target(source, target, len(all_special), protected, may_add=may_add)


def inference_for(source: Vocabulary, wanted: InferenceMethod | None, method: Method = "distill") -> InferenceMethod:
    """The method that the result is run with; raises TargetError for one that the source's format cannot have."""
    if source.inference not in CHARACTER_METHODS:
        if wanted in CHARACTER_METHODS:
            raise TargetError(f"{wanted} needs a source from SentencePiece, which {source.name} is not")
        return wanted or "merges"
    if wanted not in (None, source.inference):
        raise TargetError(f"{source.name} comes from SentencePiece, which runs {source.inference}, not {wanted}")
    if method in ("optimal", "tokenmonster"):
        raise TargetError(f"the method {method} is not for a source from SentencePiece: choose another with --method")
    if method == "leaf" and source.inference == "unigram":
        raise TargetError(f"the method leaf goes by merges, which {source.name} has none of: choose another")
    return source.inference


def check_refit(refit: bool, inference: InferenceMethod) -> None:
    """Raise TargetError where scores are to be fitted and there are none."""
    if refit and inference != "unigram":
        raise TargetError(f"--refit fits the scores of unigram, which {inference} does not have")


def check_has_bound(source: Vocabulary) -> None:
    """Raise TargetError for a source whose tokens may not be cut from any text in any way."""
    if source.inference in CHARACTER_METHODS:
        raise TargetError(f"no bound is known for {source.name}, which comes from SentencePiece")


def check_corpus(source: Vocabulary, corpus: CorpusCounts) -> None:
    """Raise CorpusError unless the corpus was counted with the split pattern of the source."""
    if corpus.parts[0].train.pattern_sha256 != source.pattern.sha256:
        raise CorpusError(
            f"the corpus was counted with another split pattern than that of {source.name}: count it again"
        )


def check_pool(pool: Pool, n_keep: int, target: int) -> None:
    """Raise TargetError when there are fewer candidates than tokens to keep."""
    if (n := pool.vocabulary.n_tokens) < n_keep:
        few = f" in {pool.min_documents} documents or more" if pool.min_documents > 1 else ""
        raise TargetError(
            f"target {target} cannot be met: there are {n:,} candidates{few}, and {n_keep:,} ordinary tokens are wanted"
        )


def _all_special(source: Vocabulary, new: Sequence[str]) -> list[str]:
    """Special tokens of the result: the source's in id order, then the new ones."""
    old = sorted(source.special_tokens, key=source.special_tokens.__getitem__)
    for text in new:
        if not text:
            raise TargetError("a special token cannot be empty")
        if is_token_text(source, text):
            raise TargetError(f"the special token {text!r} reads like an ordinary token in tokenizer.json: rename it")
        if text in old or list(new).count(text) > 1:
            raise TargetError(f"the special token {text!r} is there already")
    return [*old, *new]


def _protected(source: Vocabulary, keep: Sequence[bytes]) -> Alive:
    """Tokens that no method may drop, bool[n_tokens]: single bytes and those asked for."""
    protected: Alive = source.lengths == 1
    for token in keep:
        if token not in source.token_ids:
            raise TargetError(f"the token to keep {token!r} is not in {source.name}")
        protected[source.token_ids[token] - source.first_id] = True
        if source.inference in CHARACTER_METHODS:  # without its characters it could not be merged
            protected[[source.token_ids[c.encode()] - source.first_id for c in token.decode()]] = True
    return protected


def _checked_target(source: Vocabulary, target: int, n_special: int, protected: Alive, *, may_add: bool) -> int:
    """How many ordinary tokens to keep; raises TargetError when the target cannot be met."""
    n_fixed = int(np.count_nonzero(protected))
    if target < n_fixed + n_special:
        raise TargetError(
            f"target {target} is too small: {n_fixed} single bytes and tokens to keep and {n_special} special tokens "
            f"are always kept, so the least is {n_fixed + n_special}"
        )
    largest = source.n_tokens + n_special
    if target == largest and not may_add:
        raise TargetError(f"target {target} is the size of {source.name} itself: there is nothing to prune")
    if target > largest and not may_add:
        raise TargetError(
            f"target {target} is above the {largest} ids of {source.name}: pruning adds none but --candidates"
        )
    return target - n_special
