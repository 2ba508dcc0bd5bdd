"""CLIP's list of merges, `bpe_simple_vocab_16e6.txt`: measured as transformers' CLIPTokenizer runs it.

Source: openai/CLIP `clip/simple_tokenizer.py` for ids; transformers 5 `models/clip/tokenization_clip.py` for the rest.
Ids are those of the bytes, of the bytes that end a word, of the first 48,894 merges, and of two special tokens.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from vocab.errors import SourceError
from vocab.formats.hugging_face_runtime import run_by_tokenizers
from vocab.formats.runtime_tokenizer import RuntimeTokenizer
from vocab.splitting.byte_alphabet import BYTE_TO_CHARACTER
from vocab.vocabulary import Provenance

_END_OF_WORD = "</w>"
_SPECIAL = ("<|startoftext|>", "<|endoftext|>")
_MOST_MERGES = 49_152 - 256 - 2  # of the 262,145 lines in the file
_WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def read_clip(path: Path) -> RuntimeTokenizer:
    """The tokenizer of a list of merges, to be measured; raises SourceError for a line that is no merge."""
    raw = path.read_bytes()
    name = path.stem
    obstacle = (
        f"{name} is CLIP's BPE, whose words end in {_END_OF_WORD} and lose letter case and the white space between "
        "them, so its vocabulary cannot be pruned yet"
    )
    provenance = Provenance(name, hashlib.sha256(raw).hexdigest(), "clip")
    return run_by_tokenizers(json.loads(_tokenizer(raw, path).to_str()), provenance, str(path), obstacle)


def _tokenizer(raw: bytes, path: Path) -> Tokenizer:
    merges = _merges(raw, path)
    letters = [*BYTE_TO_CHARACTER.values()]
    pieces = [*letters, *(letter + _END_OF_WORD for letter in letters), *map("".join, merges), *_SPECIAL]
    try:
        model = models.BPE(
            {piece: id_ for id_, piece in enumerate(pieces)},
            merges,
            unk_token=_SPECIAL[1],
            continuing_subword_prefix="",
            end_of_word_suffix=_END_OF_WORD,
        )
    except Exception as error:  # noqa: BLE001 - tokenizers raises plain Exception
        raise SourceError(f"{path} is damaged: {str(error).splitlines()[0][:200]}") from None
    tokenizer = Tokenizer(model)
    clean = [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    tokenizer.normalizer = normalizers.Sequence(clean)
    words = pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(_SPECIAL))
    return tokenizer


def _merges(raw: bytes, path: Path) -> list[tuple[str, str]]:
    merges = []
    for number, line in enumerate(raw.decode().splitlines()[1 : 1 + _MOST_MERGES], 2):
        left, _, right = line.partition(" ")
        if not left or not right or " " in right:
            raise SourceError(f"{path} is damaged: line {number} is no merge of two pieces")
        merges.append((left, right))
    return merges
