"""`tokenizer.json` of Hugging Face tokenizers: byte-level BPE, and the models that carry our other inference methods.

merges is BPE with every split of every token and whole-piece look-up (`ignore_merges`), which equals tiktoken;
least-tokens is Unigram with equal scores, whose Viterbi then finds the fewest tokens; longest-prefix is WordPiece with
an empty continuation prefix. All split by pattern first and write bytes in GPT-2's alphabet.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors

from vocab.choices import InferenceMethod
from vocab.encoding.encoder import CHARACTER_METHODS, merge_parents
from vocab.errors import SourceError
from vocab.formats import sentencepiece_json, wordpiece
from vocab.formats.byte_alphabet import to_bytes, to_characters
from vocab.formats.runtime_tokenizer import RuntimeTokenizer
from vocab.splitting import GPT2_REGEX, SplitPattern
from vocab.vocabulary import Provenance, Vocabulary
from vocab.writing import write_text

_OTHER_KINDS_OF_BPE = ("byte_fallback", "continuing_subword_prefix", "end_of_word_suffix", "dropout")
_SCORE = -1.0  # of every Unigram piece; sums of equal scores are exact, so ties are real ties


def to_tokenizers(vocabulary: Vocabulary) -> Tokenizer:
    """A `tokenizers.Tokenizer` with the same ids; raises SourceError when special ids do not follow the others.

    tokenizers numbers special tokens itself, straight on from the ordinary ones, so it cannot hold holes. No model of
    it looks ahead, so ungreedy is refused as well.
    """
    if vocabulary.inference == "ungreedy":
        raise SourceError("tokenizer.json cannot hold ungreedy: TokenMonster runs it, from the YAML that is saved")
    if vocabulary.inference in CHARACTER_METHODS:
        return sentencepiece_json.to_tokenizers(vocabulary)
    if vocabulary.max_id != vocabulary.n_ids - 1:
        raise SourceError(
            f"{vocabulary.name} has holes in its ids ({vocabulary.n_ids} ids, the highest "
            f"{vocabulary.max_id}), which tokenizer.json cannot hold"
        )
    if taken := [text for text in vocabulary.special_tokens if is_token_text(vocabulary, text)]:
        raise SourceError(
            f"the special token {taken[0]!r} reads like an ordinary token in tokenizer.json, and would lose its id"
        )
    tokenizer = Tokenizer(_model(vocabulary))
    split = pre_tokenizers.Split(Regex(vocabulary.pattern.portable), behavior="isolated")
    as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, as_bytes])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(add_prefix_space=False, trim_offsets=False)
    special = sorted(vocabulary.special_tokens, key=vocabulary.special_tokens.__getitem__)
    tokenizer.add_special_tokens([AddedToken(text, normalized=False, special=True) for text in special])
    return tokenizer


def is_token_text(vocabulary: Vocabulary, text: str) -> bool:
    """Whether `text` is how tokenizer.json writes an ordinary token; a special token of that text would be the same."""
    if vocabulary.inference in CHARACTER_METHODS:
        return text in sentencepiece_json.pieces_of(vocabulary)
    try:
        return to_bytes(text) in vocabulary.token_ids
    except KeyError:
        return False


def _model(vocabulary: Vocabulary) -> models.Model:
    """Special tokens below the ordinary ones are part of the model, others follow it as added tokens."""
    below = {text: k for text, k in vocabulary.special_tokens.items() if k < vocabulary.first_id}
    ids = below | {to_characters(token): k for token, k in vocabulary.token_ids.items()}
    if vocabulary.inference == "least-tokens":
        in_order = sorted(ids, key=ids.__getitem__)
        return models.Unigram([(piece, _SCORE) for piece in in_order], unk_id=None, byte_fallback=False)
    if vocabulary.inference == "longest-prefix":
        # No pre-token is too long, and single bytes leave nothing unknown: unk_token is never produced.
        return models.WordPiece(
            ids, unk_token=to_characters(b"\0"), max_input_chars_per_word=2**62, continuing_subword_prefix=""
        )
    return models.BPE(ids, all_merges(vocabulary), ignore_merges=True, fuse_unk=False, byte_fallback=False)


def all_merges(vocabulary: Vocabulary) -> list[tuple[str, str]]:
    """Every pair of tokens whose concatenation is a token, ordered by the ranks of the result, left and right parts.

    tiktoken merges any pair that forms a token, so BPE must know all of them (transformers `TikTokenConverter`).
    """
    ids, first = vocabulary.token_ids, vocabulary.first_id
    texts = [to_characters(token) for token in vocabulary.tokens()]
    merges: list[tuple[str, str]] = []
    for token in vocabulary.tokens():
        lefts = [(ids[token[:k]], k) for k in range(1, len(token)) if token[:k] in ids]
        known = [(left, ids[token[k:]]) for left, k in lefts if token[k:] in ids]
        merges += [(texts[a - first], texts[b - first]) for a, b in sorted(known)]
    return merges


def write_tokenizer_json(vocabulary: Vocabulary, path: Path) -> None:
    """Write tokenizer.json; raises SourceError as `to_tokenizers` does."""
    write_text(path, to_tokenizers(vocabulary).to_str(pretty=True) + "\n")


def read_tokenizer_json(path: Path) -> Vocabulary | RuntimeTokenizer:
    """A vocabulary from a tokenizer.json of byte-level BPE, of SentencePiece's, or as `write_tokenizer_json` writes it.

    BERT's WordPiece is read as `vocab.formats.wordpiece` says.

    Raises SourceError, saying what is in the way, for any other model, for normalizers, and where ids are not in the
    order of merges.
    """
    raw = path.read_bytes()
    try:
        settings = json.loads(raw)
        _check_known_options(settings, path)  # tokenizers itself aborts the process on some
        tokenizers.Tokenizer.from_str(raw.decode())  # whatever tokenizers itself would refuse
    except SourceError:
        raise
    except Exception as error:  # noqa: BLE001 - tokenizers raises plain Exception
        raise SourceError(f"{path} is not a tokenizer.json: {str(error).splitlines()[0]}") from None
    provenance = Provenance(path.parent.resolve().name or path.stem, hashlib.sha256(raw).hexdigest(), "tokenizer.json")
    if sentencepiece_json.is_of_sentencepiece(settings):
        return sentencepiece_json.read(settings, provenance, path)
    if wordpiece.is_wordpiece(settings):
        return wordpiece.read(settings, provenance, path)
    if settings.get("normalizer"):
        raise SourceError(f"{path} changes text before it splits it (a normalizer), which pruning cannot keep exact")
    model = settings["model"]
    method, pieces = _pieces(model, path)
    special = {t["content"]: t["id"] for t in settings.get("added_tokens", [])}
    tokens, first_id = _ordinary_tokens(pieces, special, path)
    if method == "merges":
        _check_merge_order(model, tokens, path)
    vocabulary = Vocabulary.from_tokens(tokens, _pattern(settings, path), special, method, provenance, first_id)
    if method == "merges":
        _check_merges_complete(model, vocabulary, path)
    return vocabulary


def _check_known_options(settings: Any, path: Path) -> None:
    """Raise SourceError for BPE with affixes, as tokenizers ends the process where a piece is shorter than one."""
    model = settings.get("model") if isinstance(settings, dict) else None
    affixes = [model.get(key) for key in ("continuing_subword_prefix", "end_of_word_suffix")] if model else []
    if model and "merges" in model and any(affixes):
        raise SourceError(f"{path} is not byte-level BPE: its pieces have the affix {next(filter(None, affixes))!r}")


def _pieces(model: Mapping[str, Any], path: Path) -> tuple[InferenceMethod, dict[str, int]]:
    kind = model.get("type") or ("BPE" if "merges" in model else "unknown")
    if kind == "BPE" and not any(model.get(option) for option in _OTHER_KINDS_OF_BPE):
        return "merges", model["vocab"]
    if kind == "Unigram" and len({score for _, score in model["vocab"]}) == 1:
        return "least-tokens", {piece: k for k, (piece, _) in enumerate(model["vocab"])}
    if kind == "WordPiece" and model.get("continuing_subword_prefix") == "":
        return "longest-prefix", model["vocab"]
    raise SourceError(f"{path} is not byte-level BPE (its model is {kind}), so its vocabulary cannot be pruned here")


def _ordinary_tokens(pieces: Mapping[str, int], special: Mapping[str, int], path: Path) -> tuple[list[bytes], int]:
    """Tokens in id order and the id of the first."""
    ordinary = sorted((k, piece) for piece, k in pieces.items() if special.get(piece) != k)
    first = ordinary[0][0] if ordinary else 0
    if [k for k, _ in ordinary] != list(range(first, first + len(ordinary))):
        raise SourceError(
            f"{path} has special tokens between ordinary ones, or holes in its ids: it cannot be renumbered"
        )
    try:
        return [to_bytes(piece) for _, piece in ordinary], first
    except KeyError as error:
        raise SourceError(f"{path} is not byte-level: a token holds the character {error.args[0]!r}") from None


def _merge_pairs(model: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Merges in order; older files write a pair as one text with a space."""
    pairs = (merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"])
    return [(left, right) for left, right in pairs]


def _check_merge_order(model: Mapping[str, Any], tokens: list[bytes], path: Path) -> None:
    """Ids must follow the order of merges, as ids are ranks here; raises SourceError otherwise."""
    ids = {token: k for k, token in enumerate(tokens)}
    last = -1
    for left, right in _merge_pairs(model):
        result = ids.get(to_bytes(left + right), -1)
        if result < last:
            raise SourceError(f"{path} merges {left!r} and {right!r} out of the order of ids: it cannot be renumbered")
        last = result


def _check_merges_complete(model: Mapping[str, Any], vocabulary: Vocabulary, path: Path) -> None:
    """Every token must be made by its own last merge; raises SourceError where tiktoken's rules would differ."""
    listed = set(_merge_pairs(model))
    parents = merge_parents(vocabulary.encoder.trie, vocabulary.blob, vocabulary.starts).tolist()
    tokens = list(vocabulary.tokens())
    for token, (left, right) in zip(tokens, parents, strict=True):
        if left >= 0:
            complete = (to_characters(tokens[left]), to_characters(tokens[right])) in listed
        else:
            complete = len(token) == 1 or bool(model.get("ignore_merges"))
        if not complete:
            raise SourceError(
                f"{path} has the token {token!r} but not the merge that makes it, so its encoder never produces it "
                "where tiktoken's would: it cannot be pruned exactly"
            )


def _pattern(settings: Mapping[str, Any], path: Path) -> SplitPattern:
    """The split pattern of a Split + ByteLevel or a plain ByteLevel pre-tokenizer."""
    outer = settings.get("pre_tokenizer") or {}
    steps = outer.get("pretokenizers", [outer])
    kinds = [step.get("type") for step in steps]
    prefixed = any(step.get("add_prefix_space") for step in steps)
    if kinds == ["ByteLevel"] and steps[0].get("use_regex", True) and not prefixed:
        return SplitPattern(GPT2_REGEX)
    if kinds == ["Split", "ByteLevel"] and not steps[1].get("use_regex", True) and not prefixed:
        pattern = steps[0]["pattern"].get("Regex")
        if pattern and steps[0].get("behavior") == "Isolated" and not steps[0].get("invert"):
            return SplitPattern(pattern)
    raise SourceError(
        f"{path} splits text with {kinds or 'nothing'}, not with one pattern and bytes after it: it is not byte-level "
        "BPE as GPT-2, Llama 3 or cl100k_base have it"
    )
