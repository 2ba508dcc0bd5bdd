"""`tokenizer.json` of Hugging Face tokenizers: byte-level BPE, and the models that carry our other inference methods.

merges is BPE with every split of every token and whole-piece look-up (`ignore_merges`), which equals tiktoken. A closed
vocabulary needs no look-up and one merge a token, which other programs read too;
least-tokens is Unigram with equal scores, whose Viterbi then finds the fewest tokens; longest-prefix is WordPiece with
an empty continuation prefix. All split by pattern first and write bytes in GPT-2's alphabet.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors

from vocab.choices import CHARACTER_METHODS
from vocab.encoding.closed_merges import parts_of_tokens, unmade
from vocab.errors import SourceError
from vocab.formats import byte_level_json, pieces_json, sentencepiece_json, sentencepiece_model, wordpiece
from vocab.formats.folder_tokens import NO_TOKENS, FolderTokens, add_to_runtime
from vocab.formats.frame import add_tokens, apply_frame, carried_frame
from vocab.formats.runtime_tokenizer import RuntimeTokenizer
from vocab.reading import TooDeepError, parse_json
from vocab.splitting.byte_alphabet import to_bytes, to_characters
from vocab.vocabulary import Provenance, Vocabulary
from vocab.writing import write_text

_SCORE = -1.0  # of every Unigram piece; sums of equal scores are exact, so ties are real ties


def to_tokenizers(vocabulary: Vocabulary) -> Tokenizer:
    """A `tokenizers.Tokenizer` with the same ids; raises SourceError when special ids do not follow the others.

    tokenizers numbers special tokens itself, straight on from the ordinary ones, so it cannot hold holes. No model of
    it looks ahead, so ungreedy is refused as well.
    """
    if vocabulary.inference == "ungreedy":
        raise SourceError("tokenizer.json cannot hold ungreedy: TokenMonster runs it, from the YAML that is saved")
    frame = carried_frame(vocabulary)
    if vocabulary.inference in CHARACTER_METHODS:
        if frame and vocabulary.inference == "wordpiece":
            return wordpiece.to_tokenizers(vocabulary, frame)
        if frame:
            return pieces_json.to_tokenizers(vocabulary, frame)
        if sentencepiece_model.normalizer_of(vocabulary):
            raise SourceError(
                f"{vocabulary.name} has unknown text or a normalizer as sentencepiece runs them, which no "
                f"tokenizer.json says exactly: use its {sentencepiece_model.FILE_NAME}"
            )
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
    if frame:
        apply_frame(tokenizer, vocabulary, frame)
        return tokenizer
    split = pre_tokenizers.Split(Regex(vocabulary.pattern.portable), behavior="isolated")
    as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, as_bytes])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(add_prefix_space=False, trim_offsets=False)
    add_tokens(tokenizer, vocabulary, {})
    return tokenizer


def decoded(vocabulary: Vocabulary, ids: Iterable[int]) -> str:
    """Text of ids as the decoder makes it that a vocabulary of pieces carries, or as sentencepiece decodes them."""
    if sentencepiece_model.normalizer_of(vocabulary):
        return sentencepiece_model.decoded(vocabulary, ids)
    return pieces_json.decoded(vocabulary, ids, carried_frame(vocabulary) or {})


def is_token_text(vocabulary: Vocabulary, text: str) -> bool:
    """Whether `text` is how tokenizer.json writes an ordinary token; a special token of that text would be the same."""
    if vocabulary.inference in CHARACTER_METHODS:
        return text in sentencepiece_json.pieces_of(vocabulary)
    try:
        return to_bytes(text) in vocabulary.token_ids
    except KeyError:
        return False


def _model(vocabulary: Vocabulary) -> models.Model:
    """Special tokens with ordinary ids above them are part of the model, others follow it as added tokens."""
    highest = int(vocabulary.rank_ids.max(initial=-1))
    within = {text: k for text, k in vocabulary.special_tokens.items() if k < highest}
    ids = within | {to_characters(token): k for token, k in vocabulary.token_ids.items()}
    if vocabulary.inference == "least-tokens":
        in_order = sorted(ids, key=ids.__getitem__)
        return models.Unigram([(piece, _SCORE) for piece in in_order], unk_id=None, byte_fallback=False)
    if vocabulary.inference == "longest-prefix":
        # No pre-token is too long, and single bytes leave nothing unknown: unk_token is never produced.
        return models.WordPiece(
            ids, unk_token=to_characters(b"\0"), max_input_chars_per_word=2**62, continuing_subword_prefix=""
        )
    merges, looks_up_words = merges_of(vocabulary)
    return models.BPE(ids, merges, ignore_merges=looks_up_words, fuse_unk=False, byte_fallback=False)


def merges_of(vocabulary: Vocabulary) -> tuple[list[tuple[str, str]], bool]:
    """The merges with which BPE gives the ids of tiktoken, and whether it must look up whole words before.

    A closed vocabulary needs one merge a token, in order of rank, and no look-up. For any other they are all pairs of
    tokens whose concatenation is a token, ordered by the ranks of the result, left and right parts: tiktoken merges
    any such pair (transformers `TikTokenConverter`).
    """
    texts = [to_characters(token) for token in vocabulary.tokens()]
    parts = parts_of_tokens(vocabulary.encoder.trie)
    if unmade(parts, vocabulary.lengths).any():
        return _all_merges(texts), True
    return [(texts[left], texts[right]) for left, right in parts.tolist() if left >= 0], False


def _all_merges(texts: list[str]) -> list[tuple[str, str]]:
    """Every pair of tokens whose concatenation is a token."""
    ranks = {text: rank for rank, text in enumerate(texts)}
    merges: list[tuple[str, str]] = []
    for text in texts:
        known = [
            (ranks[text[:k]], ranks[text[k:]]) for k in range(1, len(text)) if text[:k] in ranks and text[k:] in ranks
        ]
        known.sort()
        merges += [(texts[a], texts[b]) for a, b in known]
    return merges


def write_tokenizer_json(vocabulary: Vocabulary, path: Path) -> None:
    """Write tokenizer.json; raises SourceError as `to_tokenizers` does."""
    write_text(path, to_tokenizers(vocabulary).to_str(pretty=True) + "\n")


def read_tokenizer_json(
    path: Path, added: FolderTokens = NO_TOKENS, settings: Any = None
) -> Vocabulary | RuntimeTokenizer:
    """A vocabulary from a tokenizer.json of byte-level BPE, of SentencePiece's, or as `write_tokenizer_json` writes it.

    BERT's WordPiece is read as `vocab.formats.wordpiece` says. Tokens in `added` are added, as AutoTokenizer adds those
    that a folder's other files name. `settings` are the parsed file, where it is parsed already.

    Raises SourceError, saying what is in the way, for any other model, and for splits that are not known.
    """
    raw = path.read_bytes()
    try:
        settings = parse_json(raw) if settings is None else settings
        _check_known_options(settings, path)  # tokenizers itself aborts the process on some
        runtime = Tokenizer.from_str(raw.decode())  # whatever tokenizers itself would refuse
        if add_to_runtime(runtime, added):
            settings = json.loads(runtime.to_str())
    except SourceError:
        raise
    except TooDeepError as error:
        raise SourceError(f"{path} {error}") from None
    except Exception as error:  # noqa: BLE001 - tokenizers raises plain Exception
        raise SourceError(f"{path} is not a tokenizer.json: {str(error).splitlines()[0]}") from None
    provenance = Provenance(path.parent.resolve().name or path.stem, hashlib.sha256(raw).hexdigest(), "tokenizer.json")
    if sentencepiece_json.is_of_sentencepiece(settings):
        return _read_pieces(settings, runtime, provenance, path)
    if pieces_json.is_unigram_of_runs(settings["model"]):
        return pieces_json.read(settings, runtime, provenance, path)
    if wordpiece.is_wordpiece(settings):
        return wordpiece.read(settings, runtime, provenance, path)
    return byte_level_json.read(settings, runtime, provenance, path)


def _read_pieces(settings: dict[str, Any], runtime: Tokenizer, provenance: Provenance, path: Path) -> Vocabulary:
    """A vocabulary of pieces: such as sentencepiece runs too, or else such as tokenizers alone runs."""
    try:
        return sentencepiece_json.read(settings, provenance, path)
    except SourceError:
        if "merges" not in settings["model"]:
            raise  # Unigram with byte fallback is read in that one way only
        return pieces_json.read(settings, runtime, provenance, path)


def _check_known_options(settings: Any, path: Path) -> None:
    """Raise SourceError for BPE with affixes, as tokenizers ends the process where a piece is shorter than one."""
    model = settings.get("model") if isinstance(settings, dict) else None
    affixes = [model.get(key) for key in ("continuing_subword_prefix", "end_of_word_suffix")] if model else []
    if model and "merges" in model and any(affixes):
        raise SourceError(f"{path} is not byte-level BPE: its pieces have the affix {next(filter(None, affixes))!r}")
