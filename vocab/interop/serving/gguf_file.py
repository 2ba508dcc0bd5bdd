"""GGUF files of a vocabulary alone, as `convert_hf_to_gguf.py --vocab-only` writes them, or with a Llama's weights.

Sources: ggml-org/llama.cpp `conversion/base.py` and `conversion/llama.py` (which keys a tokenizer has, kinds of tokens,
padding), `gguf-py` (names of keys).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tokenizers

from vocab.errors import SourceError
from vocab.formats import load_lossless
from vocab.formats.frame import around, carried_frame
from vocab.formats.sentencepiece_json import pieces_of
from vocab.formats.tokenizer_json import merges_of
from vocab.interop.serving.gguf_package import gguf_package
from vocab.interop.serving.llama_cpp import (
    CHECK_TEXT,
    SPECIAL_SIZES,
    check_hash,
    n_without_merges,
    patch_lines,
    split_of,
)
from vocab.interop.serving.llama_weights import LlamaWeights
from vocab.interop.transplants.vocab_sizes import old_vocab_size
from vocab.reading import read_json
from vocab.splitting.byte_alphabet import to_characters
from vocab.vocabulary import Vocabulary
from vocab.writing import check_file, staged_file

ARCHITECTURE = "llama"
_ROLES = ("bos", "eos", "unk", "sep", "pad", "mask")


@dataclass(frozen=True)
class GgufVocabulary:
    """A GGUF file that was written.

    Attributes:
        model: tokenizer.ggml.model: gpt2 or llama.
        pre: llama.cpp's name of the pre-tokenizer; None but for byte-level BPE.
        chkhsh: the hash by which llama.cpp's converter knows the tokenizer; None but for byte-level BPE.
        n_rows: tokens in the file, padding included.
        notes: sentences that people should read.
    """

    model: str
    pre: str | None
    chkhsh: str | None
    n_rows: int
    notes: tuple[str, ...]

    @property
    def patch(self) -> str | None:
        """The line that llama.cpp's converter needs to know this tokenizer."""
        return patch_lines(self.chkhsh, self.pre) if self.chkhsh and self.pre else None


def write_gguf(
    directory: str | Path, out: str | Path, *, pre: str | None = None, weights: bool = False, force: bool = False
) -> GgufVocabulary:
    """Write the tokenizer in a folder as a GGUF file, without weights or with those of a Llama.

    If the folder has a config.json, embedding rows beyond the ids become padding, as in llama.cpp's converter.

    Args:
        directory: folder of `vocab prune` or `vocab transplant`.
        out: file to write.
        pre: llama.cpp's name of the pre-tokenizer; None to find it by the split pattern.
        weights: whether to write the model's weights too, which must be of Llama's architecture.
        force: whether to replace the file.

    Raises:
        MissingExtraError: the package gguf is not installed.
        SourceError: llama.cpp does not run this tokenizer, or the model is of another architecture.
        OutputError: the file exists and `force` is not set, or the disk refuses.
    """
    directory, out = Path(directory), Path(out)
    library = gguf_package("writing GGUF")
    vocabulary = load_lossless(directory)
    if not (directory / "tokenizer.json").is_file():
        raise SourceError(f"{directory} has no tokenizer.json")
    if vocabulary.inference not in ("merges", "scored-merges"):
        raise SourceError(f"llama.cpp runs merges, and {directory} was made for {vocabulary.inference}")
    check_file(out, force=force, make_folders=True)
    model = LlamaWeights(directory) if weights else None
    described = _described(vocabulary, directory, pre)
    with staged_file(out) as staged:
        writer = library.GGUFWriter(staged, ARCHITECTURE)
        _add_tokenizer(writer, library, vocabulary, directory, described)
        _add_sizes(writer, described.n_rows, model)
        if model:
            model.add_tensors(writer, library.GGMLQuantizationType)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        if model:
            writer.write_ti_data_to_file()
            for data in model.data():
                writer.write_tensor_data(data)
        writer.close()
    return described


def _described(vocabulary: Vocabulary, directory: Path, pre: str | None) -> GgufVocabulary:
    if vocabulary.byte_fallback and carried_frame(vocabulary):
        raise SourceError(
            f"{directory} merges or prepares text as only Hugging Face tokenizers does, and llama.cpp goes by scores"
        )
    n_rows = max(_n_rows(directory), vocabulary.n_ids)
    notes: list[str] = []
    if n_rows in SPECIAL_SIZES:
        notes.append(
            f"llama.cpp's converter takes a Llama model of {n_rows:,} rows for {SPECIAL_SIZES[n_rows]}: choose another "
            "size"
        )
    notes += _notes_on_added(vocabulary)
    if vocabulary.byte_fallback:
        return GgufVocabulary("llama", None, None, n_rows, tuple(notes))
    split = split_of(vocabulary, pre)
    pre = split.pre
    notes += split.notes
    if n_lost := n_without_merges(vocabulary, pre):
        notes.append(
            f"{n_lost:,} tokens are made by look-up of whole words only, which llama.cpp's {pre} does not do: it "
            "spells them with other tokens"
        )
    ids = _hugging_face(directory).encode(CHECK_TEXT).ids
    return GgufVocabulary("gpt2", pre, check_hash(ids), n_rows, tuple(notes))


def _notes_on_added(vocabulary: Vocabulary) -> list[str]:
    """What GGUF cannot say of added tokens: they are found by their text alone."""
    flagged = [added.text for added in vocabulary.added_texts if added[2:] != (False, False, False)]
    if not flagged:
        return []
    return [
        f"{len(flagged):,} added tokens take white space beside them or stand only as whole words, such as "
        f"{flagged[0]!r}: llama.cpp finds them by their text alone"
    ]


def _n_rows(directory: Path) -> int:
    path = directory / "config.json"
    return old_vocab_size(read_json(path)) if path.is_file() else 0


def _hugging_face(directory: Path) -> Any:
    return tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json"))


def _add_tokenizer(
    writer: Any, library: Any, vocabulary: Vocabulary, directory: Path, described: GgufVocabulary
) -> None:
    texts, kinds, scores = rows_of(vocabulary, library.TokenType, described.n_rows, directory)
    writer.add_name(directory.resolve().name)
    writer.add_tokenizer_model(described.model)
    writer.add_tokenizer_pre(described.pre or "default")
    writer.add_token_list(texts)
    writer.add_token_types(kinds)
    if described.model == "gpt2":
        writer.add_token_merges([f"{left} {right}" for left, right in merges_of(vocabulary)[0]])
    else:
        writer.add_token_scores(scores)
        writer.add_add_space_prefix(vocabulary.pattern.has_dummy_prefix)
    _add_roles(writer, vocabulary, directory)
    if template := _chat_template(directory):
        writer.add_chat_template(template)


def _add_sizes(writer: Any, n_rows: int, model: LlamaWeights | None) -> None:
    writer.add_vocab_size(n_rows)
    if model:
        model.add_settings(writer)
        return
    for size in ("block_count", "context_length", "embedding_length", "feed_forward_length", "head_count"):
        getattr(writer, f"add_{size}")(0)  # no model is there, but some loaders ask for its size before its tokenizer


def rows_of(
    vocabulary: Vocabulary, kind: Any, n_rows: int, directory: Path
) -> tuple[list[str], list[int], list[float]]:
    """Text, kind and score of each row; those beyond the ids are unused."""
    if vocabulary.max_id != vocabulary.n_ids - 1:
        raise SourceError(f"{directory} has holes in its ids")
    texts = [f"[PAD{k}]" for k in range(n_rows)]
    kinds, scores = [int(kind.UNUSED)] * n_rows, [0.0] * n_rows
    ids, n_bytes = vocabulary.rank_ids.tolist(), vocabulary.n_stand_ins if vocabulary.byte_fallback else 0
    for k, piece in enumerate(_pieces(vocabulary)):
        row = ids[k]
        texts[row] = piece
        kinds[row] = int(kind.BYTE if k < n_bytes else kind.NORMAL)
        scores[row] = float(vocabulary.scores[k]) if vocabulary.scores is not None else 0.0
    for text, row in vocabulary.special_tokens.items():
        is_text = text in vocabulary.user_defined
        texts[row] = text
        kinds[row] = int(kind.USER_DEFINED if is_text else kind.UNKNOWN if text == vocabulary.unknown else kind.CONTROL)
    return texts, kinds, scores


def _pieces(vocabulary: Vocabulary) -> list[str]:
    return pieces_of(vocabulary) if vocabulary.byte_fallback else [to_characters(t) for t in vocabulary.tokens()]


def _add_roles(writer: Any, vocabulary: Vocabulary, directory: Path) -> None:
    """Ids of special tokens by role, and whether texts get the first and the last of them."""
    path = directory / "special_tokens_map.json"
    named = read_json(path) if path.is_file() else {}
    ids: dict[str, int] = {}
    for role in _ROLES:
        entry = named.get(f"{role}_token")
        text = entry.get("content") if isinstance(entry, dict) else entry
        if isinstance(text, str) and text in vocabulary.special_tokens:
            ids[role] = vocabulary.special_tokens[text]
            getattr(writer, f"add_{role}_token_id")(ids[role])
    before, after = around(read_json(directory / "tokenizer.json").get("post_processor"))
    for side, role, known in ((before, "begin", [ids.get("bos")]), (after, "end", [ids.get("eos")])):
        if side and side != known:
            raise SourceError(
                f"{directory} puts the ids {side} at the {role} of a text, and llama.cpp only the token of that role: "
                "name it in special_tokens_map.json"
            )
    writer.add_add_bos_token(bool(before))
    writer.add_add_eos_token(bool(after))


def _chat_template(directory: Path) -> str | None:
    path = directory / "chat_template.jinja"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    path = directory / "tokenizer_config.json"
    template = read_json(path).get("chat_template") if path.is_file() else None
    return template if isinstance(template, str) else None
