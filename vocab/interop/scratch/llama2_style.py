"""A tokenizer in the style of Llama 2, by SentencePiece's trainer.

The settings are those in the `trainer_spec` and `normalizer_spec` of Llama 2's tokenizer.model, but for reading: text
comes line by line from an iterator, none of it is sampled, and one thread keeps the result the same.

SentencePiece leaves out lines above a length and lines that hold ▅, which it uses itself. So that no text is lost,
lines are cut here: long ones at a single space, which changes nothing, since pieces never go past one and each part
begins with ▁ again (at a character where there is no such space), and all of them at ▅.
"""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vocab.errors import SourceError, TargetError
from vocab.formats.sentencepiece_model import read_sentencepiece
from vocab.vocabulary import Vocabulary

SPECIAL_TOKENS = ("<unk>", "<s>", "</s>")  # of every model: Llama 2's
LEAST_SIZE = len(SPECIAL_TOKENS) + 256 + 1  # with the bytes and ▁
MAX_LINE_CHARACTERS = 4096

SETTINGS: dict[str, Any] = {
    "model_type": "bpe",
    "character_coverage": 0.99995,
    "byte_fallback": True,
    "split_digits": True,
    "split_by_unicode_script": True,
    "split_by_whitespace": True,
    "split_by_number": True,
    "max_sentencepiece_length": 16,
    "allow_whitespace_only_pieces": True,
    "normalization_rule_name": "identity",
    "add_dummy_prefix": True,
    "remove_extra_whitespaces": False,
    "max_sentence_length": 4 * MAX_LINE_CHARACTERS,  # in bytes: no line is longer
    "shuffle_input_sentence": False,
    "input_sentence_size": 0,
    "num_threads": 1,
}
_RESERVED = "\u2585"  # ▅
_LOG_ERRORS_ONLY = 2


def train(documents: Iterable[str], size: int, special: Sequence[str]) -> Vocabulary:
    """A vocabulary of `size` ids trained on documents; `special` are control pieces beside Llama 2's three.

    Memory: SentencePiece holds all the text. Raises TargetError when the size is too small for the characters or too
    large for the text, and what the documents raise.
    """
    import sentencepiece

    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=lines_of(documents),
            model_writer=model,
            vocab_size=size,
            control_symbols=list(special),
            minloglevel=_LOG_ERRORS_ONLY,
            **SETTINGS,
        )
    except (RuntimeError, OSError) as error:
        raise TargetError(_explained(str(error), size)) from None
    return _read(model.getvalue())


def _read(raw: bytes) -> Vocabulary:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trained.model"
        path.write_bytes(raw)
        try:
            vocabulary = read_sentencepiece(path)
        except SourceError as error:
            raise TargetError(f"SentencePiece's result for this text cannot be used: {error}") from None
    return replace(vocabulary, provenance=replace(vocabulary.provenance, sha256=None))


def _explained(reason: str, size: int) -> str:
    """One sentence for what SentencePiece refuses."""
    if match := re.search(r"required_chars\. (\d+) vs (\d+)", reason):
        return (
            f"size {size:,} is too small: the characters of this text, 256 bytes and the special tokens alone are "
            f"{int(match[2]):,} ids"
        )
    if match := re.search(r"Vocabulary size too high \(\d+\)\. .*<= (\d+)", reason):
        return f"size {size:,} is too large for so little text, which gives {int(match[1]):,} ids at most: give more"
    return f"SentencePiece cannot train on this: {reason.splitlines()[0] if reason else 'no reason given'}"


def lines_of(documents: Iterable[str]) -> Iterator[str]:
    """All lines of all documents, none empty, none longer than `MAX_LINE_CHARACTERS`, none with ▅."""
    for document in documents:
        for line in document.replace(_RESERVED, "\n").split("\n"):
            yield from _parts(line)


def _parts(line: str) -> Iterator[str]:
    first = 0
    while len(line) - first > MAX_LINE_CHARACTERS:
        cut = _single_space(line, first + 1, first + MAX_LINE_CHARACTERS)
        stop = cut if cut > 0 else first + MAX_LINE_CHARACTERS
        yield line[first:stop]
        first = stop + (cut > 0)
    if first < len(line):
        yield line[first:]


def _single_space(line: str, first: int, stop: int) -> int:
    """The last place in line[first:stop] of a space with no other beside it; -1 where there is none."""
    at = line.rfind(" ", first, stop)
    while at > 0 and " " in (line[at - 1], line[at + 1]):
        at = line.rfind(" ", first, at)
    return at
