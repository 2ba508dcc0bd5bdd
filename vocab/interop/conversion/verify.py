"""`verify`: the same ids and the same text back in every runtime that loads a folder.

What `vocab.load` reads from the folder is compared with each runtime that is installed and finds its file there. Texts
that hold a special token go to default calls alone, because runtimes differ on purpose in whether they recognise it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from vocab.analysis.reachable import unreachable
from vocab.formats import load_lossless
from vocab.formats.frame import around
from vocab.formats.sentencepiece_model import FILE_NAME as SENTENCEPIECE
from vocab.formats.tekken import FILE_NAME as TEKKEN
from vocab.formats.tiktoken_file import ENDING, read_tiktoken
from vocab.interop.conversion.chat import verify_chat
from vocab.interop.conversion.default_calls import DefaultCalls, compare_default_calls, default_texts
from vocab.interop.conversion.llama_cpp_peer import ENDING as GGUF
from vocab.interop.conversion.llama_cpp_peer import llama_cpp
from vocab.interop.conversion.peer_runtime import Decode, PeerRuntime
from vocab.interop.conversion.runtime_check import RuntimeCheck, auto_tokenizer, has_package, reason_of
from vocab.reading import parse_json, read_json
from vocab.splitting.preparation import MARK
from vocab.vocabulary import Vocabulary


@dataclass(frozen=True)
class _Expected:
    """Texts, with our ids and what these ids give back."""

    texts: list[str]
    ids: list[list[int]]
    restored: list[str]

    @classmethod
    def of(cls, vocabulary: Vocabulary, texts: list[str]) -> _Expected:
        return cls(texts, vocabulary.encode_batch(texts), [vocabulary.restored(text) for text in texts])


@dataclass(frozen=True)
class Verification:
    """All checks of a folder.

    Attributes:
        vocabulary: the vocabulary as `vocab.load` reads it from the folder.
        checks: one for each runtime, ours first.
        n_unreachable: tokens of 2 bytes or more for which no text was found.
        n_with_special: texts given that hold a special token, which only default calls were compared on.
        notes: sentences on what the files do to texts by default, such as cutting them off.
        chat: the check of the chat template; None where there is none, or with `with_chat=False`.
    """

    vocabulary: Vocabulary
    checks: list[RuntimeCheck]
    n_unreachable: int
    n_with_special: int = 0
    notes: tuple[str, ...] = ()
    chat: RuntimeCheck | None = None

    @property
    def has_contiguous_ids(self) -> bool:
        """Whether ids have no holes."""
        return self.vocabulary.max_id == self.vocabulary.n_ids - 1

    @property
    def agrees(self) -> bool:
        """Whether every runtime gives the same ids and texts, rendered chats too, and ids have no holes."""
        checks = [*self.checks, self.chat] if self.chat else self.checks
        return all(check.agrees for check in checks) and self.has_contiguous_ids


def verify(directory: str | Path, texts: Sequence[str], *, with_chat: bool = True) -> Verification:
    """Compare every runtime that is installed and can load a folder.

    Args:
        directory: a folder that `vocab.load` takes, or a GGUF file.
        texts: texts to encode and decode; those that hold a special token are compared by default calls alone.
        with_chat: whether transformers renders the folder's chat template, in its sandbox, on some conversations.

    Raises:
        SourceError: `vocab.load` cannot read the folder, or it is WordPiece.
    """
    directory = Path(directory)
    vocabulary = load_lossless(directory)
    plain: list[str] = []
    with_special: list[str] = []
    for text in texts:
        (with_special if vocabulary.has_special(text) else plain).append(text)
    expected = _Expected.of(vocabulary, plain)
    checks = [_our_check(vocabulary, expected)]
    by_default = default_texts(vocabulary, with_special)
    for name, package, runtime in _runtimes(directory):
        checks.append(_checked(name, package, runtime, vocabulary, expected, by_default))
    produced = np.zeros(vocabulary.n_tokens, dtype=np.bool_)
    ranks = vocabulary.ranks_of(list({id_ for ids in expected.ids for id_ in ids}))
    produced[ranks[ranks >= 0]] = True
    never_produced = unreachable(vocabulary, np.flatnonzero(~produced & (vocabulary.lengths > 1)))
    chat = verify_chat(directory, vocabulary) if with_chat else None
    return Verification(vocabulary, checks, int(never_produced.size), len(with_special), _notes(directory), chat)


def _notes(directory: Path) -> tuple[str, ...]:
    """What a tokenizer.json does to texts by default beside giving ids."""
    path = directory / "tokenizer.json"
    if not path.is_file():
        return ()
    settings = read_json(path)
    cut, padded = settings.get("truncation"), settings.get("padding")
    notes = [f"tokenizer.json cuts texts off after {cut.get('max_length')} tokens (truncation)."] if cut else []
    return (*notes, *(["tokenizer.json pads texts to one length (padding)."] if padded else []))


def _our_check(vocabulary: Vocabulary, expected: _Expected) -> RuntimeCheck:
    check = RuntimeCheck("vocab", version("vocabkit"), vocabulary.n_ids)
    return _compare(check, expected.ids, expected, vocabulary.decode, vocabulary)


def _checked(
    name: str,
    package: str,
    load_runtime: Callable[[], PeerRuntime],
    vocabulary: Vocabulary,
    expected: _Expected,
    by_default: Sequence[str],
) -> RuntimeCheck:
    check = RuntimeCheck(name, version(package))
    try:
        runtime = load_runtime()
        check.n_ids = runtime.n_ids
        theirs = runtime.encode(list(expected.texts))
        _compare(check, theirs, expected, runtime.decode, vocabulary)
        for text, id_ in vocabulary.special_tokens.items():
            check.n_special_different += runtime.special_id(text) != id_
        if runtime.default_calls:
            compare_default_calls(check, runtime.default_calls, vocabulary, by_default)
    except Exception as error:  # noqa: BLE001 - a runtime may raise anything
        check.failure = reason_of(error)
    if check.n_ids != vocabulary.n_ids and not check.failure:
        check.failure = f"has {check.n_ids:,} ids, not {vocabulary.n_ids:,}"
    return check


def _compare(
    check: RuntimeCheck, ids: Sequence[list[int]], expected: _Expected, decode: Decode, vocabulary: Vocabulary
) -> RuntimeCheck:
    for text, theirs, ours, restored in zip(expected.texts, ids, expected.ids, expected.restored, strict=True):
        check.n_texts += 1
        check.n_bytes += len(text.encode())
        if theirs != ours:
            check.n_different += 1
            check.first_different = check.first_different or text
        is_kept = not (vocabulary.pattern.is_sentencepiece and MARK in text)  # there ▁ is a space
        check.n_not_restored += is_kept and decode(theirs) != restored
    return check


def _runtimes(directory: Path) -> Iterator[tuple[str, str, Callable[[], PeerRuntime]]]:
    """Installed runtimes that find a file of theirs: name, package, and the function that loads it."""
    ranks = sorted(directory.glob("*" + ENDING))
    ggufs = [directory] if directory.is_file() else sorted(directory.glob("*" + GGUF))
    model, tekken = directory / SENTENCEPIECE, directory / TEKKEN
    has_json = (directory / "tokenizer.json").is_file()
    is_pieces = model.is_file() and model.read_bytes()[:1] == b"\n"
    known = [
        ("tiktoken", "tiktoken", len(ranks) == 1, lambda: _tiktoken(ranks[0])),
        ("tokenizers", "tokenizers", has_json, lambda: _tokenizers(directory)),
        ("AutoTokenizer", "transformers", has_json, lambda: _transformers(directory)),
        ("sentencepiece", "sentencepiece", is_pieces, lambda: _sentencepiece(model)),
        ("mistral-common", "mistral-common", tekken.is_file(), lambda: _mistral(tekken)),
        ("llama.cpp", "xllamacpp", len(ggufs) == 1, lambda: llama_cpp(ggufs[0])),
    ]
    for name, package, has_file, load_runtime in known:
        if has_file and has_package(package):
            yield name, package, load_runtime


def _tiktoken(path: Path) -> PeerRuntime:
    """From the file of ranks and the JSON beside it, as the model card says."""
    import tiktoken

    read = read_tiktoken(path)
    settings = parse_json(path.with_suffix(".json").read_bytes())
    encoding = tiktoken.Encoding(**settings, mergeable_ranks=read.token_ids)
    return PeerRuntime(encoding.encode_ordinary_batch, encoding.decode, encoding._special_tokens.get, read.n_ids)


def _tokenizers(directory: Path) -> PeerRuntime:
    from tokenizers import Tokenizer

    peer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    peer.no_truncation()
    peer.no_padding()
    calls = DefaultCalls(
        lambda texts: [list(encoding.ids) for encoding in peer.encode_batch_fast(texts)],
        lambda ids: str(peer.decode(ids)),
        *_around(peer),
    )
    return PeerRuntime(
        lambda texts: [list(encoding.ids) for encoding in peer.encode_batch_fast(texts, add_special_tokens=False)],
        lambda ids: str(peer.decode(ids, skip_special_tokens=False)),
        peer.token_to_id,
        peer.get_vocab_size(),
        calls,
    )


def _around(peer: Any) -> tuple[list[int], list[int]]:
    """Ids that a `tokenizers.Tokenizer` puts before and after a text by default."""
    settings = json.loads(peer.post_processor.__getstate__()) if peer.post_processor else None
    return around(settings)


def _transformers(directory: Path) -> PeerRuntime:
    peer = auto_tokenizer(directory)
    calls = DefaultCalls(
        lambda texts: [list(ids) for ids in peer(texts)["input_ids"]],
        lambda ids: str(peer.decode(ids, skip_special_tokens=True)),
        *_around(peer.backend_tokenizer),
        cleans_up=bool(peer.clean_up_tokenization_spaces),
    )
    return PeerRuntime(
        lambda texts: [list(ids) for ids in peer(texts, add_special_tokens=False)["input_ids"]],
        lambda ids: str(peer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)),
        peer.get_vocab().get,
        len(peer),
        calls,
    )


def _sentencepiece(path: Path) -> PeerRuntime:
    import sentencepiece

    peer = sentencepiece.SentencePieceProcessor(model_file=str(path))
    return PeerRuntime(peer.encode, peer.decode, peer.piece_to_id, peer.vocab_size())


def _mistral(path: Path) -> PeerRuntime:
    module: Any = import_module("mistral_common.tokens.tokenizers.tekken")
    peer: Any = module.Tekkenizer.from_file(path)
    names = {peer.id_to_piece(k): k for k in range(peer.num_special_tokens)}

    def encode(texts: list[str]) -> list[list[int]]:
        return [list(peer.encode(text, bos=False, eos=False)) for text in texts]

    def decode(ids: list[int]) -> str:
        return str(peer.decode(ids, special_token_policy=module.SpecialTokenPolicy.IGNORE))

    return PeerRuntime(encode, decode, names.get, peer.n_words)
